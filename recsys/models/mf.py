"""Matrix factorisation with biases: the inner product of a user's and an item's vector, plus the bias of each.

The model is equation 4 of Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE
Computer 2009, trained for ranking. Rendle, Krichene, Zhang and Anderson, "Neural Collaborative Filtering vs. Matrix
Factorization Revisited", RecSys 2020, showed that this is a strong baseline.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys.data.query import Query
from recsys.errors import UserError, check_not_negative, check_positive, check_shares
from recsys.models.base import ScoresByProducts
from recsys.models.neural import EmbeddingModule, QueryBatch
from recsys.models.neural.embeddings import UserEmbedding, dot, item_embedding, rows_of
from recsys.models.neural.fold_in import FoldsIn


class MFModule(EmbeddingModule):
    """Logit = b_u + b_i + p_u . q_i, with biases b, the user's vector p_u and the item's vector q_i.

    With `loss=squared`, the logit predicts the difference between a rating and the mean training rating.
    """

    shards_users = True
    scores_per_pass = 1 << 22  # without hidden layers, a product for many users reads the items once

    def __init__(
        self,
        n_users: int,
        n_items: int,
        embedding_dim: int,
        init_std: float = 0.01,
        dropout: float = 0.0,
        rowwise: bool = False,
        **training: Any,
    ) -> None:
        super().__init__(n_users, n_items, **training)
        self.users = UserEmbedding(n_users, embedding_dim, init_std, sparse=rowwise)
        self.items = item_embedding(n_items, embedding_dim, init_std, sparse=rowwise)
        self.user_bias = UserEmbedding(n_users, 1, std=0.0, sparse=rowwise)
        self.item_bias = item_embedding(n_items, 1, std=0.0, sparse=rowwise)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """See `NeuralModule.forward`."""
        biases = self.user_bias(queries.users) + rows_of(self.item_bias, items).squeeze(-1)  # (B, C) or (B, n_items)
        return dot(self.dropout(self.users(queries.users)), rows_of(self.items, items)) + biases

    def user_embeddings(self) -> Tensor:
        """Return the users' vectors p_u, (n_users, d)."""
        return self.users.known

    def item_embeddings(self) -> Tensor:
        """Return the items' vectors q_i, (n_items, d)."""
        return self.items.weight


class MF(FoldsIn, ScoresByProducts):
    """Matrix factorisation with biases; see `MFModule`.

    Args:
        embedding_dim: length of the vectors.
        init_std: standard deviation of the vectors' initial values.
        dropout: dropout rate of the users' vectors.
        rowwise: whether a step updates only the vectors of the users and items in its batch (`RowwiseAdamW`), so that
            the cost of a step does not depend on the number of users. Not possible with losses that score the whole
            catalogue.
        **training: see `FoldsIn`.

    Raises:
        UserError: a value is not allowed, or `rowwise` is not possible with the given loss or optimiser.
    """

    module: MFModule

    def __init__(
        self,
        embedding_dim: int = 64,
        init_std: float = 0.01,
        dropout: float = 0.0,
        rowwise: bool = False,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        check_positive(embedding_dim=embedding_dim)
        check_not_negative(init_std=init_std)
        check_shares(dropout=dropout)
        self.embedding_dim = embedding_dim
        self.init_std = init_std
        self.dropout = dropout
        self.rowwise = rowwise
        if rowwise and (self.objectives[self.loss].scores_catalogue or self.optimizer != "adam"):
            raise UserError(
                "rowwise=true must be used with optimizer=adam and a loss that does not score all items, such as bpr "
                f"(got loss={self.loss} and optimizer={self.optimizer})."
            )

    def build(self, n_users: int, n_items: int, **training: Any) -> MFModule:
        """See `NeuralRecommender.build`."""
        return MFModule(n_users, n_items, self.embedding_dim, self.init_std, self.dropout, self.rowwise, **training)

    @torch.inference_mode()
    def user_vectors(self, query: Query) -> np.ndarray:
        """See `ScoresByProducts.user_vectors`; a vector is [p_u, 1, b_u + m].

        m is the mean training rating if the model predicts ratings, and 0 if it ranks.
        """
        users = self.module.batch(query).users
        biases = self.module.user_bias(users) + self.rating_mean
        return torch.cat([self.module.users(users), torch.ones_like(biases), biases], dim=1).cpu().numpy()

    @torch.inference_mode()
    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts.item_vectors`; a vector is [q_i, b_i, 1]."""
        biases = self.module.item_bias.weight
        return torch.cat([self.module.items.weight, biases, torch.ones_like(biases)], dim=1).cpu().numpy()
