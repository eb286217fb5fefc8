"""What factorisations solved by alternating least squares share: a vector for each user and each film."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from recsys.data.dataset import Dataset, History
from recsys.models.base import Recommender
from recsys.models.memory import check_memory


class Factorisation(Recommender):
    """Learns `user_factors` (n_users, d) and `item_factors` (n_items, d); a history at hand is folded in."""

    uses_history = True
    learned = ("user_factors", "item_factors")
    embedding_dim: int
    user_factors: np.ndarray
    item_factors: np.ndarray

    @abstractmethod
    def embed(self, history: History) -> np.ndarray:
        """See `EmbedsHistories`: solve for the users' vectors, with the films' as they are."""

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Dot products of the films' vectors and those of the histories; see `Recommender.score`."""
        return self.embed(history) @ self.item_factors.T

    def user_vectors(self, users: np.ndarray, history: History) -> np.ndarray:
        """See `ScoresByProducts`."""
        return self.embed(history)

    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts`."""
        return self.item_factors

    def user_embeddings(self) -> np.ndarray:
        """Float32 (n_users, d)."""
        return self.user_factors

    def item_embeddings(self) -> np.ndarray:
        """Float32 (n_items, d)."""
        return self.item_factors

    def check_memory(self, train: Dataset) -> None:
        """Refuse vectors that cannot be held.

        Raises:
            UserError: they do not fit in memory.
        """
        n_users, n_items, d = train.n_users, train.n_items, self.embedding_dim
        check_memory(
            4 * d * (n_users + 2 * n_items),  # the films' twice while they are solved for
            f"{d} numbers for each of {n_users:,} users and {n_items:,} films",
            "lower model.embedding_dim",
        )
