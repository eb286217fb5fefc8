"""What Lightning models that read histories share: a user is what was watched, be it of training or of a query."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor

from recsys.data.dataset import Dataset, History, Holdout
from recsys.models.base import FitContext, Recommender
from recsys.models.neural import NeuralModule, NeuralRecommender
from recsys.models.sampling import UserBatch

USERS_PER_PASS = 4096


class HistoryModule(NeuralModule):
    """Encodes what users watched; `codes` keeps the vectors of the users that were trained on.

    Args:
        n_users: users with a code.
        code_dim: length of their vectors.
    """

    codes: Tensor

    def __init__(self, n_users: int, code_dim: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.zeros(n_users, code_dim))

    @abstractmethod
    def encode(self, batch: UserBatch) -> Tensor:
        """Vectors of users from what they watched, (B, h)."""

    def user_tables(self) -> set[str]:
        """See `NeuralModule.user_tables`."""
        return super().user_tables() | {"codes"}

    def user_embeddings(self) -> Tensor:
        """The users' vectors by what was trained on, (n_users, h)."""
        return self.codes


class HistoryRecommender(NeuralRecommender):
    """Trains a `HistoryModule`, and scores by the history at hand."""

    module: HistoryModule
    uses_history = True
    by_user = True

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """See `NeuralRecommender.fit`."""
        super().fit(train, valid, context)
        with torch.inference_mode():
            for users in np.array_split(np.arange(self.n_users), 1 + self.n_users // USERS_PER_PASS):
                self.module.codes[users] = self.module.encode(self._batch(users, train.history(users)))
        return self

    @torch.inference_mode()
    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Logits or stars, from the histories; see `Recommender.score`."""
        return self.module(self._batch(users, history)).float().cpu().numpy() + np.float32(self.rating_mean)

    predict = Recommender.predict  # of a user's row of scores: histories are read once

    @torch.inference_mode()
    def embed(self, history: History) -> np.ndarray:
        """See `EmbedsHistories`: vectors of people of whom nothing but the history is known."""
        return self.module.encode(self._batch(np.full(len(history), -1), history)).float().cpu().numpy()

    def _batch(self, users: np.ndarray, history: History) -> UserBatch:
        """Anybody unknown has the code after the last."""
        known = np.where(users >= 0, users, self.n_users)
        parts = (known, history.rows, history.items.astype(np.int64), history.ratings - np.float32(self.rating_mean))
        return UserBatch(*(torch.from_numpy(part).to(self.module.device) for part in parts))


def pooled(vectors: Tensor, chosen: Tensor, lengths: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of rows of vectors (n, d).

    Args:
        vectors: what is summed.
        chosen: int64 (P,) rows, those of one sum after those of another.
        lengths: int64 (B,) how many rows each sum has.
        weights: (P,) of the rows.

    Returns:
        (B, d); zero where nothing was chosen.
    """
    starts = lengths.cumsum(0) - lengths
    weights = weights.to(vectors.dtype)
    return F.embedding_bag(chosen, vectors, starts, per_sample_weights=weights, mode="sum")
