"""Neighbourhood models, which score by the most similar items or by the most similar users.

Items are similar if the same users rated them, and users if they rated the same items. Similarity is the cosine,
optionally asymmetric, or an index of overlap; it is shrunk for pairs with little in common. The interactions can first
be weighted by TF-IDF or BM25, so that sharing a rare item counts for more than sharing a popular one. These are the
choices of Ferrari Dacrema et al., "A Troubling Analysis of Reproducibility and Progress in Recommender Systems
Research", ACM TOIS 2021.

Sarwar, Karypis, Konstan and Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms", WWW 2001;
Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets", RecSys 2013 (asymmetric cosine);
Tversky, "Features of Similarity", Psychological Review 84, 1977 (Jaccard's and Dice's indices are special cases).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.errors import check_finite, check_not_negative, check_positive, one_of
from recsys.models.base import FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.neighbours import VALUES_PER_BLOCK, check_neighbours, largest
from recsys.models.recency import WeighsHistories

# Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in
# Information Retrieval 2009, section 3.4
BM25_K1, BM25_B = 1.2, 0.75

# (binary rows (B, m), training rows that hold each column (m,), number of training rows) -> weighted rows (B, m)
Weighting = Callable[[sparse.csr_matrix, np.ndarray, int], sparse.csr_matrix]


def unweighted(rows: sparse.csr_matrix, column_counts: np.ndarray, n_rows: int) -> sparse.csr_matrix:
    """Return the rows unchanged; see `Weighting`."""
    return rows


def tfidf(rows: sparse.csr_matrix, column_counts: np.ndarray, n_rows: int) -> sparse.csr_matrix:
    """Weight the columns by inverse document frequency, log((1 + n_rows) / (1 + column_counts)); see `Weighting`."""
    return _scale_columns(rows, np.log((1 + n_rows) / (1 + column_counts)))


def bm25(rows: sparse.csr_matrix, column_counts: np.ndarray, n_rows: int) -> sparse.csr_matrix:
    """Weight the entries by BM25: more in rare columns, and less in rows with many entries; see `Weighting`."""
    rarity = np.log1p((n_rows - column_counts + 0.5) / (column_counts + 0.5))
    relative_lengths = np.diff(rows.indptr) * n_rows / column_counts.sum()
    saturation = (1 + BM25_K1) / (1 + BM25_K1 * (1 - BM25_B + BM25_B * relative_lengths))
    weighted = _scale_columns(rows, rarity)
    weighted.data *= np.repeat(saturation, np.diff(rows.indptr)).astype(np.float32)
    return weighted


WEIGHTINGS: dict[str, Weighting] = {"none": unweighted, "tfidf": tfidf, "bm25": bm25}

# (products x . y (b, n), |x|^2 (b,), |y|^2 (n,)) -> what the products are divided by (b, n), for b rows x and n rows y
Denominator = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def cosine(alpha: float = 0.5) -> Denominator:
    """Return a function that computes the cosine's denominator, |x|^(2 alpha) |y|^(2 - 2 alpha); see `Denominator`."""
    return lambda products, norms, other_norms: np.outer(norms**alpha, other_norms ** (1 - alpha))


def tversky(own_weight: float, other_weight: float) -> Denominator:
    """Return a function that computes the denominator of Tversky's index; see `Denominator`.

    The denominator is x . y + own_weight (|x|^2 - x . y) + other_weight (|y|^2 - x . y).
    """
    shared = np.float32(1 - own_weight - other_weight)
    return lambda products, norms, other_norms: (
        shared * products + own_weight * norms[:, None] + other_weight * other_norms
    )


OVERLAP_WEIGHTS = {"jaccard": (1.0, 1.0), "dice": (0.5, 0.5)}  # own and other weight in Tversky's index
SIMILARITIES = ("cosine", *OVERLAP_WEIGHTS, "tversky")


class SearchedRows(NamedTuple):
    """The n rows among which neighbours are searched, in a form from which similarities are computed.

    Attributes:
        columns: CSR float32 (m, n) the rows, transposed.
        norms: float32 (n,) squared norms of the rows.
    """

    columns: sparse.csr_matrix
    norms: np.ndarray

    @classmethod
    def of(cls, rows: sparse.csr_matrix) -> Self:
        """Build a `SearchedRows` from the rows before transposition, CSR float32 (n, m)."""
        return cls(rows.T.tocsr(), squared_norms(rows))


def squared_norms(rows: sparse.csr_matrix) -> np.ndarray:
    """Return the squared norm of each row, float32 (n,)."""
    return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()


