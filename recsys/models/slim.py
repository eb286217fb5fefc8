"""SLIM: each item as a sparse, non-negative combination of the others.

Ning and Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.errors import check_not_negative, check_positive
from recsys.models.base import FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.memory import check_item_pairs
from recsys.models.recency import HalfLife, check_half_life

BYTES_PER_PAIR = 16  # peak for each pair of items: the sparse Gram matrix and its dense copy
BLOCK = 64  # coordinates whose gradients are computed in one matrix product


class SLIM(ItemToItem):
    """Scores items by a learned sparse item-to-item weight matrix.

    Args:
        l1: penalty on the sum of weights, the paper's lambda. Larger values make the matrix sparser.
        l2: penalty on half the sum of squared weights, the paper's beta.
        tolerance: optimisation stops after a sweep that changes no weight by more than this.
        max_sweeps: maximum number of sweeps over all weights.
        half_life: see `WeighsHistories`.
    """

    def __init__(
        self,
        l1: float = 1.0,
        l2: float = 100.0,
        tolerance: float = 0.01,
        max_sweeps: int = 50,
        half_life: HalfLife = None,
    ) -> None:
        check_not_negative(l1=l1, tolerance=tolerance)
        check_positive(l2=l2, max_sweeps=max_sweeps)
        self.l1 = l1
        self.l2 = l2
        self.tolerance = tolerance
        self.max_sweeps = max_sweeps
        self.half_life = check_half_life(half_life)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Minimise |A - A W|^2 / 2 + l2 |W|^2 / 2 + l1 |W|_1 for W >= 0 with a zero diagonal (equation 4).

        Raises:
            UserError: the catalogue is too large for a dense matrix over it.
        """
        check_item_pairs(BYTES_PER_PAIR, train.n_items, "SLIM")
        interactions = train.matrix()  # (n_users, n_items)
        gram = (interactions.T @ interactions).toarray()
        weights = np.zeros_like(gram)
        for _ in range(self.max_sweeps):
            if self._sweep(gram, weights) <= self.tolerance:
                break
        self.item_weights = sparse.csr_matrix(weights)  # (n_items, n_items), a column for each item that is scored

    def _sweep(self, gram: np.ndarray, weights: np.ndarray) -> float:
        """Update every weight once, in place, and return the largest change.

        Coordinate descent updates W row by row. The regression of an item is an independent column of W, so a row,
        one coordinate of every regression, is updated at once.
        """
        largest = 0.0
        for start in range(0, len(gram), BLOCK):
            block = gram[start : start + BLOCK]  # (b, n_items)
            residuals = block - block @ weights
            for row, item in enumerate(range(start, start + len(block))):
                fit = residuals[row] + gram[item, item] * weights[item]
                updated = np.maximum(fit - self.l1, 0.0) / (gram[item, item] + self.l2)
                updated[item] = 0.0
                change = updated - weights[item]
                weights[item] = updated
                residuals[row + 1 :] -= np.outer(block[row + 1 :, item], change)
                largest = max(largest, float(np.abs(change).max()))
        return largest
