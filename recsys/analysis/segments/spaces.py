"""The spaces in which users are clustered: directions of a model's user embeddings, or rating profiles."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import normalize

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.base import EmbedsHistories, Recommender
from recsys.models.rating_profiles import RatingProfiles

EMBEDDINGS, RATINGS = "embeddings", "ratings"


def embedding_points(vectors: np.ndarray) -> np.ndarray:
    """Return user embeddings (n, d) scaled to length 1, since their length reflects activity and not taste."""
    return normalize(vectors)


def rating_points(ratings: Dataset, history: History) -> np.ndarray:
    """Compute the rating profile of each user from the user's history, float32 (B, d); see `RatingProfiles`.

    Args:
        ratings: ratings to which `RatingProfiles` is fitted.
        history: histories of the B users, a row for each.
    """
    return RatingProfiles().fit(ratings).transform(history)


def points_of(space: str, model: Recommender, ratings: Dataset, history: History) -> np.ndarray:
    """Compute the points, (B, d), that represent users in a space, from the users' histories.

    Args:
        space: `embeddings` or `ratings`.
        model: the run's model, which is used if the space is `embeddings`.
        ratings: ratings to which `RatingProfiles` is fitted if the space is `ratings`.
        history: histories of the B users, a row for each.

    Raises:
        UserError: the space is `embeddings`, and the model embeds only the users of its training data.
    """
    if space == RATINGS:
        return rating_points(ratings, history)
    if not isinstance(model, EmbedsHistories):
        raise cannot_place(type(model).__name__)
    return embedding_points(model.embed(history))


def cannot_place(model: str) -> UserError:
    """Return the error for a new user who cannot be assigned to a segment, since the model cannot embed new users.

    Args:
        model: name of the model's class.
    """
    return UserError(
        f"{model} cannot embed new users as it embeds those of its training data: find segments with space=ratings, or "
        "choose a run of a model that embeds histories, such as ials."
    )
