"""Neighbours: films that the same users rated, users who rated the same films.

Similarity is cosine, damped for pairs that little is known of (shrinkage) and optionally asymmetric; rows may be
weighted by TF-IDF or BM25 first, so that agreeing on a rare film says more than agreeing on a hit.

Sarwar, Karypis, Konstan and Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms", WWW 2001;
Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets", RecSys 2013 (asymmetric cosine).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, History, Holdout
from recsys.errors import UserError
from recsys.models.base import FitContext, Recommender
from recsys.models.item_to_item import ItemToItem
from recsys.models.memory import check_memory

SIMILARITIES_PER_BLOCK = 1 << 24  # computed at a time, whatever the size of the data
BYTES_PER_NEIGHBOUR = 24  # while neighbours are collected: index and value of each, twice
BM25_K1, BM25_B = 1.2, 0.75  # Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009, section 3.4

# (binary rows (B, m), training rows that hold each column (m,), training rows) -> weighted rows (B, m)
Weighting = Callable[[sparse.csr_matrix, np.ndarray, int], sparse.csr_matrix]


def unweighted(rows: sparse.csr_matrix, column_counts: np.ndarray, n_rows: int) -> sparse.csr_matrix:
    """The rows as they are."""
    return rows


def tfidf(rows: sparse.csr_matrix, column_counts: np.ndarray, n_rows: int) -> sparse.csr_matrix:
    """Columns by the logarithm of how rare they are."""
    return _columns_scaled(rows, np.log((1 + n_rows) / (1 + column_counts)))


def bm25(rows: sparse.csr_matrix, column_counts: np.ndarray, n_rows: int) -> sparse.csr_matrix:
    """Columns by their odds of being absent, rows the less the longer they are."""
    rarity = np.log1p((n_rows - column_counts + 0.5) / (column_counts + 0.5))
    relative_lengths = np.diff(rows.indptr) * n_rows / column_counts.sum()
    saturation = (1 + BM25_K1) / (1 + BM25_K1 * (1 - BM25_B + BM25_B * relative_lengths))
    weighted = _columns_scaled(rows, rarity)
    weighted.data *= np.repeat(saturation, np.diff(rows.indptr)).astype(np.float32)
    return weighted


WEIGHTINGS: dict[str, Weighting] = {"none": unweighted, "tfidf": tfidf, "bm25": bm25}


def nearest(
    rows: sparse.csr_matrix,
    others: sparse.csr_matrix,
    k: int,
    shrinkage: float,
    alpha: float,
    same: np.ndarray,
) -> sparse.csr_matrix:
    """The k most similar of the others to each row, block by block.

    Similarity is x . y / (|x|^(2 alpha) |y|^(2 - 2 alpha) + shrinkage), with x a row and y one of the others.

    Args:
        rows: float32 (B, m).
        others: float32 (n, m).
        k: neighbours to keep; fewer where fewer have anything in common.
        shrinkage: see above.
        alpha: see above; 0.5 is cosine.
        same: int64 (B,) which of the others a row itself is, never its own neighbour; -1 for none.

    Returns:
        float32 (B, n), at most k values above zero in each row.
    """
    norms, other_norms = (np.asarray(m.multiply(m).sum(axis=1)).ravel() for m in (rows, others))
    left, right = norms**alpha, other_norms ** (1 - alpha)
    size = max(1, SIMILARITIES_PER_BLOCK // others.shape[0])
    transposed = others.T.tocsr()
    blocks = []
    for start in range(0, rows.shape[0], size):
        block = slice(start, start + size)
        similarities = (rows[block] @ transposed).toarray()  # (b, n)
        damped = np.outer(left[block], right) + shrinkage
        np.divide(similarities, damped, out=similarities, where=similarities > 0)
        known = np.flatnonzero(same[block] >= 0)
        similarities[known, same[block][known]] = 0.0
        blocks.append(_largest(similarities, k))
    return sparse.vstack(blocks, format="csr")


class _KNN(Recommender):
    uses_history = True

    def __init__(self, k: int = 100, shrinkage: float = 0.0, weighting: str = "none", alpha: float = 0.5) -> None:
        if k < 1:
            raise UserError(f"k={k} finds no neighbours: give one or more.")
        if weighting not in WEIGHTINGS:
            raise UserError(f"weighting={weighting} is not known: choose one of {', '.join(WEIGHTINGS)}.")
        self.k = k
        self.shrinkage = shrinkage
        self.weighting = weighting
        self.alpha = alpha


class ItemKNN(_KNN, ItemToItem):
    """Score a film by the sum of its similarities to the films in the history that are among its neighbours.

    Args:
        k: neighbours of a film.
        shrinkage: added to the denominator of similarities: the larger, the more raters two films must share.
        weighting: of a film's raters, `none`, `tfidf` or `bm25`: users who rate everything count for less.
        alpha: power of the scored film's squared norm in the denominator; 0.5 is cosine, less favours popular films.

    Raises:
        UserError: no neighbours, or an unknown weighting.
    """

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Find every film's neighbours.

        Raises:
            UserError: they do not fit in memory.
        """
        n_items = train.n_items
        _check_neighbours(n_items, self.k, f"{self.k} neighbours of each of {n_items:,} films")
        raters = train.matrix().T.tocsr()  # (n_items, n_users)
        raters = WEIGHTINGS[self.weighting](raters, train.user_counts, n_items)
        neighbours = nearest(raters, raters, self.k, self.shrinkage, self.alpha, np.arange(n_items))
        self.item_weights = neighbours.T.tocsr()  # (n_items, n_items), a column for each film scored
        return self


