"""Denoising autoencoder: half of what a user watched is hidden, and all of it is to be told from the rest.

Wu, DuBois, Zheng and Ester, "Collaborative Denoising Auto-Encoders for Top-N Recommender Systems", WSDM 2016, without
its node for each user; the multinomial likelihood is that of Mult-DAE: Liang, Krishnan, Hoffman and Jebara,
"Variational Autoencoders for Collaborative Filtering", WWW 2018.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from recsys.data.dataset import Dataset, Holdout
from recsys.errors import UserError
from recsys.models.base import FitContext
from recsys.models.history import HistoryModule, HistoryRecommender, pooled
from recsys.models.losses import softmax_loss
from recsys.models.memory import check_memory
from recsys.models.neural import item_embedding
from recsys.models.sampling import UserBatch

COPIES_OF_WEIGHTS = 4  # with gradients and Adam's two moments
COPIES_OF_LOGITS = 3  # with gradients and the softmax


class DAEModule(HistoryModule):
    """Logits = W' tanh(V x + b) + c, with x the films watched, scaled to length one."""

    def __init__(self, n_users: int, n_items: int, hidden_dim: int, dropout: float) -> None:
        super().__init__(n_users, hidden_dim)
        self.films_in = item_embedding(n_items, hidden_dim)
        nn.init.xavier_normal_(self.films_in.weight)
        self.bias = nn.Parameter(torch.zeros(hidden_dim))
        self.dropout = nn.Dropout(dropout)
        self.films_out = nn.Linear(hidden_dim, n_items)
        nn.init.xavier_normal_(self.films_out.weight)
        nn.init.zeros_(self.films_out.bias)

    def forward(self, batch: UserBatch) -> Tensor:
        """Logits of all films, (B, n_items), from what the users of a batch watched."""
        return self.films_out(self.encode(batch))

    def encode(self, batch: UserBatch) -> Tensor:
        """The hidden layer, (B, h)."""
        kept = self.dropout(batch.lengths.rsqrt()[batch.rows])  # (P,) an element of x for each film watched
        return torch.tanh(pooled(self.films_in.weight, batch.items, batch.lengths, kept) + self.bias)

    def training_step(self, batch: UserBatch, batch_index: int) -> Tensor:  # type: ignore[override]
        """The loss of one batch: what was watched is both read and to be told."""
        return softmax_loss(self(batch), batch)

    def item_embeddings(self) -> Tensor:
        """W, (n_items, h)."""
        return self.films_out.weight


class DAE(HistoryRecommender):
    """Denoising autoencoder on the history at hand; see `DAEModule`.

    Args:
        hidden_dim: width of the hidden layer.
        dropout: share of the films watched that is hidden while training.
        loss: `softmax` is the only one; `batch_size` counts users.
        **training: see `NeuralRecommender`.

    Raises:
        UserError: another loss.
    """

    module: DAEModule

    def __init__(self, hidden_dim: int = 256, dropout: float = 0.5, loss: str = "softmax", **training: Any) -> None:
        super().__init__(loss=loss, **training)
        if loss != "softmax":
            raise UserError(f"DAE reads whole histories, which loss={loss} has none of: leave model.loss at softmax.")
        self.hidden_dim = hidden_dim
        self.dropout = dropout

    def build(self, n_users: int, n_items: int) -> DAEModule:
        """See `NeuralRecommender.build`."""
        return DAEModule(n_users, n_items, self.hidden_dim, self.dropout)

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """See `NeuralRecommender.fit`.

        Raises:
            UserError: the weights or a batch's logits do not fit in memory.
        """
        numbers = COPIES_OF_WEIGHTS * 2 * self.hidden_dim + COPIES_OF_LOGITS * self.batch_size
        check_memory(
            4 * train.n_items * numbers,
            f"A layer of {self.hidden_dim} to and from {train.n_items:,} films",
            "lower model.hidden_dim or model.batch_size",
        )
        return super().fit(train, valid, context)
