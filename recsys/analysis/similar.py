"""Neighbours of films, as a trained model sees them."""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import History
from recsys.errors import UserError
from recsys.models.base import HasEmbeddings, Recommender

EMBEDDINGS = "cosine of the films' embeddings"
LIFTS = "what liking the one film alone adds to the score of the other"


def similarities(model: Recommender, items: np.ndarray) -> tuple[str, np.ndarray]:
    """How near all films are to some, int64 (B,): what is measured, in words, and float32 (B, n_items).

    Raises:
        UserError: the model has no embeddings, and what people like changes its scores of all films alike.
    """
    if isinstance(model, HasEmbeddings):
        return EMBEDDINGS, cosines(model, items)
    lifted = lifts(model, items)
    if np.allclose(lifted, lifted[:, :1]):
        raise UserError(
            f"{type(model).__name__} has no embeddings and scores films the same whatever people like, so that it "
            "knows no similar ones: take a run of another model."
        )
    return LIFTS, lifted


def cosines(model: HasEmbeddings, items: np.ndarray) -> np.ndarray:
    """Cosines of the embeddings of some films, int64 (B,), and of all; 0 for a film placed at the origin."""
    embeddings = model.item_embeddings()  # (n_items, d)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.where(norms > 0, norms, 1)
    return directions[items] @ directions.T


def lifts(model: Recommender, items: np.ndarray) -> np.ndarray:
    """Scores for somebody unknown who liked one of some films, less those for somebody of whom nothing is known.

    EASE's are its item-item weights, those of item neighbours their similarities.
    """
    liked = History.of_items([[], *([item] for item in items)])
    nothing, *one = model.score(np.full(len(liked), -1), liked)
    return np.stack(one) - nothing