class UserKNN(_KNN):
    """Score a film by the similarities of the neighbours who rated it, found afresh for the history at hand.

    Args:
        k: neighbours of a user.
        shrinkage: added to the denominator of similarities: the larger, the more films two users must share.
        weighting: of a user's films, `none`, `tfidf` or `bm25`: agreeing on what everybody watched counts for less.
        alpha: power of the user's own squared norm in the denominator, which scales all of that user's scores; the
            neighbour's has 1 - alpha. 0.5 is cosine, more favours neighbours who rated much.

    Raises:
        UserError: no neighbours, or an unknown weighting.
    """

    learned = ("interactions",)

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Keep everybody's films; the work is in `score`.

        Raises:
            UserError: users are too many for one user's similarities to fit in memory.
        """
        _check_neighbours(train.n_users, self.k, f"{self.k} neighbours of each of {train.n_users:,} users")
        self.interactions = train.matrix()  # (n_users, n_items)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Votes of the users most like each; see `Recommender.score`."""
        n_users, n_items = self.interactions.shape
        item_counts = np.bincount(self.interactions.indices, minlength=n_items)
        weigh = WEIGHTINGS[self.weighting]
        rows, others = (weigh(m, item_counts, n_users) for m in (history.matrix(n_items), self.interactions))
        neighbours = nearest(rows, others, self.k, self.shrinkage, self.alpha, users)
        return (neighbours @ self.interactions).toarray()


def _columns_scaled(rows: sparse.csr_matrix, factors: np.ndarray) -> sparse.csr_matrix:
    values = rows.data * factors.astype(np.float32)[rows.indices]
    return sparse.csr_matrix((values, rows.indices, rows.indptr), rows.shape)


def _largest(similarities: np.ndarray, k: int) -> sparse.csr_matrix:
    """The k largest values above zero of each row (B, n)."""
    n_rows, n = similarities.shape
    k = min(k, n)
    columns = np.argpartition(similarities, n - k, axis=1)[:, n - k :]  # (B, k)
    values = np.take_along_axis(similarities, columns, axis=1)
    kept = sparse.csr_matrix((values.ravel(), columns.ravel(), np.arange(n_rows + 1) * k), shape=(n_rows, n))
    kept.eliminate_zeros()
    return kept


def _check_neighbours(n: int, k: int, what: str) -> None:
    check_memory(BYTES_PER_NEIGHBOUR * n * min(k, n), what, "lower model.k")
