"""Similar films according to a fitted model."""

from __future__ import annotations

import numpy as np

from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import HasEmbeddings, Recommender

EMBEDDINGS = "cosine of the films' embeddings"
LIFTS = "what liking the one film alone adds to the score of the other"


def similarities(model: Recommender, items: np.ndarray) -> tuple[str, np.ndarray]:
    """Compute the similarity of some films, int64 (B,), to all films.

    Returns:
        The measure of similarity in words, and its values, float32 (B, n_items).

    Raises:
        UserError: the model has no embeddings, and liked films do not affect its ranking.
    """
    if isinstance(model, HasEmbeddings):
        return EMBEDDINGS, cosines(model, items)
    values = lifts(model, items)
    if np.allclose(values, values[:, :1]):
        raise UserError(
            f"{type(model).__name__} has no similar films, since it has no embeddings and ranks films the same for all "
            "users: choose a run of another model."
        )
    return LIFTS, values


def cosines(model: HasEmbeddings, items: np.ndarray) -> np.ndarray:
    """Compute the cosines between the embeddings of some films, int64 (B,), and of all films.

    Returns:
        float (B, n_items), 0 where an embedding is zero.
    """
    embeddings = model.item_embeddings()  # (n_items, d)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.where(norms > 0, norms, 1)
    return directions[items] @ directions.T


def lifts(model: Recommender, items: np.ndarray) -> np.ndarray:
    """Compute how much liking each of some films, int64 (B,), adds to an unknown user's scores of all films.

    For EASE these are the item-to-item weights, for item neighbours their similarities.

    Returns:
        float32 (B, n_items) scores, minus those for an empty history.
    """
    histories = History.of_items([[], *([item] for item in items)])
    empty, *liked = model.score_without_fallback(Query.of_histories(histories))
    return np.stack(liked) - empty
