"""Content-based models, which represent an item by a vector of its metadata, and a user by the items in the history.

The metadata of an item make up a document, which a text encoder turns into a vector (see `recsys.data.text`). Ratings
of other users are not used, so items without ratings are scored like any other. `ContentProfile` represents a user by
the mean of the rated items' vectors, weighted by ratings, and ranks items by their cosine with this mean (Lops, de
Gemmis and Semeraro, "Content-based Recommender Systems: State of the Art and Trends", Recommender Systems Handbook,
2011). `ContentKNN` scores an item only by those rated items that are among the most similar to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import row_norms

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Query
from recsys.data.text import FIELDS, Encoder, Vectors, documents, encoded, make_encoder
from recsys.errors import UserError, check_positive
from recsys.models.base import EmbedsHistories, FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.knn import SearchedRows, cosine, nearest
from recsys.models.recency import WeighsHistories

ROUNDING = 1e-6  # an item whose squared distance from the average is smaller counts as the average


class ContentProfile(WeighsHistories):
    """Scores an item by the cosine between its vector and the user's, both centred on the average item.

    Without centring, what all items have in common would dominate the vectors, although it says nothing about tastes.

    Args:
        encoder: settings of the text encoder, with its class in `_target_`.
        fields: metadata fields that make up an item's document, in this order.
        **history: arguments of `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        vectors: float32 (n_items, d), dense or CSR, rows of length 1; zero for an item without metadata.
        average: float (d,) mean of `vectors`.
        lengths: float32 (n_items,) norms of the centred vectors; infinite for an item that has no metadata or whose
            vector is the average, so that its cosine is 0.
    """

    learned: tuple[str, ...] = ("vectors", "average", "lengths")

    def __init__(self, encoder: Mapping[str, Any], fields: Sequence[str] = FIELDS, **history: Any) -> None:
        super().__init__(**history)
        self.encoder = dict(encoder)
        self.fields = list(fields)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        self.vectors = encode_items(train, make_encoder(self.encoder), self.fields, context.cache_dir)
        self.average = np.asarray(self.vectors.mean(axis=0)).ravel()
        # |x - m|^2 = |x|^2 - 2 x.m + |m|^2, so sparse vectors need not be centred, which would make them dense
        own = row_norms(self.vectors, squared=True)
        squares = np.where(own > 0, own - 2 * (self.vectors @ self.average) + self.average @ self.average, 0)
        self.lengths = np.sqrt(np.where(squares > ROUNDING, squares, np.inf)).astype(np.float32)

    def _score(self, query: Query) -> np.ndarray:
        profiles = self.profiles(query.history)
        cosines = (self.vectors @ profiles.T).T - (profiles @ self.average)[:, None]
        return np.ascontiguousarray(cosines / self.lengths)

    def profiles(self, history: History) -> np.ndarray:
        """Return the profiles of B users, float32 (B, d), of length 1; the profile of an empty history is zero."""
        weighted = history.matrix(len(self.lengths), history.ratings * self.history_weights(history))
        weights = weighted @ sparse.diags_array(1 / self.lengths)  # (B, n_items)
        sums = weights @ self.vectors
        centred = (sums.toarray() if sparse.issparse(sums) else sums) - np.outer(weights.sum(axis=1), self.average)
        return normalize(centred)


class Content(ContentProfile, EmbedsHistories):
    """A `ContentProfile` whose vectors are dense, so that users and items are embedded in one space.

    Args:
        encoder: settings of a text encoder that returns dense vectors, with its class in `_target_`.
        fields: metadata fields that make up an item's document, in this order.
        **history: arguments of `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        user_profiles: float32 (n_users, d) the profiles of the training users.
    """

    learned = (*ContentProfile.learned, "user_profiles")

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Encode the items, and embed the training users.

        Raises:
            UserError: the encoder's vectors are sparse.
        """
        super()._fit(train, valid, context)
        check_dense(self.vectors)
        self.user_profiles = self.embed(train.histories())

    def embed(self, history: History) -> np.ndarray:
        """See `EmbedsHistories`; returns `profiles`."""
        return self.profiles(history)

    def user_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`; returns `user_profiles`."""
        return self.user_profiles

    def item_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`; returns the centred vectors, scaled to length 1."""
        return np.asarray((self.vectors - self.average) / self.lengths[:, None])


class ContentKNN(ItemToItem):
    """Scores an item by the sum of its cosines to the items in the history that are among its neighbours.

    The neighbours of an item are the k items with the most similar documents, without those whose cosine is zero or
    negative. Only items with training ratings can be neighbours, since histories rarely contain others.

    Args:
        encoder: settings of the text encoder, with its class in `_target_`.
        k: number of neighbours of an item.
        fields: metadata fields that make up an item's document, in this order.
        **history: arguments of `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self, encoder: Mapping[str, Any], k: int = 400, fields: Sequence[str] = FIELDS, **history: Any
    ) -> None:
        super().__init__(**history)
        check_positive(k=k)
        self.encoder = dict(encoder)
        self.k = k
        self.fields = list(fields)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        vectors = encode_items(train, make_encoder(self.encoder), self.fields, context.cache_dir)
        vectors = sparse.csr_matrix(vectors)
        rated = np.flatnonzero(train.item_counts)
        position = np.full(train.n_items, -1)  # position of an item among those with ratings, or -1
        position[rated] = np.arange(len(rated))
        others = SearchedRows.of(vectors[rated])
        neighbours = nearest(vectors, others, self.k, shrinkage=0.0, denominator=cosine(), same=position).tocoo()
        weights = (neighbours.data, (rated[neighbours.col], neighbours.row))  # a column for each item that is scored
        self.item_weights = sparse.csr_matrix(weights, shape=(train.n_items, train.n_items))


def encode_items(train: Dataset, encoder: Encoder, fields: Sequence[str], cache_dir: Path | None) -> Vectors:
    """Fit a text encoder to the metadata of a data set's items, and encode the items.

    Args:
        train: the data set.
        encoder: text encoder, which is fitted in place.
        fields: metadata fields that make up an item's document, in this order.
        cache_dir: directory in which vectors are cached; None caches nothing.

    Returns:
        The vectors of the items, float32 (n_items, d), dense or CSR; zero for an item without metadata.
    """
    return encoded(encoder, documents(train.item_frame, fields), cache_dir)


def check_dense(vectors: Vectors) -> np.ndarray:
    """Check that the vectors of a text encoder are dense, and return them unchanged.

    Raises:
        UserError: the vectors are sparse.
    """
    if sparse.issparse(vectors):
        raise UserError(
            "The encoder's vectors must be dense to be embeddings (got sparse ones): give encoder.n_components=256, or "
            "model=tfidf."
        )
    return vectors
