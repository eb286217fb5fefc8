"""SVD++: matrix factorisation that adds a sum over the rated items, as implicit feedback, to the user's vector.

Koren, "Factorization Meets the Neighborhood: a Multifaceted Collaborative Filtering Model", KDD 2008, equation 15. A
training step takes users with all their ratings, so that the sum over a user's items is computed only once.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.errors import check_not_negative, check_positive, check_shares
from recsys.models.neural import HistoryModule, HistoryRecommender, QueryBatch
from recsys.models.neural.embeddings import UserEmbedding, item_embedding
from recsys.models.neural.monitors import RatingMonitor
from recsys.models.neural.objectives import ByUser
from recsys.models.neural.sampling import Interactions


class PenalisedSquaredErrorByUser(ByUser):
    """Squared error plus lambda (|p_u|^2 + |q_i|^2) + lambda_b (b_u^2 + b_i^2), averaged over ratings.

    The formula is for a rating of item i by user u, with the symbols of `SVDPPModule`. A batch has all ratings of its
    users. The vectors y are not penalised here, but by weight decay.

    Args:
        l2: penalty on the vectors, lambda.
        bias_l2: penalty on the biases, lambda_b.
    """

    monitor = RatingMonitor()
    predicts_ratings = True

    def __init__(self, l2: float, bias_l2: float) -> None:
        self.l2 = l2
        self.bias_l2 = bias_l2

    def bind(self, train: Interactions) -> None:
        """See `Objective.bind`; stores the mean rating."""
        self.mean_rating = train.mean_rating

    def loss(self, module: SVDPPModule, batch: QueryBatch) -> Tensor:
        """See `Objective.loss`."""
        history = batch.history
        rows, users, items = history.rows, batch.users[history.rows], module.items(history.items)
        biases = torch.cat([module.user_bias(users), module.item_bias(history.items)], dim=1)  # (P, 2)
        encoded = F.embedding(rows, module.dropout(module.encode(batch)))  # unlike [rows], the same for any threads
        error = (encoded * items).sum(1) + biases.sum(1) - (history.ratings - self.mean_rating)
        vectors = module.users(users).square().sum(1) + items.square().sum(1)
        penalty = self.l2 * vectors + self.bias_l2 * biases.square().sum(1)
        return (error.square() + penalty).mean()


class SVDPPModule(HistoryModule):
    """Rating = mean + b_u + b_i + q_i . (p_u + |N(u)|^-1/2 sum of y_j over N(u)), with N(u) the items that u rated.

    N(u) is the history in the query. A user has a vector p_u, an item two vectors, q_i and y_i; b_u and b_i are the
    biases of users and items.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        embedding_dim: int,
        init_std: float = 0.05,
        dropout: float = 0.0,
        history_dropout: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(n_users, n_items, **training)
        self.users = UserEmbedding(n_users, embedding_dim, init_std)
        self.items = item_embedding(n_items, embedding_dim, init_std)
        self.rated = item_embedding(n_items, embedding_dim, init_std)  # y
        self.user_bias = UserEmbedding(n_users, 1, std=0.0)
        self.item_bias = item_embedding(n_items, 1, std=0.0)
        self.dropout = nn.Dropout(dropout)
        self.history_dropout = nn.Dropout(history_dropout)

    def encode(self, queries: QueryBatch) -> Tensor:
        """See `HistoryModule.encode`; returns p_u + |N(u)|^-1/2 sum of y_j, (B, d)."""
        history = queries.history
        weights = self.history_dropout(history.weights * history.lengths.clamp(min=1).rsqrt()[history.rows])  # (P,)
        return self.users(queries.users) + history.pooled(self.rated.weight, weights)

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """Return the predicted ratings of all items, minus the mean rating, (B, n_items); `items` is ignored."""
        encoded = self.encode(queries)
        return encoded @ self.items.weight.T + self.user_bias(queries.users) + self.item_bias.weight.T

    def parameter_groups(self) -> list[dict[str, Any]]:
        """See `NeuralModule.parameter_groups`; weight decay applies to the vectors y only."""
        others = [weights for name, weights in self.named_parameters() if name != "rated.weight"]
        return [{"params": [self.rated.weight]}, {"params": others, "weight_decay": 0.0}]

    def item_embeddings(self) -> Tensor:
        """Return the items' vectors q_i, (n_items, d)."""
        return self.items.weight


class SVDPP(HistoryRecommender):
    """Predicts ratings from a user's vector, the rated items and biases; see `SVDPPModule`.

    Args:
        embedding_dim: length of the vectors.
        init_std: standard deviation of the vectors' initial values.
        dropout: dropout rate of the vector that is multiplied by q_i.
        history_dropout: share of the rated items that is dropped from N(u) during training; their ratings are still
            predicted.
        l2: penalty on the squared norms of the vectors p_u and q_i, for each rating.
        bias_l2: penalty on the squared biases b_u and b_i, for each rating.
        loss: `squared`, the only choice. `batch_size` counts users, and `weight_decay` applies to the vectors y only.
        **training: see `HistoryRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"squared": PenalisedSquaredErrorByUser}
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
        super().__init__(loss=loss, **training)
        check_positive(embedding_dim=embedding_dim)
        check_not_negative(init_std=init_std, l2=l2, bias_l2=bias_l2)
        check_shares(dropout=dropout, history_dropout=history_dropout)
        self.embedding_dim = embedding_dim
        self.init_std = init_std
        self.dropout = dropout
        self.history_dropout = history_dropout
        self.l2 = l2
        self.bias_l2 = bias_l2

    def build(self, n_users: int, n_items: int, **training: Any) -> SVDPPModule:
        """See `NeuralRecommender.build`."""
        sizes = (self.embedding_dim, self.init_std, self.dropout, self.history_dropout)
        return SVDPPModule(n_users, n_items, *sizes, **training)
