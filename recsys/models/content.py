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

from recsys.data.dataset import Dataset, History, Holdout
from recsys.data.text import FIELDS, Vectors, documents, encoded, make_encoder
from recsys.errors import UserError
from recsys.models.base import FitContext, Recommender
from recsys.models.knn import nearest


class Profile(Recommender):
    """Score a film by the cosine of its vector and the user's.

    Args:
        encoder: of documents: the class in `_target_`, its settings beside.
        fields: what a document tells, in this order.
    """

    vectors: Vectors
    uses_history = True
    learned: tuple[str, ...] = ("vectors",)

    def __init__(self, encoder: Mapping[str, Any], fields: Sequence[str] = FIELDS) -> None:
        self.encoder = dict(encoder)
        self.fields = list(fields)

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Encode the films."""
        self.vectors = film_vectors(train, self.encoder, self.fields, context)  # (n_items, d)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Cosine of user and film, 0 without a history; see `Recommender.score`."""
        return np.ascontiguousarray((self.vectors @ self.profiles(history).T).T)

    def profiles(self, history: History) -> np.ndarray:
        """Users as vectors of length 1, or 0 without a history: float32 (B, d)."""
        sums = history.rating_matrix(self.vectors.shape[0]) @ self.vectors
        return normalize(sums.toarray() if sparse.issparse(sums) else sums)


class Content(Profile):
    """Score a film by the cosine of its embedding and the user's, both from where the average film lies.

    Args:
        encoder: of documents, to dense vectors: the class in `_target_`, its settings beside.
        fields: what a document tells, in this order.
    """

    vectors: np.ndarray
    learned = ("vectors", "user_vectors")

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Encode the films.

        Raises:
            UserError: the encoder's vectors are sparse.
        """
        vectors = film_vectors(train, self.encoder, self.fields, context)
        if not isinstance(vectors, np.ndarray):
            raise UserError("embeddings are dense vectors: give encoder.n_components=256, or model=tfidf.")
        self.vectors = normalize(vectors - vectors.mean(axis=0))  # (n_items, d); what all films share tells nothing
        self.user_vectors = self.profiles(train.history(np.arange(train.n_users)))  # (n_users, d)
        return self

    def user_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`."""
        return self.user_vectors

    def item_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`."""
        return self.vectors


class ContentKNN(Recommender):
    """Score a film by the sum of its cosines to the films in the history that are among its neighbours.

    Neighbours are films with ratings, so that those of a film without any are films that somebody may have rated.

    Args:
        encoder: of documents: the class in `_target_`, its settings beside.
        k: neighbours of a film.
        fields: what a document tells, in this order.
    """

    uses_history = True
    learned = ("item_weights",)

    def __init__(self, encoder: Mapping[str, Any], k: int = 100, fields: Sequence[str] = FIELDS) -> None:
        self.encoder = dict(encoder)
        self.k = k
        self.fields = list(fields)

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Encode the films and find every film's neighbours."""
        vectors = sparse.csr_matrix(film_vectors(train, self.encoder, self.fields, context))
        rated = np.flatnonzero(train.item_counts)
        place = np.full(train.n_items, -1)  # of a film among those rated
        place[rated] = np.arange(len(rated))
        neighbours = nearest(vectors, vectors[rated], self.k, shrinkage=0.0, alpha=0.5, same=place).tocoo()
        weights = (neighbours.data, (rated[neighbours.col], neighbours.row))
        self.item_weights = sparse.csr_matrix(weights, shape=(train.n_items, train.n_items))  # a column a film scored
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Similarity to the films rated; see `Recommender.score`."""
        return (history.matrix(self.item_weights.shape[0]) @ self.item_weights).toarray()


def film_vectors(
    train: Dataset, encoder: Mapping[str, Any], fields: Sequence[str], context: FitContext | None
) -> Vectors:
    """The vectors (n_items, d) of a data set's films, from the cache where a context names one."""
    cache_dir = context.cache_dir if context else None
    return encoded(make_encoder(encoder), documents(train.item_frame, fields), cache_dir)
