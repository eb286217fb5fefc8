"""Bias: the mean rating, and how users and films deviate from it, damped by how little is known of them.

Koren, "Factor in the Neighbors", ACM TKDD 2010, section 2.1; films and users in turn, as often as one likes. A user's
deviation is computed from the history at hand.
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
        n_sweeps: times that all films and then all users are averaged; the paper's one leaves to films what is their
            users'.
    """

    predicts_ratings = True
    uses_history = True
    learned: tuple[str, ...] = ("mean", "item_bias", "scale")

    def __init__(self, item_damping: float = 25.0, user_damping: float = 10.0, n_sweeps: int = 1) -> None:
        self.item_damping = item_damping
        self.user_damping = user_damping
        self.n_sweeps = n_sweeps

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Average the films' deviations from what their users give."""
        self.mean = train.ratings.mean(dtype=np.float64)
        self.scale = np.array(train.scale, np.float32)
        ratings = History(train.indptr, train.items, train.ratings)
        user_bias = np.zeros(train.n_users)
        for _ in range(self.n_sweeps):
            deviations = train.ratings - self.mean - user_bias[train.users]
            sums = np.bincount(train.items, deviations, minlength=train.n_items)
            self.item_bias = sums / (self.item_damping + train.item_counts)  # (n_items,)
            user_bias = self.user_bias(ratings)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Predicted stars, not clipped, so that films keep their order; see `Recommender.score`."""
        return (self.mean + self.item_bias + self.user_bias(history)[:, None]).astype(np.float32)

    def predict(
        self, users: np.ndarray, history: History, rows: np.ndarray, items: np.ndarray, times: np.ndarray | None = None
    ) -> np.ndarray:
        """Predicted stars, within the scale; see `Recommender.predict`."""
        predicted = self.mean + self.item_bias[items] + self.user_bias(history)[rows]
        return np.clip(predicted, *self.scale).astype(np.float32)

    def user_bias(self, history: History) -> np.ndarray:
        """How far users deviate from the mean, given their films: float64 (B,) stars."""
        residuals = history.ratings - self.mean - self.item_bias[history.items]
        sums = np.bincount(history.rows, residuals, minlength=len(history))
        return sums / (self.user_damping + np.diff(history.indptr))
