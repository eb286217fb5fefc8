"""Recent popularity: ranks items by their number of ratings in the last days of training, in one order for all users.

This is the non-personalised baseline for data whose popularity changes over time: Ji, Sun, Zhang and Li, "A Re-visit of
the Popularity Baseline in Recommender Systems", SIGIR 2020.
"""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.errors import check_positive
from recsys.models.base import FitContext, Recommender
from recsys.models.order import require_order
from recsys.models.popularity_context import DAY, HOUR


class RecentPopularity(Recommender):
    """Scores an item by its number of ratings in the last days of training; ties are broken by overall popularity.

    Args:
        days: length, in days, of the period that ends with the last training rating; only ratings in this period count.
        pause: number of hours without a rating after which the user's next rating begins a new visit. If given, a
            rating counts only if it begins a visit and is not the user's first rating: what returning users rate first
            in a visit differs from what they rate next, perhaps because a site shows it to them first. With None, all
            ratings of the period count.

    Raises:
        UserError: `days` or `pause` is not above zero.

    Attributes:
        scores: float32 (n_items,) number of ratings that count, plus a tie-breaker: at most 1/2, in proportion to the
            number of all training ratings of the item.
    """

    learned = ("scores",)
    scores: np.ndarray

    def __init__(self, days: float = 7.0, pause: float | None = None) -> None:
        check_positive(days=days)
        if pause is not None:
            check_positive(pause=pause)
        self.days = days
        self.pause = pause

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Compute `scores`.

        Raises:
            UserError: the training ratings have no times.
        """
        require_order(train, "RecentPopularity")
        times = np.asarray(train.times)
        counted = times > times.max(initial=0) - self.days * DAY
        if self.pause is not None:
            counted &= _begins_visit(train, times, self.pause * HOUR)
        counts = np.bincount(train.items[counted], minlength=train.n_items)
        tie_breaks = train.item_counts / (2 * train.item_counts.max(initial=1))
        self.scores = (counts + tie_breaks).astype(np.float32)

    def _score(self, query: Query) -> np.ndarray:
        return np.tile(self.scores, (len(query), 1))


def _begins_visit(train: Dataset, times: np.ndarray, pause: float) -> np.ndarray:
    """Return whether each rating is at least `pause` seconds later than the user's previous rating, bool (n_ratings,).

    The value is False for a user's first rating.
    """
    begins = np.diff(times, prepend=0) >= pause
    begins[train.indptr[:-1][train.user_counts > 0]] = False  # the first rating of each user
    return begins
