"""Bias: the mean rating plus damped deviations of items and users.

Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering", ACM TKDD 2010, section 2.1. The
deviations of items and of users are estimated in turn, for `n_sweeps` sweeps. When ratings are predicted, a user's
deviation is computed from the history in the query.
"""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Pairs, Query
from recsys.errors import check_not_negative, check_positive
from recsys.models.base import FitContext, Recommender


class Bias(Recommender):
    """Predicts a rating as mean + deviation of the item + deviation of the user.

    The deviation is 0 for an item without ratings and for a user without a history.

    Args:
        item_damping: number of pseudo-ratings with a deviation of 0 that are added to the ratings of each item, the
            paper's lambda_2.
        user_damping: number of pseudo-ratings with a deviation of 0 that are added to the ratings of each user, the
            paper's lambda_3.
        n_sweeps: number of sweeps, each of which estimates the deviations of all items, then of all users. With the
            paper's single sweep, items are estimated before users, so an item's deviation includes the mean deviation
            of the users who rated it.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        mean: mean training rating.
        item_bias: float64 (n_items,) deviations of the items, in rating units.
    """

    predicts_ratings = True
    uses_history = True
    learned: tuple[str, ...] = ("mean", "item_bias")

    def __init__(self, item_damping: float = 25.0, user_damping: float = 10.0, n_sweeps: int = 1) -> None:
        check_not_negative(item_damping=item_damping, user_damping=user_damping)
        check_positive(n_sweeps=n_sweeps)
        self.item_damping = item_damping
        self.user_damping = user_damping
        self.n_sweeps = n_sweeps

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        self.mean = train.ratings.mean(dtype=np.float64)
        histories = train.histories()
        user_bias = np.zeros(train.n_users)
        for _ in range(self.n_sweeps):
            deviations = train.ratings - self.mean - user_bias[train.users]
            sums = np.bincount(train.items, deviations, minlength=train.n_items)
            self.item_bias = damped_mean(sums, train.item_counts, self.item_damping)  # (n_items,)
            user_bias = self.user_bias(histories)

    def _score(self, query: Query) -> np.ndarray:
        return (self.mean + self.item_bias + self.user_bias(query.history)[:, None]).astype(np.float32)

    def _predict(self, pairs: Pairs) -> np.ndarray:
        user_bias = self.user_bias(pairs.query.history)
        return (self.mean + self.item_bias[pairs.items] + user_bias[pairs.rows]).astype(np.float32)

    def user_bias(self, history: History) -> np.ndarray:
        """Return the damped deviation of each of B users, given their histories, in rating units: float64 (B,)."""
        residuals = history.ratings - self.mean - self.item_bias[history.items]
        sums = np.bincount(history.rows, residuals, minlength=len(history))
        return damped_mean(sums, history.lengths, self.user_damping)

    def residuals(self, history: History) -> np.ndarray:
        """Return the residual, rating minus prediction, of each of the n ratings in a history: float64 (n,)."""
        return history.ratings - self.mean - self.item_bias[history.items] - self.user_bias(history)[history.rows]


def damped_mean(sums: np.ndarray, counts: np.ndarray, damping: float) -> np.ndarray:
    """Return sums / (counts + damping), elementwise, or 0 where both the count and the damping are 0."""
    totals = counts + damping
    return sums / np.where(totals > 0, totals, 1)
