"""The spaces in which segments are found: directions of a model's user embeddings, and profiles of ratings."""

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
    """Return a copy of user vectors (n, d) scaled to length 1; their length reflects activity and not taste."""
    return normalize(vectors)


def rating_points(ratings: Dataset, history: History) -> np.ndarray:
    """Compute the rating profiles of users with given histories, float32 (B, d); see `RatingProfiles`.

    Args:
        ratings: ratings that define the average profile.
        history: B rows, the ratings of the users to profile.
    """
    return RatingProfiles().fit(ratings).transform(history)


def points_of(space: str, model: Recommender, ratings: Dataset, history: History) -> np.ndarray:
    """Compute the points of users with given histories in a space, (B, d).

    Args:
        space: `embeddings` or `ratings`.
        model: the run's model, used in the space `embeddings`.
        ratings: ratings that define the average profile, used in the space `ratings`.
        history: B rows, the ratings of the users.

    Raises:
        UserError: the space is `embeddings` and the model embeds only the users of its training data.
    """
    if space == RATINGS:
        return rating_points(ratings, history)
    if not isinstance(model, EmbedsHistories):
        raise cannot_place(type(model).__name__)
    return embedding_points(model.embed(history))


def cannot_place(model: str) -> UserError:
    """Return the error for a new user whom a model of this class cannot place among its embeddings."""
    return UserError(
        f"{model} cannot embed new users as it embeds those of its training data: find segments with space=ratings, or "
        "choose a run of a model that embeds histories, such as ials."
    )
