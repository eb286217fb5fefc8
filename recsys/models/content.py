"""Content: films by what is told of them, users by the films that they rated; nobody else's ratings count.

A film is the vector of its document (`recsys.data.text`). A user is the mean of the films rated, weighted by stars, and
likes a film by the cosine of the two (Lops, de Gemmis and Semeraro, "Content-based Recommender Systems: State of the
Art and Trends", Recommender Systems Handbook, 2011); or only by those of the films rated that are most like it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import row_norms

from recsys.data.dataset import Dataset, History, Holdout
from recsys.data.text import FIELDS, Encoder, Vectors, documents, encoded, make_encoder
from recsys.errors import UserError
from recsys.models.base import FitContext, Recommender
from recsys.models.item_to_item import ItemToItem
from recsys.models.knn import nearest

ROUNDING = 1e-6  # a film nearer to the average, by the square, is the average


class Profile(Recommender):
    """Score a film by the cosine of its vector and the user's, both seen from the average film.

    What all films share tells nothing of a taste, and takes most of the length of their vectors.

    Args:
        encoder: of documents: the class in `_target_`, its settings beside.
        fields: what a document tells, in this order.
    """

    uses_history = True
    learned: tuple[str, ...] = ("vectors", "average", "lengths")

    def __init__(self, encoder: Mapping[str, Any], fields: Sequence[str] = FIELDS) -> None:
        self.encoder = dict(encoder)
        self.fields = list(fields)

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Encode the films."""
        self.vectors = film_vectors(
            train, make_encoder(self.encoder), self.fields, context
        )  # (n_items, d), of length 1 or 0
        self.average = np.asarray(self.vectors.mean(axis=0)).ravel()  # (d,)
        # |x - m|^2 = |x|^2 - 2 x.m + |m|^2 keeps sparse vectors sparse
        own = row_norms(self.vectors, squared=True)
        squares = np.where(own > 0, own - 2 * (self.vectors @ self.average) + self.average @ self.average, 0)
        lengths = np.sqrt(np.where(squares > ROUNDING, squares, np.inf))  # infinitely far counts for nothing
        self.lengths = lengths.astype(np.float32)  # (n_items,)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Cosine of user and film, 0 where nothing is known of one; see `Recommender.score`."""
        profiles = self.profiles(history)
        cosines = (self.vectors @ profiles.T).T - (profiles @ self.average)[:, None]
        return np.ascontiguousarray(cosines / self.lengths)

    def profiles(self, history: History) -> np.ndarray:
        """Users as vectors of length 1, or 0 without a history: float32 (B, d)."""
        weights = history.rating_matrix(len(self.lengths)) @ sparse.diags_array(1 / self.lengths)  # (B, n_items)
        sums = weights @ self.vectors
        centred = (sums.toarray() if sparse.issparse(sums) else sums) - np.outer(weights.sum(axis=1), self.average)
        return normalize(centred)


class Content(Profile):
    """Profiles of embeddings, which are users and films in one space.

    Args:
        encoder: of documents, to dense vectors: the class in `_target_`, its settings beside.
        fields: what a document tells, in this order.
    """

    learned = (*Profile.learned, "user_vectors")

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Encode the films, and place the users of the training ratings.

        Raises:
            UserError: the encoder's vectors are sparse.
        """
        super().fit(train, valid, context)
        dense(self.vectors)
        self.user_vectors = self.embed(train.history(np.arange(train.n_users)))  # (n_users, d)
        return self

    def embed(self, history: History) -> np.ndarray:
        """See `EmbedsHistories`."""
        return self.profiles(history)

    def user_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`."""
        return self.user_vectors

    def item_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`."""
        return np.asarray((self.vectors - self.average) / self.lengths[:, None])


class ContentKNN(ItemToItem):
    """Score a film by the sum of its cosines to the films in the history that are among its neighbours.

    Neighbours are films with ratings, so that those of a film without any are films that somebody may have rated.

    Args:
        encoder: of documents: the class in `_target_`, its settings beside.
        k: neighbours of a film.
        fields: what a document tells, in this order.
    """

    def __init__(self, encoder: Mapping[str, Any], k: int = 400, fields: Sequence[str] = FIELDS) -> None:
        self.encoder = dict(encoder)
        self.k = k
        self.fields = list(fields)

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Encode the films and find every film's neighbours."""
        vectors = sparse.csr_matrix(film_vectors(train, make_encoder(self.encoder), self.fields, context))
        rated = np.flatnonzero(train.item_counts)
        place = np.full(train.n_items, -1)  # of a film among those rated
        place[rated] = np.arange(len(rated))
        neighbours = nearest(vectors, vectors[rated], self.k, shrinkage=0.0, alpha=0.5, same=place).tocoo()
        weights = (neighbours.data, (rated[neighbours.col], neighbours.row))
        self.item_weights = sparse.csr_matrix(weights, shape=(train.n_items, train.n_items))  # a column a film scored
        return self


def film_vectors(train: Dataset, encoder: Encoder, fields: Sequence[str], context: FitContext | None) -> Vectors:
    """The vectors (n_items, d) of a data set's films, from the cache where a context names one; fits the encoder."""
    cache_dir = context.cache_dir if context else None
    return encoded(encoder, documents(train.item_frame, fields), cache_dir)


def dense(vectors: Vectors) -> np.ndarray:
    """Vectors that are embeddings.

    Raises:
        UserError: they are sparse.
    """
    if sparse.issparse(vectors):
        raise UserError("embeddings are dense vectors: give encoder.n_components=256, or model=tfidf.")
    return vectors
