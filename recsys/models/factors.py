"""The base class of matrix factorisations by alternating least squares: a vector for each user and each item."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.models.base import EmbedsHistories, FitContext, HasGraph, ScoresByProducts
from recsys.models.memory import check_memory
from recsys.models.plays import WeighsPlays

if TYPE_CHECKING:
    from recsys.models.graphs import ScoreGraph


class Factorisation(WeighsPlays, EmbedsHistories, ScoresByProducts, HasGraph):
    """Scores an item by the inner product of its vector and a user vector that is fitted to the history (fold-in).

    Attributes:
        user_factors: float32 (n_users, d) vectors of the training users; with `half_life`, they are fitted to histories
            that are weighted by recency.
        item_factors: float32 (n_items, d) vectors of the items.
    """

    learned = ("user_factors", "item_factors")
    embedding_dim: int
    user_factors: np.ndarray
    item_factors: np.ndarray

    @abstractmethod
    def factorise(self, train: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of users, float32 (n_users, d), and of items, float32 (n_items, d).

        Interactions are not weighted by recency, even with `half_life`.
        """

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Factorise the interactions.

        Raises:
            UserError: the vectors do not fit in memory.
        """
        n_users, n_items, d = train.n_users, train.n_items, self.embedding_dim
        check_memory(
            4 * d * (n_users + 2 * n_items),  # two copies of the items' vectors while they are solved for
            f"{d} numbers for each of {n_users:,} users and {n_items:,} items",
            "lower model.embedding_dim",
        )
        self.user_factors, self.item_factors = self.factorise(train)
        if self.half_life is not None:
            self.user_factors = self.embed(train.histories())

    def _score(self, query: Query) -> np.ndarray:
        return self.embed(query.history) @ self.item_factors.T

    def user_vectors(self, query: Query) -> np.ndarray:
        """See `ScoresByProducts`; fits the vectors to the histories in the query."""
        return self.embed(query.history)

    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts`; returns `item_factors`."""
        return self.item_factors

    def user_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`; returns `user_factors`."""
        return self.user_factors

    def item_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`; returns `item_factors`."""
        return self.item_factors

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph`; the graph stores the vectors of the users in `data`, since it cannot fit vectors."""
        from recsys.models.graphs import VectorGraph  # torch

        return VectorGraph(self.embed(data.histories()), self.item_factors, data.user_counts)
