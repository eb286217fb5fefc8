"""Monitors: the validation metrics on which early stopping and the choice of the best epoch depend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import numpy as np

from recsys.data.dataset import Holdout
from recsys.data.query import Pairs, Query
from recsys.metrics.accuracy import ranking_metrics
from recsys.metrics.direction import direction


class Scorer(Protocol):
    """An object that scores queries, such as a recommender or a module."""

    def score(self, query: Query) -> np.ndarray:
        """Return the scores of all items, float32 (B, n_items)."""

    def predict(self, pairs: Pairs) -> np.ndarray:
        """Return the scores of pairs of user and item, float32 (P,)."""


class Monitor(ABC):
    """Validation metrics, computed from means over queries or over ratings.

    Attributes:
        names: names of all metrics, without `valid/`.
        metric: name of the metric that early stopping monitors.
    """

    names: ClassVar[tuple[str, ...]]
    metric: ClassVar[str]

    @property
    def mode(self) -> str:
        """Return `min` if smaller values of `metric` are better, else `max`."""
        return "min" if direction(self.metric) < 0 else "max"

    @abstractmethod
    def measure(self, scorer: Scorer, rows: np.ndarray, holdout: Holdout) -> tuple[np.ndarray, np.ndarray]:
        """Compute values for some queries; `summary` turns the means of the values over all queries into metrics.

        Args:
            scorer: model to measure.
            rows: int64 (B,) positions of the queries in the holdout.
            holdout: held-out ratings.

        Returns:
            A distinct key for each of n queries or ratings, int64 (n,), and their values, float64 (len(names), n).
            Values are sorted by key before they are averaged, so that the means do not depend on how the queries are
            divided into batches.
        """

    @abstractmethod
    def summary(self, means: np.ndarray) -> np.ndarray:
        """Return the metrics, float64 (len(names),), given the means of the values of `measure`, of the same shape."""


class RankingMonitor(Monitor):
    """Ranking metrics of lists of 10 items from the whole catalogue, computed by the code of the final evaluation."""

    names = ("hr@10", "mrr@10", "ndcg@10", "recall@10")
    metric = "ndcg@10"

    def measure(self, scorer: Scorer, rows: np.ndarray, holdout: Holdout) -> tuple[np.ndarray, np.ndarray]:
        """See `Monitor.measure`."""
        measured = ranking_metrics(scorer.score(holdout.query(rows)), holdout, (10,), rows)
        return rows, np.stack([measured[name] for name in self.names])

    def summary(self, means: np.ndarray) -> np.ndarray:
        """See `Monitor.summary`."""
        return means


class RatingMonitor(Monitor):
    """RMSE and MAE of predicted ratings, in rating units, over all held-out ratings."""

    names = ("rmse", "mae")
    metric = "rmse"

    def measure(self, scorer: Scorer, rows: np.ndarray, holdout: Holdout) -> tuple[np.ndarray, np.ndarray]:
        """See `Monitor.measure`."""
        held_out = holdout.relevant(rows)
        predicted = scorer.predict(Pairs(holdout.query(rows), held_out.rows, held_out.items))
        error = np.abs(predicted - held_out.ratings, dtype=np.float64)
        return rows[held_out.rows] * holdout.ratings.n_items + held_out.items, np.stack([error**2, error])

    def summary(self, means: np.ndarray) -> np.ndarray:
        """See `Monitor.summary`."""
        mean_square, mean = means
        return np.array([np.sqrt(mean_square), mean])
