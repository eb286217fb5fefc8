"""Denoising autoencoder: reconstructs a user's items from a random half of them.

Wu, DuBois, Zheng and Ester, "Collaborative Denoising Auto-Encoders for Top-N Recommender Systems", WSDM 2016, without
its user-specific node; the multinomial likelihood is that of Mult-DAE: Liang, Krishnan, Hoffman and Jebara,
"Variational Autoencoders for Collaborative Filtering", WWW 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recsys.data.dataset import Dataset
from recsys.errors import check_positive, check_shares
from recsys.models.memory import check_layers
from recsys.models.neural import HistoryModule, HistoryRecommender, QueryBatch, Softmax
from recsys.models.neural.embeddings import item_embedding
from recsys.models.recency import HalfLife, check_half_life


class DAEModule(HistoryModule):
    """Logits = W tanh(V' x + b) + c, where x is the history as a binary vector, scaled to unit length.

    W and V are (n_items, h) matrices. With a half-life, the elements of x are weighted by recency when users are
    scored.
    """

    shards_users = True

    def __init__(self, n_users: int, n_items: int, hidden_dim: int, dropout: float = 0.5, **training: Any) -> None:
        super().__init__(n_users, n_items, **training)
        self.encoder = item_embedding(n_items, hidden_dim)
        nn.init.xavier_normal_(self.encoder.weight)
        self.bias = nn.Parameter(torch.zeros(hidden_dim))
        self.dropout = nn.Dropout(dropout)
        self.decoder = nn.Linear(hidden_dim, n_items)
        nn.init.xavier_normal_(self.decoder.weight)
        nn.init.zeros_(self.decoder.bias)

    def encode(self, queries: QueryBatch) -> Tensor:
        """Return the hidden layer tanh(V' x + b), (B, h)."""
        history = queries.history
        x = self.dropout(history.unit_weights)  # (P,) nonzero elements of x
        return torch.tanh(history.pooled(self.encoder.weight, x) + self.bias)

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """Return logits of all items, (B, n_items); `items` is ignored."""
        return self.decoder(self.encode(queries))

    def item_embeddings(self) -> Tensor:
        """Return the output weights W, (n_items, h)."""
        return self.decoder.weight


class DAE(HistoryRecommender):
    """Denoising autoencoder that reconstructs histories; see `DAEModule`.

    Args:
        hidden_dim: width of the hidden layer.
        dropout: share of a history's items that is masked during training.
        loss: `softmax`, the only choice. `batch_size` counts users.
        half_life: see `WeighsHistories`.
        **training: arguments of `HistoryRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"softmax": Softmax}
    module: DAEModule

    def __init__(
        self,
        hidden_dim: int = 256,
        dropout: float = 0.5,
        loss: str = "softmax",
        half_life: HalfLife = None,
        **training: Any,
    ) -> None:
        super().__init__(loss=loss, **training)
        check_positive(hidden_dim=hidden_dim)
        check_shares(dropout=dropout)
        self.half_life = check_half_life(half_life)
        self.hidden_dim = hidden_dim
        self.dropout = dropout

    def build(self, n_users: int, n_items: int, **training: Any) -> DAEModule:
        """See `NeuralRecommender.build`."""
        return DAEModule(n_users, n_items, self.hidden_dim, self.dropout, **training)

    def _check_memory(self, train: Dataset) -> None:
        """See `NeuralRecommender._check_memory`; counts the memory for weights and logits."""
        check_layers(train.n_items, self.hidden_dim, self.batch_size)
