"""Popularity: ranks items by their number of ratings, in the same order for all users; a non-personalised baseline."""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.models.base import FitContext, Recommender


class Popularity(Recommender):
    """Scores an item by its number of training ratings, which every model counts in `fit` (see `Scorer.popularity`)."""

    popularity: np.ndarray  # float32 (n_items,)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        pass

    def _score(self, query: Query) -> np.ndarray:
        return np.tile(self.popularity, (len(query), 1))