def nearest(
    rows: sparse.csr_matrix,
    others: SearchedRows,
    k: int,
    shrinkage: float,
    denominator: Denominator,
    same: np.ndarray,
) -> sparse.csr_matrix:
    """Find the k nearest neighbours of each row among n other rows, block by block to save memory.

    The similarity of a row x and another row y is x . y / (denominator + shrinkage).

    Args:
        rows: float32 (B, m) rows whose neighbours are found.
        others: the n rows among which neighbours are searched, of m columns each.
        k: number of neighbours of each row; fewer if fewer than k of the other rows share a column with it.
        shrinkage: constant that is added to the denominator.
        denominator: function that returns the denominator; see `cosine` and `tversky`.
        same: int64 (B,) index of each row in `others`, or -1 if it is not there. No row becomes its own neighbour.

    Returns:
        CSR float32 (B, n) similarities; at most k are stored in each row, all of them above zero.
    """
    norms = squared_norms(rows)
    size = max(1, VALUES_PER_BLOCK // len(others.norms))
    blocks = []
    for start in range(0, rows.shape[0], size):
        block = slice(start, start + size)
        similarities = (rows[block] @ others.columns).toarray()  # (b, n)
        damped = denominator(similarities, norms[block], others.norms) + shrinkage
        np.divide(similarities, damped, out=similarities, where=similarities > 0)
        known = np.flatnonzero(same[block] >= 0)
        similarities[known, same[block][known]] = 0.0
        blocks.append(largest(similarities, k))
    return sparse.vstack(blocks, format="csr")


class _NearestNeighbours(WeighsHistories):
    def __init__(
        self,
        k: int = 100,
        shrinkage: float = 0.0,
        weighting: str = "none",
        alpha: float = 0.5,
        similarity: str = "cosine",
        own_weight: float = 1.0,
        other_weight: float = 1.0,
        **history: Any,
    ) -> None:
        super().__init__(**history)
        check_positive(k=k, own_weight=own_weight, other_weight=other_weight)
        check_not_negative(shrinkage=shrinkage)
        check_finite(alpha=alpha)
        self.k = k
        self.shrinkage = shrinkage
        self.weighting = one_of("weighting", weighting, WEIGHTINGS)
        self.alpha = alpha
        self.similarity = one_of("similarity", similarity, SIMILARITIES)
        self.own_weight = own_weight
        self.other_weight = other_weight

    def denominator(self) -> Denominator:
        """Return the function that computes the denominator of the chosen similarity; see `Denominator`."""
        if self.similarity == "cosine":
            return cosine(self.alpha)
        return tversky(*OVERLAP_WEIGHTS.get(self.similarity, (self.own_weight, self.other_weight)))


class ItemKNN(_NearestNeighbours, ItemToItem):
    """Scores an item by the sum of its similarities to the items in the history that are among its neighbours.

    Args:
        k: number of neighbours of an item.
        shrinkage: constant that is added to the denominator of similarities. Larger values favour pairs of items that
            many users rated.
        weighting: weighting of the users who rated an item: `none`, `tfidf` or `bm25`. The latter two reduce the weight
            of users with many ratings.
        alpha: power of the scored item's squared norm in the denominator of the cosine. 0.5 gives the usual cosine;
            smaller values favour popular items.
        similarity: `cosine`, or an index of overlap: `jaccard`, `dice` or `tversky`.
        own_weight: in Tversky's index, weight of the users who rated only the scored item. `own_weight` and
            `other_weight` are both 1 in Jaccard's index, and both 0.5 in Dice's index.
        other_weight: in Tversky's index, weight of the users who rated only the other item.
        **history: arguments of `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Find the neighbours of all items.

        Raises:
            UserError: the neighbours do not fit in memory.
        """
        n_items = train.n_items
        check_neighbours(n_items, self.k, f"{self.k} neighbours of each of {n_items:,} items")
        raters = train.matrix().T.tocsr()  # (n_items, n_users)
        raters = WEIGHTINGS[self.weighting](raters, train.user_counts, n_items)
        others = SearchedRows.of(raters)
        neighbours = nearest(raters, others, self.k, self.shrinkage, self.denominator(), np.arange(n_items))
        self.item_weights = neighbours.T.tocsr()  # (n_items, n_items), a column for each item that is scored


class UserKNN(_NearestNeighbours):
    """Scores an item by the sum of the user's similarities to those neighbours who rated the item.

    When a query is scored, the neighbours of its users are found among the training users, by the users' histories.

    Args:
        k: number of neighbours of a user.
        shrinkage: constant that is added to the denominator of similarities. Larger values favour pairs of users with
            many items in common.
        weighting: weighting of the items that a user rated: `none`, `tfidf` or `bm25`. The latter two reduce the weight
            of popular items.
        alpha: power of the user's own squared norm in the denominator of the cosine; this factor is the same for all
            scores of the user. The power of the neighbour's squared norm is 1 - alpha. 0.5 gives the usual cosine;
            larger values favour neighbours with many ratings.
        similarity: `cosine`, or an index of overlap: `jaccard`, `dice` or `tversky`.
        own_weight: in Tversky's index, weight of the items that only the user rated. `own_weight` and `other_weight`
            are both 1 in Jaccard's index, and both 0.5 in Dice's index.
        other_weight: in Tversky's index, weight of the items that only the neighbour rated.
        **history: arguments of `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        interactions: CSR float32 (n_users, n_items), 1 where a training user rated an item.
    """

    learned = ("interactions",)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Store the interactions.

        Raises:
            UserError: the neighbours of all training users would not fit in memory.
        """
        check_neighbours(train.n_users, self.k, f"{self.k} neighbours of each of {train.n_users:,} users")
        self.interactions = train.matrix()  # (n_users, n_items)

    def _score(self, query: Query) -> np.ndarray:
        rows = self._weighted(self.history_matrix(query.history, self.interactions.shape[1]))
        neighbours = nearest(rows, self._others, self.k, self.shrinkage, self.denominator(), query.users)
        return (neighbours @ self.interactions).toarray()

    def _weighted(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        return WEIGHTINGS[self.weighting](rows, self._item_counts, self.interactions.shape[0])

    @cached_property
    def _item_counts(self) -> np.ndarray:
        return np.bincount(self.interactions.indices, minlength=self.interactions.shape[1])

    @cached_property
    def _others(self) -> SearchedRows:
        """Return the training users as `nearest` needs them; cached, since this takes longer than scoring a user."""
        return SearchedRows.of(self._weighted(self.interactions))


def _scale_columns(rows: sparse.csr_matrix, factors: np.ndarray) -> sparse.csr_matrix:
    values = rows.data * factors.astype(np.float32)[rows.indices]
    return sparse.csr_matrix((values, rows.indices, rows.indptr), rows.shape)
