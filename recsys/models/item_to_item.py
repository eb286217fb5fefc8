"""The base class of item-to-item models, which learn a weight for each pair of items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.models.base import ExplainsByRemoval, HasGraph
from recsys.models.memory import check_memory
from recsys.models.recency import WeighsHistories

if TYPE_CHECKING:
    from recsys.models.graphs import ScoreGraph

BYTES_PER_PAIR = 8  # the matrix, and its copy in a graph


class ItemToItem(WeighsHistories, ExplainsByRemoval, HasGraph):
    """Scores an item by the sum of the weights between the items in the history and this item.

    In matrix form, the scores are X W, where each row of X is a history.

    Attributes:
        item_weights: W, float32 (n_items, n_items), dense or CSR. Rows are items of histories, and columns are scored
            items. A dense matrix is C-contiguous, since the product of a sparse X and W reads rows of W.
    """

    learned: tuple[str, ...] = ("item_weights",)
    item_weights: np.ndarray | sparse.csr_matrix

    def _score(self, query: Query) -> np.ndarray:
        scores = self.history_matrix(query.history, self.item_weights.shape[0]) @ self.item_weights
        return scores if isinstance(scores, np.ndarray) else scores.toarray()

    def removal_losses(self, history: History, positions: np.ndarray, items: np.ndarray) -> np.ndarray:
        """See `ExplainsByRemoval`; an interaction adds its weight times its item's row of W to the scores."""
        rows = history.items[positions][:, None]
        weights = self.item_weights[rows, items]
        dense = weights if isinstance(weights, np.ndarray) else weights.toarray()
        return self.history_weights(history)[positions, None] * dense

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph`; the graph stores W as a dense matrix."""
        from recsys.models.graphs import LinearGraph  # torch

        weights = self.item_weights
        if not isinstance(weights, np.ndarray):
            check_memory(
                BYTES_PER_PAIR * data.n_items**2,
                f"A dense matrix of weights between {data.n_items:,} items, as graphs have,",
                "export a run of elsa or low_rank_gfcf",
            )
            weights = weights.toarray()
        return LinearGraph([self.weights_graph(length)], weights)
