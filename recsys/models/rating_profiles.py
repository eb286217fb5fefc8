"""Rating profiles: how much more often and how much higher than average a user rates items of each genre and decade."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.features import MISSING, features, vocabulary
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.learned_arrays import LearnedArrays

FIELDS = ("genres", "year")
PROFILE_DAMPING = 10.0  # number of average ratings that are added to each history, so that short ones are not extreme
ITEM_DAMPING = 10.0  # number of ratings equal to the mean that are added to those of each item


class RatingProfiles(LearnedArrays):
    """Transforms histories into rating profiles.

    Each rating is divided equally among the genres and the decade of its item. A profile has two numbers for each genre
    or decade:

    - a difference of shares: the share of the genre or decade in the user's ratings, minus its share in all ratings.
    - a difference of ratings, in rating units: how much higher the user rates items of the genre or decade than other
      items. Ratings are taken as deviations from the item means, minus the user's mean deviation. The sum of
      these deviations, weighted by the share of the genre or decade in each item, is divided by the number of the
      user's ratings.

    Both differences are damped towards 0. For a user without a history, they are 0.

    Attributes:
        facts: float32 (n_items, f) share of each genre and decade in each item; the shares of an item sum to 1. A
            missing genre or year counts as a value of its own.
        average: float (f,) mean of `facts` over the ratings in `fit`.
        item_means: float64 (n_items,) damped mean rating of each item, see `damped_item_means`.
    """

    learned = ("facts", "average", "item_means")

    def fit(self, ratings: Dataset) -> Self:
        """Learn the averages with which users are compared, and return the fitted object itself.

        Raises:
            UserError: no item has a genre or a year.
        """
        indicators = genres_and_decades(ratings.item_frame)[1]
        if not has_genres_or_years(ratings.item_frame):
            raise UserError("The items must have genres or years for rating profiles (got none): add metadata=files.")
        self.facts = indicators / indicators.sum(axis=1, keepdims=True)
        self.average = ratings.item_counts @ self.facts / max(1, len(ratings))
        self.item_means = damped_item_means(ratings)
        return self

    def transform(self, history: History) -> np.ndarray:
        """Return the rating profiles of the users with these histories (B rows), float32 (B, 2 f).

        The first f columns are the differences of shares, the last f the differences of ratings, both in the order of
        the columns of `facts`.
        """
        counts = history.lengths[:, None]  # (B, 1)
        frequencies = history.matrix(len(self.facts)) @ self.facts - counts * self.average
        above = history.ratings - self.item_means[history.items]
        own_mean = np.bincount(history.rows, above, minlength=len(history)) / np.maximum(counts[:, 0], 1)
        centred = (above - own_mean[history.rows], history.items, history.indptr)
        preferences = sparse.csr_matrix(centred, shape=(len(history), len(self.facts))) @ self.facts
        return (np.concatenate([frequencies, preferences], axis=1) / (counts + PROFILE_DAMPING)).astype(np.float32)


def damped_item_means(ratings: Dataset) -> np.ndarray:
    """Return the mean rating of each item, damped towards the mean of all ratings, float64 (n_items,)."""
    mean = ratings.ratings.mean(dtype=np.float64)
    deviations = np.bincount(ratings.items, ratings.ratings - mean, minlength=ratings.n_items)
    return mean + deviations / (ITEM_DAMPING + ratings.item_counts)


def has_genres_or_years(item_frame: pd.DataFrame) -> bool:
    """Return whether any item has a genre or a year."""
    return not all(name.endswith(f"={MISSING}") for name in genres_and_decades(item_frame)[0])


def genres_and_decades(item_frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of all genres and decades, and a matrix that shows which items have which of them.

    Returns:
        Names (f,) such as `genres=War` and `year=1990s`, with `genres=?` and `year=?` for items without a known genre
        or year, and a float32 (n_items, f) matrix that is 1 where an item has the genre or decade, else 0.
    """
    names = vocabulary(item_frame, FIELDS, min_count=1)
    return names, features(item_frame, names).toarray()
