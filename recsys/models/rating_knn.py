"""Neighbourhood models for ratings: items that the same users rate alike, and users who rate the same items alike.

Similarity is the correlation of residuals (ratings minus predictions of `Bias`), shrunk where few ratings are shared
(Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering", ACM TKDD 2010, section 3.1). Instead
of the k nearest neighbours, all neighbours with a positive correlation are used, weighted by a power of the
correlation: Breese, Heckerman and Kadie, "Empirical Analysis of Predictive Algorithms for Collaborative Filtering", UAI
1998, section 2.1.3.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Pairs, Query
from recsys.errors import check_not_negative
from recsys.models.base import FitContext, Recommender
from recsys.models.bias import Bias, damped_mean
from recsys.models.memory import check_memory
from recsys.models.neighbours import VALUES_PER_BLOCK

BYTES_PER_PAIR = 32  # bytes per pair of items: the float32 matrices from which correlations are computed
TINY = 1e-9  # prevents divisions by zero


class ComparedRows(NamedTuple):
    """Residuals of n users (or n items), prepared for the comparison of other users (or items) with them.

    Each attribute is CSR float32 (m, n), with a column for each user (or item); m is the number of items (or users).

    Attributes:
        residuals: the residuals.
        squares: the squared residuals.
        rated: 1 for each rating.
    """

    residuals: sparse.csr_matrix
    squares: sparse.csr_matrix
    rated: sparse.csr_matrix

    @classmethod
    def of(cls, rows: sparse.csr_matrix) -> Self:
        """Build from residuals, CSR float32 (n, m), a row for each user (or item)."""
        residuals = rows.T.tocsr()
        return cls(residuals, _like(residuals, residuals.data**2), _ones(residuals))


class _RatingNeighbours(Bias):
    def __init__(self, shrinkage: float = 100.0, amplification: float = 2.0, damping: float = 1.0, **bias: Any) -> None:
        super().__init__(**bias)
        check_not_negative(shrinkage=shrinkage, amplification=amplification, damping=damping)
        self.shrinkage = shrinkage
        self.amplification = amplification
        self.damping = damping

    _predict = Recommender._predict  # computes whole rows of scores, unlike that of `Bias`

    def residual_matrix(self, history: History) -> sparse.csr_matrix:
        """Return the residuals of histories, CSR float32 (B, n_items): ratings minus the predictions of `Bias`."""
        residuals = self.residuals(history).astype(np.float32)
        return sparse.csr_matrix((residuals, history.items, history.indptr), (len(history), len(self.item_bias)))

    def weights(self, rows: sparse.csr_matrix, others: ComparedRows) -> np.ndarray:
        """Return the weights of n other users (or items) for each of B users (or items).

        A weight is the shrunk correlation to the power `amplification`.

        Args:
            rows: CSR float32 (B, m) residuals of the B users (or items).
            others: residuals of the n other users (or items).

        Returns:
            float32 (B, n); 0 where the correlation is negative or no ratings are shared.
        """
        rated = _ones(rows)
        shared = (rated @ others.rated).toarray()  # (B, n) ratings that both have
        squares = (_like(rows, rows.data**2) @ others.rated).toarray()  # of these ratings' residuals
        squares *= (rated @ others.squares).toarray()
        correlation = (rows @ others.residuals).toarray() / np.sqrt(squares + TINY)
        correlation *= shared / (shared + self.shrinkage + TINY)
        return np.maximum(correlation, 0) ** self.amplification


class RatingItemKNN(_RatingNeighbours):
    """Predicts a rating as the prediction of `Bias` plus a weighted mean of the residuals in the user's history.

    Items of the history that users rate more similarly to the predicted item have larger weights.

    Args:
        shrinkage: the correlation of two items is halved if this many users rated both, and shrunk more if fewer did.
        amplification: power to which positive correlations are raised; negative correlations get the weight 0.
        damping: constant that is added to the sum of the weights, so that the mean shrinks towards zero.
        **bias: further arguments, see `Bias`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        item_weights: float32 (n_items, n_items) weights of all pairs of items, symmetric, with a diagonal of 0.
    """

    learned = (*Bias.learned, "item_weights")

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Correlate all pairs of items.

        Raises:
            UserError: the correlations do not fit in memory.
        """
        check_memory(
            BYTES_PER_PAIR * train.n_items**2, f"Correlating {train.n_items:,} items", "choose model=biased_mf"
        )
        super()._fit(train, valid, context)
        raters = self.residual_matrix(train.histories()).T.tocsr()  # (n_items, n_users)
        self.item_weights = self.weights(raters, ComparedRows.of(raters))  # (n_items, n_items)
        np.fill_diagonal(self.item_weights, 0)

    def _score(self, query: Query) -> np.ndarray:
        rows = self.residual_matrix(query.history)
        weights = _ones(rows) @ self.item_weights  # (B, n_items) sums of the weights
        return super()._score(query) + damped_mean(rows @ self.item_weights, weights, self.damping)

    def _predict(self, pairs: Pairs) -> np.ndarray:
        """See `Recommender._predict`; reads only the weights between a pair's item and the items of the history."""
        rows = self.residual_matrix(pairs.query.history)
        predicted = Bias._predict(self, pairs)
        n_passes = 1 + pairs.query.history.lengths[pairs.rows].sum() // VALUES_PER_BLOCK
        for own in np.array_split(np.arange(len(pairs)), n_passes):
            predicted[own] += self._mean_residuals(rows[pairs.rows[own]], pairs.items[own])
        return predicted

    def _mean_residuals(self, rows: sparse.csr_matrix, items: np.ndarray) -> np.ndarray:
        """Return a weighted mean of the residuals in each row, float32 (P,).

        Args:
            rows: CSR float32 (P, n_items) residuals.
            items: int (P,) predicted item of each row, which determines the weights.
        """
        weights = self.item_weights[rows.indices, np.repeat(items, np.diff(rows.indptr))]
        ones = np.ones(rows.shape[1], np.float32)
        sums, totals = (_like(rows, values) @ ones for values in (rows.data * weights, weights))
        return damped_mean(sums, totals, self.damping)


