"""Score graphs of deep models: modules applied to padded histories, for export; see `recsys.models.graphs`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from recsys.models.graphs import HistoryWeights, PaddedQuery, ScoreGraph, given, rows_of_users
from recsys.models.neural.batches import PaddedHistoryBatch, QueryBatch
from recsys.models.neural.module import HistoryModule, NeuralModule


class UserGraph(ScoreGraph):
    """Computes the scores of a module that represents users by their codes alone.

    Args:
        module: the trained module.
        constant: constant to add to the scores: the mean rating if the module predicts ratings, else 0.
    """

    reads: tuple[str, ...] = ("users",)

    def __init__(self, module: NeuralModule, constant: float) -> None:
        super().__init__()
        self.module, self.constant = module, constant

    def forward(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph`."""
        return self.module(QueryBatch(rows_of_users(query, self.module.n_users))) + self.constant

    def lengths(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph.lengths`; returns zeros, since no histories are read."""
        return torch.zeros_like(rows_of_users(query, 0))

    def by_history(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph.by_history`; returns False for all users."""
        return self.lengths(query) > 0


class FoldInGraph(UserGraph):
    """Computes the scores of a module with user embeddings; new users get embeddings from their histories (fold-in).

    Args:
        module: the trained module.
        tables: the module's tables of users, (n_users + 1, d) each, by the names of their weights.
        trained: bool (n_users,) whether each user has training interactions.
        regression: see `recsys.models.neural.fold_in.FoldsIn`.
        item_vectors: float32 (n_items, d) item embeddings, from which the inputs of the regression are computed.
    """

    reads = ("users", "items")
    trained: Tensor
    regression: Tensor
    item_vectors: Tensor

    def __init__(
        self,
        module: NeuralModule,
        tables: Mapping[str, nn.Embedding],
        trained: np.ndarray,
        regression: np.ndarray,
        item_vectors: np.ndarray,
    ) -> None:
        super().__init__(module, 0.0)
        self.tables = dict(tables)
        self.register_buffer("trained", torch.from_numpy(np.append(trained, False)))
        self.register_buffer("regression", torch.from_numpy(regression))
        self.register_buffer("item_vectors", torch.from_numpy(item_vectors))

    def forward(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph`.

        For this call only, the module's user embedding tables are replaced by tables with a row per user of the query.
        """
        history = PaddedHistoryBatch.from_padded(query, torch.ones_like(given(query.items), dtype=torch.float32))
        x = history.pooled(self.item_vectors, history.weights) / history.lengths.clamp(min=1).sqrt()[:, None]
        folded = (x @ self.regression[:-1] + self.regression[-1]).split(
            [table.embedding_dim for table in self.tables.values()], dim=1
        )
        users, new = rows_of_users(query, self.module.n_users), self.by_history(query)[:, None]
        rows = {
            name: torch.where(new, own, table.weight[users])
            for (name, table), own in zip(self.tables.items(), folded, strict=True)
        }
        return functional_call(self.module, rows, (QueryBatch(torch.arange(users.shape[0])),))

    def lengths(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph.lengths`; returns the lengths of the histories, unlike `UserGraph`."""
        return ScoreGraph.lengths(self, query)

    def by_history(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph.by_history`; returns True for users unseen in training who have a history."""
        return ~self.trained[rows_of_users(query, self.module.n_users)] & (self.lengths(query) > 0)


class HistoryGraph(ScoreGraph):
    """Computes the scores of a module that reads histories.

    Args:
        module: the trained module.
        weights: computes the weight of each interaction from its recency and the number of plays.
        constant: constant to add to the scores: the mean rating if the module predicts ratings, else 0.
    """

    def __init__(self, module: HistoryModule, weights: HistoryWeights, constant: float) -> None:
        super().__init__()
        self.module, self.weights, self.constant = module, weights, constant
        self.reads = (*weights.reads, *(["users"] if module.user_tables() else []))

    def forward(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph`."""
        history = PaddedHistoryBatch.from_padded(query, self.weights(query))
        users = history.lengths if query.users is None else rows_of_users(query, self.module.n_users)
        return self.module(QueryBatch(users, history)) + self.constant
