"""GF-CF for large catalogues: both filters are computed from only the lowest frequencies of the item graph.

`recsys.models.gfcf` needs memory for a dense matrix of weights between all items. Here, memory and time grow linearly
with the numbers of items and of interactions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Query
from recsys.errors import check_positive
from recsys.models.base import FitContext
from recsys.models.gfcf import GFCF, normalised_interactions
from recsys.models.memory import check_memory
from recsys.models.singular_vectors import leading_singular_vectors

if TYPE_CHECKING:
    from recsys.models.graphs import ScoreGraph

BYTES_PER_CELL = 4
COPIES_OF_VECTORS = 8  # for the iteration, which has twice as many vectors in two copies; its result; basis and weights
BYTES_PER_INTERACTION = 40  # the interactions, both products with the degrees, and the result


class LowRankGFCF(GFCF):
    """Scores items by a linear and an ideal low-pass filter of the history, both of low rank.

    R~, D_I, V and alpha are those of `GFCF`. With S the diagonal matrix of the `rank` largest singular values of R~,
    and with their right singular vectors as the columns of U,

        W = [U S^2, alpha D_I^(-1/2) V] [U, D_I^(1/2) V]'.

    U S^2 U' is the best approximation of R~' R~ with this rank. The larger the rank, the closer W is to that of `GFCF`.

    Args:
        rank: number of singular vectors of the linear filter; the ideal filter uses at most `n_frequencies` of them.
        **model: see `GFCF`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        item_basis: float32 (n_items, rank + n_frequencies), the first factor of W. It has fewer columns if R~ has fewer
            singular vectors, or if `n_frequencies` exceeds `rank`.
        item_weights: float32 (rank + n_frequencies, n_items), the second factor of W. It has as many rows as
            `item_basis` has columns.
    """

    learned = ("item_basis", "item_weights")
    item_basis: np.ndarray
    item_weights: np.ndarray

    def __init__(self, rank: int = 512, **model: Any) -> None:
        super().__init__(**model)
        check_positive(rank=rank)
        self.rank = rank

    def removal_losses(self, history: History, positions: np.ndarray, items: np.ndarray) -> np.ndarray:
        """See `ExplainsByRemoval.removal_losses`; a loss is the interaction's weight times an element of W."""
        weights = self.item_basis[history.items[positions]] @ self.item_weights[:, items]
        return self.history_weights(history)[positions, None] * weights

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph.graph`; the graph holds both factors of W."""
        from recsys.models.graphs import LinearGraph  # torch

        return LinearGraph([self.weights_graph(length)], self.item_weights, self.item_basis)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Compute both factors of W from the singular vectors of R~.

        Raises:
            UserError: the singular vectors do not fit in memory.
        """
        cells = COPIES_OF_VECTORS * self.rank * (train.n_items + train.n_users // 4)
        check_memory(
            BYTES_PER_CELL * cells + BYTES_PER_INTERACTION * len(train),
            f"LowRankGFCF of rank {self.rank} on {train.n_items:,} items",
            "give a lower model.rank",
        )
        normalised, degrees = normalised_interactions(train)
        values, vectors = leading_singular_vectors(normalised, self.rank, self.seed)
        ideal = vectors[:, -self.n_frequencies :]  # the last vectors have the largest singular values
        self.item_basis = np.hstack([vectors * values**2, self.ideal_weight * ideal / degrees]).astype(np.float32)
        self.item_weights = np.ascontiguousarray(np.hstack([vectors, ideal * degrees]).T, dtype=np.float32)

    def _score(self, query: Query) -> np.ndarray:
        return self.history_matrix(query.history, len(self.item_basis)) @ self.item_basis @ self.item_weights