class RatingUserKNN(_RatingNeighbours):
    """Predicts a rating as the prediction of `Bias` plus a weighted mean of other users' residuals for the item.

    Users who rate items more similarly have larger weights. The weights are computed from the history in the query,
    when ratings are predicted.

    Args:
        shrinkage: the correlation of two users is halved if both rated this many items, and shrunk more if they rated
            fewer in common.
        amplification: power to which positive correlations are raised; negative correlations get the weight 0.
        damping: constant that is added to the sum of the weights, so that the mean shrinks towards zero.
        **bias: further arguments, see `Bias`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        train_residuals: CSR float32 (n_users, n_items) training ratings minus predictions of `Bias`.
    """

    learned = (*Bias.learned, "train_residuals")

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        super()._fit(train, valid, context)
        self.train_residuals = self.residual_matrix(train.histories())  # (n_users, n_items)

    def _score(self, query: Query) -> np.ndarray:
        size = max(1, VALUES_PER_BLOCK // self.train_residuals.shape[0])
        starts = range(0, len(query), size)
        return np.concatenate([self._score_block(query.between(start, start + size)) for start in starts])

    def _score_block(self, query: Query) -> np.ndarray:
        """Score a block of users, so small that the weights of all training users, (B, n_users), fit in memory."""
        weights = self.weights(self.residual_matrix(query.history), self._others)
        known = np.flatnonzero(query.users >= 0)
        weights[known, query.users[known]] = 0  # a user is not their own neighbour
        totals = weights @ _ones(self.train_residuals)  # (B, n_items) sums of the weights
        return super()._score(query) + damped_mean(weights @ self.train_residuals, totals, self.damping)

    @cached_property
    def _others(self) -> ComparedRows:
        """Return the residuals of the training users, prepared for the comparison of other users with them.

        The result is cached, since computing it takes longer than everything else in scoring one user.
        """
        return ComparedRows.of(self.train_residuals)


def _ones(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return a copy of a matrix in which each stored value, including stored zeros, is 1."""
    return _like(matrix, np.ones_like(matrix.data))


def _like(matrix: sparse.csr_matrix, values: np.ndarray) -> sparse.csr_matrix:
    """Return a matrix that has new values at the positions of a given matrix's stored values.

    Unlike the method `power` of SciPy's matrices, this does not sort the indices of the given matrix in place: they can
    be the items of a history, whose order must not change.
    """
    return sparse.csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape)
