"""Biased matrix factorisation for stars: `mf` with the penalties of its paper, a share of each with every rating.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009, equation 5. A
vector that many ratings look up is so held back as often as it is pulled.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from recsys.models.mf import MF, MFModule
from recsys.models.sampling import RatedBatch


class BiasedMFModule(MFModule):
    """Stars = mean + b_u + b_i + p_u . q_i."""

    settings: BiasedMF

    def training_step(self, batch: RatedBatch, batch_index: int) -> Tensor:  # type: ignore[override]
        """The loss of one batch: squared errors and lambda (|p_u|^2 + |q_i|^2) + lambda_b (b_u^2 + b_i^2)."""
        users, items = batch.users, batch.items[:, 0]
        vectors = self.users(users).square().sum(1) + self.items(items).square().sum(1)  # (B,)
        biases = (self.user_bias(users).square() + self.item_bias(items).square()).squeeze(1)
        penalty = self.settings.l2 * vectors + self.settings.bias_l2 * biases
        return super().training_step(batch, batch_index) + penalty.mean()


class BiasedMF(MF):
    """Predict mean + user's bias + film's bias + the product of their vectors; see `BiasedMFModule`.

    Args:
        embedding_dim: length of the vectors.
        init_std: of their first values.
        dropout: of a user's vector while training.
        l2: penalty of a rating on the squares of its vectors, the paper's lambda.
        bias_l2: likewise on its biases.
        loss: `squared` for stars; the others as of `MF`.
        **training: see `NeuralRecommender`.
    """

    def __init__(
        self,
        embedding_dim: int = 64,
        init_std: float = 0.05,
        dropout: float = 0.0,
        l2: float = 0.1,
        bias_l2: float = 0.02,
        loss: str = "squared",
        **training: Any,
    ) -> None:
        super().__init__(embedding_dim, init_std, dropout, loss=loss, **training)
        self.l2 = l2
        self.bias_l2 = bias_l2

    def build(self, n_users: int, n_items: int) -> BiasedMFModule:
        """See `NeuralRecommender.build`."""
        return BiasedMFModule(n_users, n_items, self.embedding_dim, self.init_std, self.dropout, self.rowwise)
