"""Neighbours for stars: films that the same people rate alike, people who rate the same films alike.

What is compared are residuals, by how much ratings differ from `Bias`: their correlation, shrunk where few ratings are
shared (Koren, "Factor in the Neighbors", ACM TKDD 2010, section 3.1). In place of the k nearest all that correlate
above zero count, with a power of their correlation: Breese, Heckerman and Kadie, "Empirical Analysis of Predictive
Algorithms for Collaborative Filtering", UAI 1998, section 2.1.3.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, History, Holdout
from recsys.models.base import FitContext, Recommender
from recsys.models.bias import Bias
from recsys.models.memory import check_memory

BYTES_PER_PAIR = 32  # of films or users: matrices of 4 bytes, as many as a correlation takes
TINY = 1e-9


class _RatingKNN(Bias):
    def __init__(self, shrinkage: float = 100.0, amplification: float = 2.0, damping: float = 1.0, **bias: Any) -> None:
        super().__init__(**bias)
        self.shrinkage = shrinkage
        self.amplification = amplification
        self.damping = damping

    predict = Recommender.predict  # of a user's row of scores

    def residuals(self, history: History) -> sparse.csr_matrix:
        """Float32 (B, n_items): stars above `Bias` where a film was rated."""
        expected = self.mean + self.item_bias[history.items] + self.user_bias(history)[history.rows]
        shape = (len(history), len(self.item_bias))
        return sparse.csr_matrix(
            ((history.ratings - expected).astype(np.float32), history.items, history.indptr), shape
        )

    def weights(self, rows: sparse.csr_matrix, others: sparse.csr_matrix) -> np.ndarray:
        """How much the others (n, m) count for each row (B, m), both residuals: float32 (B, n), none below zero."""
        rated, others_rated = (_ones(matrix) for matrix in (rows, others))
        shared = (rated @ others_rated.T).toarray()  # (B, n) ratings that both have
        squares = (_like(rows, rows.data**2) @ others_rated.T).toarray()  # of these ratings' residuals
        squares *= (rated @ _like(others, others.data**2).T).toarray()
        correlation = (rows @ others.T).toarray() / np.sqrt(squares + TINY)
        correlation *= shared / (shared + self.shrinkage + TINY)
        return np.maximum(correlation, 0) ** self.amplification


class RatingItemKNN(_RatingKNN):
    """Predict `Bias` plus the mean residual of the films in the history, by how alike the film is rated.

    Args:
        shrinkage: shared ratings at which a correlation counts half.
        amplification: power of the correlation.
        damping: added to the sum of weights: residuals of zero that every film is given beforehand.
        **bias: see `Bias`.
    """

    learned = (*Bias.learned, "item_weights")

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Correlate all pairs of films.

        Raises:
            UserError: they do not fit in memory.
        """
        check_memory(BYTES_PER_PAIR * train.n_items**2, f"Correlating {train.n_items:,} films", "take model=biased_mf")
        super().fit(train)
        raters = self.residuals(train.history(np.arange(train.n_users))).T.tocsr()  # (n_items, n_users)
        self.item_weights = self.weights(raters, raters)  # (n_items, n_items)
        np.fill_diagonal(self.item_weights, 0)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Predicted stars, not clipped; see `Recommender.score`."""
        rows = self.residuals(history)
        near = _ones(rows) @ self.item_weights + self.damping  # (B, n_items)
        return super().score(users, history) + rows @ self.item_weights / near


class RatingUserKNN(_RatingKNN):
    """Predict `Bias` plus the mean residual of those who rated the film, by how alike they rate; found in the history.

    Args:
        shrinkage: shared ratings at which a correlation counts half.
        amplification: power of the correlation.
        damping: added to the sum of weights: residuals of zero that every film is given beforehand.
        **bias: see `Bias`.
    """

    learned = (*Bias.learned, "train_residuals")

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Keep everybody's residuals; the work is in `score`."""
        super().fit(train)
        self.train_residuals = self.residuals(train.history(np.arange(train.n_users)))  # (n_users, n_items)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Predicted stars, not clipped; see `Recommender.score`."""
        weights = self.weights(self.residuals(history), self.train_residuals)  # (B, n_users)
        known = np.flatnonzero(users >= 0)
        weights[known, users[known]] = 0  # nobody is their own neighbour
        near = weights @ _ones(self.train_residuals) + self.damping  # (B, n_items)
        return super().score(users, history) + weights @ self.train_residuals / near


def _ones(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """1 where there is a value, be it zero."""
    return _like(matrix, np.ones_like(matrix.data))


def _like(matrix: sparse.csr_matrix, values: np.ndarray) -> sparse.csr_matrix:
    """Other values in the same places; unlike `power`, it leaves the matrix as it is, whose columns are a history's."""
    return sparse.csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape)
