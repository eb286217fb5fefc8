"""Biased matrix factorisation of ratings: `mf` with the penalties of its paper, a part of them with every rating.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009, equation 5. A
vector is penalised as often as a rating looks it up.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from recsys.models.mf import MF, MFModule
from recsys.models.neural import RatingBatch, SquaredError


class PenalisedSquaredError(SquaredError):
    """Squared errors and lambda (|p_u|^2 + |q_i|^2) + lambda_b (b_u^2 + b_i^2).

    Args:
        l2: lambda.
        bias_l2: lambda_b.
    """

    def __init__(self, l2: float, bias_l2: float) -> None:
        self.l2 = l2
        self.bias_l2 = bias_l2

    def loss(self, module: MFModule, batch: RatingBatch) -> Tensor:
        """See `Objective.loss`."""
        users, items = batch.queries.users, batch.items[:, 0]
        vectors = module.users(users).square().sum(1) + module.items(items).square().sum(1)  # (B,)
        biases = (module.user_bias(users).square() + module.item_bias(items).square()).squeeze(1)
        return super().loss(module, batch) + (self.l2 * vectors + self.bias_l2 * biases).mean()


class BiasedMF(MF):
    """Rating = mean + b_u + b_i + p_u . q_i; see `MFModule` and `PenalisedSquaredError`.

    Args:
        embedding_dim: length of the vectors.
        init_std: standard deviation of their initial values.
        dropout: of the users' vectors during training.
        l2: penalty per rating on the squares of its vectors, the paper's lambda.
        bias_l2: likewise on its biases.
        loss: `squared`; `MF` has the objectives that rank.
        **training: see `NeuralRecommender`.
    """

    objectives = {"squared": PenalisedSquaredError}

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
