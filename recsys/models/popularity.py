"""Popularity: every user is shown the films that most users rated. The baseline that personalisation must beat."""

from __future__ import annotations

from typing import Self

import numpy as np

from recsys.data.dataset import Dataset, History, Holdout
from recsys.models.base import FitContext, Recommender


class Popularity(Recommender):
    """Score a film by its number of ratings."""

    learned = ("item_counts",)

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Count the ratings of each film."""
        self.item_counts = train.item_counts.astype(np.float32)  # (n_items,)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """The same counts for everybody; see `Recommender.score`."""
        return np.tile(self.item_counts, (len(users), 1))
