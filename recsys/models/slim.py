"""SLIM: each film as a sparse, non-negative combination of the others.

Ning and Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.models.base import FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.memory import check_item_pairs

BYTES_PER_PAIR = 16  # of films at the peak: the sparse Gram matrix while it is made dense
BLOCK = 64  # coordinates whose gradients are computed in one matrix product


class SLIM(ItemToItem):
    """Score items by a learned sparse item-item matrix.

    Args:
        l1: weight of the sum of weights, the paper's lambda: the larger, the sparser.
        l2: weight of half the sum of squared weights, the paper's beta.
        tolerance: stop when a sweep changes no weight by more.
        max_sweeps: stop after so many anyway.
    """

    def __init__(self, l1: float = 1.0, l2: float = 100.0, tolerance: float = 0.01, max_sweeps: int = 50) -> None:
        self.l1 = l1
        self.l2 = l2
        self.tolerance = tolerance
        self.max_sweeps = max_sweeps

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
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
        self.item_weights = sparse.csr_matrix(weights)  # (n_items, n_items), a column for each film scored
        return self

    def _sweep(self, gram: np.ndarray, weights: np.ndarray) -> float:
        """Update every weight once, in place; returns the largest change.

        Coordinate descent goes through the rows of W. The films' problems are apart from each other, so a row is one
        coordinate of all of them, and is updated at once.
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
