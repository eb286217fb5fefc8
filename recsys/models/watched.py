"""What validation measures at every epoch, and what early stopping and the choice of weights go by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from recsys.data.dataset import Holdout
from recsys.metrics.accuracy import ranking_metrics

if TYPE_CHECKING:
    from recsys.models.neural import NeuralRecommender


class Watched(ABC):
    """Metrics that are means over what was measured, be it users or ratings."""

    names: ClassVar[tuple[str, ...]]
    monitor: ClassVar[str]  # one of the names
    mode: ClassVar[str]  # whether that is to grow, `max`, or to fall, `min`

    @abstractmethod
    def measure(self, model: NeuralRecommender, users: np.ndarray, holdout: Holdout) -> tuple[np.ndarray, np.ndarray]:
        """What some users (int64 (B,)) add: int64 (n,) different numbers to sort by, and values (len(names), n)."""

    @abstractmethod
    def summary(self, means: np.ndarray) -> np.ndarray:
        """The metrics, of the values' means (len(names),)."""


class WatchedRanks(Watched):
    """How well the catalogue is ranked, by the code that ranks for every model."""

    names = ("hr@10", "mrr@10", "ndcg@10", "recall@10")
    monitor = "ndcg@10"
    mode = "max"

    def measure(self, model: NeuralRecommender, users: np.ndarray, holdout: Holdout) -> tuple[np.ndarray, np.ndarray]:
        """See `Watched.measure`."""
        scores = model.score(users, holdout.known.history(users))
        measured = ranking_metrics(scores, users, holdout, ks=(10,))
        return users, np.stack([measured[name] for name in self.names])

    def summary(self, means: np.ndarray) -> np.ndarray:
        """See `Watched.summary`."""
        return means


class WatchedStars(Watched):
    """How far predicted stars are off, pooled over ratings."""

    names = ("rmse", "mae")
    monitor = "rmse"
    mode = "min"

    def measure(self, model: NeuralRecommender, users: np.ndarray, holdout: Holdout) -> tuple[np.ndarray, np.ndarray]:
        """See `Watched.measure`."""
        asked = holdout.ratings.history(users)
        predicted = model.predict(users, holdout.known.history(users), asked.rows, asked.items)
        error = np.abs(predicted - asked.ratings, dtype=np.float64)
        return users[asked.rows] * model.n_items + asked.items, np.stack([error**2, error])

    def summary(self, means: np.ndarray) -> np.ndarray:
        """See `Watched.summary`."""
        mean_square, mean = means
        return np.array([np.sqrt(mean_square), mean])
