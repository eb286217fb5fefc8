"""SLIM: each item as a sparse, non-negative combination of the other items.

Ning and Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011. A few sweeps of coordinate
descent determine approximately which weights are positive. Starting from the result, block principal pivoting (Kim and
Park, "Fast Nonnegative Matrix Factorization: An Active-Set-Like Method and Comparisons", SIAM Journal on Scientific
Computing 2011) solves the regression of each item exactly, at the cost of a few small linear systems.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.errors import check_not_negative, check_positive
from recsys.models.base import FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.memory import check_item_pairs

BYTES_PER_PAIR = 16  # peak memory per pair of items: the sparse Gram matrix and its dense copy
BLOCK = 64  # coordinates whose gradients are computed in one matrix product
MAX_GRADIENT = 1e-3  # a weight may stay zero if its gradient towards positive values, in interactions, is at most this
PATIENCE = 3  # number of times that exchanging all wrong weights may fail to reduce their number


class SLIM(ItemToItem):
    """Scores items by a learned item-to-item weight matrix, which is sparse and has no negative elements.

    Args:
        l1: penalty on the sum of the weights, the paper's lambda. Larger values make the matrix sparser.
        l2: penalty on half the sum of the squared weights, the paper's beta.
        tolerance: coordinate descent stops after a sweep that changes no weight by more than this. It affects the time
            that a fit takes but not the result, because the regressions are then solved exactly.
        max_sweeps: largest number of sweeps of coordinate descent over all weights.
        **history: see `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self,
        l1: float = 1.0,
        l2: float = 100.0,
        tolerance: float = 0.1,
        max_sweeps: int = 50,
        **history: Any,
    ) -> None:
        super().__init__(**history)
        check_not_negative(l1=l1, tolerance=tolerance)
        check_positive(l2=l2, max_sweeps=max_sweeps)
        self.l1 = l1
        self.l2 = l2
        self.tolerance = tolerance
        self.max_sweeps = max_sweeps

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Minimise |A - A W|^2 / 2 + l2 |W|^2 / 2 + l1 |W|_1 for W >= 0 with a zero diagonal (the paper's equation 4).

        A is the binary matrix of interactions, (n_users, n_items).

        Raises:
            UserError: a dense matrix over all pairs of items does not fit in memory.
        """
        check_item_pairs(BYTES_PER_PAIR, train.n_items, "SLIM")
        interactions = train.matrix()  # (n_users, n_items)
        gram = (interactions.T @ interactions).toarray()
        weights = np.zeros_like(gram)
        for _ in range(self.max_sweeps):
            if self._sweep(gram, weights) <= self.tolerance:
                break
        for item in range(train.n_items):
            target = gram[:, item].astype(np.float64) - self.l1
            target[item] = -np.inf
            weights[:, item] = _nonnegative_regression(gram, self.l2, target, start=weights[:, item] > 0)
        self.item_weights = sparse.csr_matrix(weights)  # (n_items, n_items), a column for each item that is scored

    def _sweep(self, gram: np.ndarray, weights: np.ndarray) -> float:
        """Update every weight once, in place, and return the largest change.

        The weights of one item's regression are a column of W, and columns do not depend on each other. A row of W has
        one coordinate of every regression, so coordinate descent updates all elements of a row at once.

        Args:
            gram: float32 (n_items, n_items), A' A.
            weights: float32 (n_items, n_items), W.
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


def _nonnegative_regression(gram: np.ndarray, l2: float, target: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Minimise w (gram + l2 I) w / 2 - target w for w >= 0 by block principal pivoting.

    Each weight is assumed to be either positive or zero. In each round, the weights assumed to be positive are solved
    for, and the others are set to zero. An assumption is wrong if the solution is negative for a weight assumed to be
    positive, or if a positive value of a weight assumed to be zero would lower the objective. All wrong assumptions are
    then reversed. If this repeatedly does not reduce the number of wrong assumptions, only the last wrong assumption is
    reversed in each round, which is slower but always terminates. From then on, gradients are computed in double
    precision: in single precision, the gradients of items with 100,000 ratings have rounding errors above
    `MAX_GRADIENT`, so the same assumption could be reversed again and again.

    Args:
        gram: float32 (n, n), symmetric.
        l2: penalty on half the sum of squared weights.
        target: float64 (n,); minus infinity for a weight that must be zero.
        start: bool (n,) whether each weight is assumed to be positive at first.

    Returns:
        float64 (n,) weights w.
    """
    positive, fewest_wrong, patience, precision = start, len(target), PATIENCE, gram.dtype
    while True:
        rows = gram[positive]  # (k, n)
        system = rows[:, positive] + l2 * np.eye(len(rows))
        solved = np.linalg.solve(system, target[positive])  # float64 (k,)
        weights = np.zeros(len(target))
        weights[positive] = solved
        wrong = np.where(positive, weights < 0, target - solved.astype(precision) @ rows > MAX_GRADIENT)
        n_wrong = int(np.count_nonzero(wrong))
        if n_wrong == 0:
            return weights
        if n_wrong < fewest_wrong:
            fewest_wrong, patience = n_wrong, PATIENCE
        elif patience > 0:
            patience -= 1
        else:
            wrong[: np.flatnonzero(wrong)[-1]] = False
            precision = np.dtype(np.float64)
        positive = positive ^ wrong
