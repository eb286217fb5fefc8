"""SVD++: matrix factorisation in which a user is also the films rated, whatever their stars.

Koren, "Factorization Meets the Neighborhood: a Multifaceted Collaborative Filtering Model", KDD 2008, equation 15. A
step takes users with all their ratings, so that a user's films are summed once.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.models.history import HistoryModule, HistoryRecommender, pooled
from recsys.models.neural import UserEmbedding, item_embedding, one_of
from recsys.models.sampling import UserBatch


class SVDPPModule(HistoryModule):
    """Stars = mean + b_u + b_i + q_i . (p_u + |N(u)|^-1/2 sum of y_j over N(u)), N(u) the films that u rated."""

    settings: SVDPP

    def __init__(self, n_users: int, n_items: int, settings: SVDPP) -> None:
        super().__init__(n_users, settings.embedding_dim)
        self.users = UserEmbedding(n_users, settings.embedding_dim, settings.init_std)
        self.items = item_embedding(n_items, settings.embedding_dim, settings.init_std)
        self.rated = item_embedding(n_items, settings.embedding_dim, settings.init_std)  # y
        self.user_bias = UserEmbedding(n_users, 1, std=0.0)
        self.item_bias = item_embedding(n_items, 1, std=0.0)
        self.dropout = nn.Dropout(settings.dropout)
        self.history_dropout = nn.Dropout(settings.history_dropout)

    def encode(self, batch: UserBatch) -> Tensor:
        """See `HistoryModule.encode`."""
        weights = self.history_dropout(batch.lengths.rsqrt()[batch.rows])  # (P,)
        return self.users(batch.users) + pooled(self.rated.weight, batch.items, batch.lengths, weights)

    def forward(self, batch: UserBatch) -> Tensor:
        """Stars above the mean for all films, (B, n_items)."""
        return self.encode(batch) @ self.items.weight.T + self.user_bias(batch.users) + self.item_bias.weight.T

    def training_step(self, batch: UserBatch, batch_index: int) -> Tensor:  # type: ignore[override]
        """The loss of one batch: squared errors and the penalties of `BiasedMF`; y is held back by weight decay."""
        rows, users, items = batch.rows, batch.users[batch.rows], self.items(batch.items)
        biases = torch.cat([self.user_bias(users), self.item_bias(batch.items)], dim=1)  # (P, 2)
        taste = F.embedding(rows, self.dropout(self.encode(batch)))  # unlike [rows], the same on any number of threads
        error = (taste * items).sum(1) + biases.sum(1) - batch.ratings
        vectors = self.users(users).square().sum(1) + items.square().sum(1)
        penalty = self.settings.l2 * vectors + self.settings.bias_l2 * biases.square().sum(1)
        return (error.square() + penalty).mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay acts on y alone."""
        others = [weights for name, weights in self.named_parameters() if name != "rated.weight"]
        return [{"params": [self.rated.weight]}, {"params": others, "weight_decay": 0.0}]

    def item_embeddings(self) -> Tensor:
        """q_i, (n_items, d)."""
        return self.items.weight


class SVDPP(HistoryRecommender):
    """Predict stars from a user's vector, the films rated and biases; see `SVDPPModule`.

    Args:
        embedding_dim: length of the vectors.
        init_std: of their first values.
        dropout: of a user's vector while training.
        history_dropout: share of the films rated that is hidden while training.
        l2: penalty of a rating on the squares of p_u and q_i.
        bias_l2: likewise on its biases.
        loss: `squared` is the only one; `batch_size` counts users, and `weight_decay` acts on y.
        **training: see `NeuralRecommender`.

    Raises:
        UserError: another loss.
    """

    module: SVDPPModule

    def __init__(
        self,
        embedding_dim: int = 64,
        init_std: float = 0.05,
        dropout: float = 0.0,
        history_dropout: float = 0.0,
        l2: float = 0.1,
        bias_l2: float = 0.02,
        loss: str = "squared",
        **training: Any,
    ) -> None:
        super().__init__(one_of("loss", loss, ("squared",)), **training)
        self.embedding_dim = embedding_dim
        self.init_std = init_std
        self.dropout = dropout
        self.history_dropout = history_dropout
        self.l2 = l2
        self.bias_l2 = bias_l2

    def build(self, n_users: int, n_items: int) -> SVDPPModule:
        """See `NeuralRecommender.build`."""
        return SVDPPModule(n_users, n_items, self)
