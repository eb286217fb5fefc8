"""Plays as weights: interactions are weighted by how often, or how long, a user played an item.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError, check_not_negative, check_positive
from recsys.models.recency import WeighsHistories

if TYPE_CHECKING:
    from recsys.models.graphs import HistoryWeights


class WeighsPlays(WeighsHistories):
    """A model that can weight interactions by plays, both in training and in the histories of queries.

    In a history without plays, such as that of a new user who lists items, each item counts as played once.

    Args:
        play_weight: the paper's alpha: an interaction has the weight 1 + play_weight * plays, so 0 weights all
            interactions equally.
        play_scale: the paper's epsilon: if given, plays are replaced by log(1 + plays / play_scale).
        **history: see `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(self, play_weight: float = 0.0, play_scale: float | None = None, **history: Any) -> None:
        super().__init__(**history)
        check_not_negative(play_weight=play_weight)
        if play_scale is not None:
            check_positive(play_scale=play_scale)
        self.play_weight = play_weight
        self.play_scale = play_scale

    def history_weights(self, history: History) -> np.ndarray:
        """Return the weight of each interaction, float32 (n,): its weight by recency times its weight by plays."""
        return super().history_weights(history) * self._play_weights(history)

    def weights_graph(self, length: int) -> HistoryWeights:
        """See `WeighsHistories.weights_graph`; a weight is the weight by recency times the weight by plays."""
        from recsys.models.graphs import HistoryWeights  # torch

        by_recency = super().weights_graph(length)
        return HistoryWeights(by_recency.by_place.numpy(), by_recency.days, self.play_weight, self.play_scale)

    def training_matrix(self, train: Dataset) -> sparse.csr_matrix:
        """Return the training interactions weighted by plays, CSR float32 (n_users, n_items).

        Raises:
            UserError: `play_weight` is above 0, but the data have no plays.
        """
        if self.play_weight and train.plays is None:
            raise UserError(
                f"{type(self).__name__} with play_weight={self.play_weight:g} needs data with plays, but {train.name} "
                "has none: name their column in data.columns.plays, set data.plays=true for a published data set that "
                "has them, or set model.play_weight=0."
            )
        history = train.histories()
        return history.matrix(train.n_items, self._play_weights(history))

    def _play_weights(self, history: History) -> np.ndarray:
        """Return the weight of each interaction by plays, float32 (n,).

        In a history without plays, each interaction counts as one play.
        """
        plays = np.ones(len(history.items), np.float32) if history.plays is None else history.plays
        if self.play_scale is not None:
            plays = np.log1p(plays / self.play_scale)
        return (1 + self.play_weight * plays).astype(np.float32)
