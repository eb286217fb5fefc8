"""Matrix factorisation with biases: a user's vector times a film's, plus what everybody thinks of the film.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009, equation 4,
trained for ranking; Rendle, Krichene, Zhang and Anderson, "Neural Collaborative Filtering vs. Matrix Factorization
Revisited", RecSys 2020, showed how strong it is.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from recsys.data.dataset import Dataset, History, Holdout
from recsys.errors import UserError
from recsys.models.base import FitContext
from recsys.models.neural import NeuralModule, NeuralRecommender, UserEmbedding, dot, item_embedding, rows_of
from recsys.models.optimizers import refuse_clipping


class MFModule(NeuralModule):
    """Logit = b_u + b_i + p_u . q_i."""

    def __init__(
        self, n_users: int, n_items: int, embedding_dim: int, init_std: float, dropout: float, rowwise: bool
    ) -> None:
        super().__init__()
        self.users = UserEmbedding(n_users, embedding_dim, init_std)
        self.items = item_embedding(n_items, embedding_dim, init_std)
        self.user_bias = UserEmbedding(n_users, 1, std=0.0)
        self.item_bias = item_embedding(n_items, 1, std=0.0)
        self.dropout = nn.Dropout(dropout)
        for table in (self.users, self.items, self.user_bias, self.item_bias):
            table.sparse = rowwise  # of the gradients

    def forward(self, users: Tensor, items: Tensor | None = None) -> Tensor:
        """See `NeuralModule.forward`."""
        biases = self.user_bias(users) + rows_of(self.item_bias, items).squeeze(-1)  # (B, C) or (B, n_items)
        return dot(self.dropout(self.users(users)), rows_of(self.items, items)) + biases

    def user_embeddings(self) -> Tensor:
        """p_u, (n_users, d)."""
        return self.users.known

    def item_embeddings(self) -> Tensor:
        """q_i, (n_items, d)."""
        return self.items.weight


class MF(NeuralRecommender):
    """Matrix factorisation with biases; see `MFModule`.

    Args:
        embedding_dim: length of the vectors.
        init_std: of their first values.
        dropout: of a user's vector while training.
        rowwise: update in a step only the rows of the users and films in its batch (`RowwiseAdamW`), so that a step
            costs the same however many users there are; for every loss but `softmax`.
        **training: see `NeuralRecommender`.

    Raises:
        UserError: steps of that loss or optimiser have no rows.
    """

    module: MFModule
    pairs_per_pass = 1 << 22  # no layer is hidden, and a product for many users reads the films once

    def __init__(
        self,
        embedding_dim: int = 64,
        init_std: float = 0.01,
        dropout: float = 0.0,
        rowwise: bool = False,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.init_std = init_std
        self.dropout = dropout
        self.rowwise = rowwise
        if rowwise and (self.by_user or self.optimizer != "adam"):
            raise UserError(
                f"rowwise=true updates rows by Adam, and not with loss={self.loss} and optimizer={self.optimizer}: "
                "take loss=log, bpr or sampled_softmax and optimizer=adam, or rowwise=false."
            )

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """See `NeuralRecommender.fit`."""
        if self.rowwise:
            refuse_clipping(context, "model.rowwise")
        return super().fit(train, valid, context)

    @torch.inference_mode()
    def user_vectors(self, users: np.ndarray, history: History) -> np.ndarray:
        """See `ScoresByProducts`: p_u, 1 and b_u with the mean of stars."""
        codes = self._codes(users)
        biases = self.module.user_bias(codes) + self.rating_mean
        return torch.cat([self.module.users(codes), torch.ones_like(biases), biases], dim=1).cpu().numpy()

    @torch.inference_mode()
    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts`: q_i, b_i and 1."""
        biases = self.module.item_bias.weight
        return torch.cat([self.module.items.weight, biases, torch.ones_like(biases)], dim=1).cpu().numpy()

    def build(self, n_users: int, n_items: int) -> MFModule:
        """See `NeuralRecommender.build`."""
        return MFModule(n_users, n_items, self.embedding_dim, self.init_std, self.dropout, self.rowwise)
