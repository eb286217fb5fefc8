"""Bias: the mean rating, and how users and films deviate from it, damped by how little is known of them.

Koren, "Factor in the Neighbors", ACM TKDD 2010, section 2.1; a user's deviation is computed from the history at hand.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from recsys.data.dataset import Dataset, History, Holdout
from recsys.models.base import FitContext, Recommender


class Bias(Recommender):
    """Predict mean + film's deviation + user's deviation, in stars.

    Args:
        item_damping: ratings at the mean that every film is given beforehand, the paper's lambda_2.
        user_damping: likewise of every user, the paper's lambda_3.
    """

    predicts_ratings = True
    uses_history = True
    learned = ("mean", "item_bias", "scale")

    def __init__(self, item_damping: float = 25.0, user_damping: float = 10.0) -> None:
        self.item_damping = item_damping
        self.user_damping = user_damping

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Average the films' deviations from the mean."""
        self.mean = train.ratings.mean(dtype=np.float64)
        deviations = np.bincount(train.items, train.ratings - self.mean, minlength=train.n_items)
        self.item_bias = deviations / (self.item_damping + train.item_counts)  # (n_items,)
        self.scale = np.array(train.scale)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Predicted stars, not clipped, so that films keep their order; see `Recommender.score`."""
        return (self.mean + self.item_bias + self._user_bias(history)[:, None]).astype(np.float32)

    def predict(self, users: np.ndarray, items: np.ndarray, history: History) -> np.ndarray:
        """Predicted stars, within the scale; see `Recommender.predict`."""
        predicted = self.mean + self.item_bias[items] + self._user_bias(history)
        return np.clip(predicted, *self.scale).astype(np.float32)

    def _user_bias(self, history: History) -> np.ndarray:
        residuals = history.ratings - self.mean - self.item_bias[history.items]
        sums = np.bincount(history.rows, residuals, minlength=len(history))
        return sums / (self.user_damping + np.diff(history.indptr))  # (B,)
