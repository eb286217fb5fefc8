"""Matrix factorisation with biases: a user's vector times a film's, plus what everybody thinks of the film.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009, equation 4,
trained for ranking; Rendle, Krichene, Zhang and Anderson, "Neural Collaborative Filtering vs. Matrix Factorization
Revisited", RecSys 2020, showed how strong it is.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from recsys.models.neural import NeuralModule, NeuralRecommender, UserEmbedding, dot, item_embedding, rows_of


class MFModule(NeuralModule):
    """Logit = b_u + b_i + p_u . q_i."""

    def __init__(self, n_users: int, n_items: int, embedding_dim: int, init_std: float, dropout: float) -> None:
        super().__init__()
        self.users = UserEmbedding(n_users, embedding_dim, init_std)
        self.items = item_embedding(n_items, embedding_dim, init_std)
        self.user_bias = UserEmbedding(n_users, 1, std=0.0)
        self.item_bias = item_embedding(n_items, 1, std=0.0)
        self.dropout = nn.Dropout(dropout)

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
        **training: see `NeuralRecommender`.
    """

    def __init__(self, embedding_dim: int = 64, init_std: float = 0.01, dropout: float = 0.0, **training: Any) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.init_std = init_std
        self.dropout = dropout

    def build(self, n_users: int, n_items: int) -> MFModule:
        """See `NeuralRecommender.build`."""
        return MFModule(n_users, n_items, self.embedding_dim, self.init_std, self.dropout)
