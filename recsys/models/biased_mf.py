"""Biased matrix factorisation of ratings: `MF`, trained on squared errors with an L2 penalty for each rating.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009, equation 5. The
penalty is added for each rating, so vectors of users and items with many ratings are penalised more.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recsys.errors import check_not_negative
from recsys.models.mf import MF, MFModule
from recsys.models.neural import RatingBatch, SquaredError
from recsys.models.neural.sampling import Interactions


class PenalisedSquaredError(SquaredError):
    """Squared error plus a penalty on the parameters of the rating's user and item, averaged over ratings.

    The penalty is n_u^-c (lambda |p_u|^2 + lambda_b b_u^2) + n_i^-c (lambda |q_i|^2 + lambda_b b_i^2). The symbols are
    those of `MFModule`, for a rating of item i by user u; n_u and n_i count the training ratings of u and of i.

    Args:
        l2: penalty on the vectors, lambda.
        bias_l2: penalty on the biases, lambda_b.
        count_power: exponent c.
    """

    def __init__(self, l2: float, bias_l2: float, count_power: float) -> None:
        self.l2 = l2
        self.bias_l2 = bias_l2
        self.count_power = count_power

    def bind(self, train: Interactions) -> None:
        """See `Objective.bind`."""
        super().bind(train)
        user_counts = torch.from_numpy(train.user_counts).to(train.item_counts.device)
        self.user_factors = user_counts.clamp(min=1).float() ** -self.count_power  # (n_users,)
        self.item_factors = train.item_counts.clamp(min=1).float() ** -self.count_power  # (n_items,)

    def loss(self, module: MFModule, batch: RatingBatch) -> Tensor:
        """See `Objective.loss`."""
        users, items = batch.queries.users, batch.items[:, 0]
        of_users = self._penalties(module.users(users), module.user_bias(users))
        of_items = self._penalties(module.items(items), module.item_bias(items))
        penalties = self.user_factors[users] * of_users + self.item_factors[items] * of_items  # (B,)
        return super().loss(module, batch) + penalties.mean()

    def _penalties(self, vectors: Tensor, biases: Tensor) -> Tensor:
        """Return lambda |p|^2 + lambda_b b^2, (B,), of vectors (B, d) and biases (B, 1)."""
        return self.l2 * vectors.square().sum(1) + self.bias_l2 * biases.square().squeeze(1)


class BiasedMF(MF):
    """Predicts a rating as mean + b_u + b_i + p_u . q_i; see `MFModule` and `PenalisedSquaredError`.

    Args:
        embedding_dim: length of the vectors.
        init_std: standard deviation of the vectors' initial values.
        dropout: dropout rate of the users' vectors.
        l2: penalty on the squared vectors for each rating, the paper's lambda.
        bias_l2: penalty on the squared biases for each rating, for which the paper uses lambda too.
        count_power: exponent c in `PenalisedSquaredError`.
        loss: `squared`, the only choice; `MF` has ranking losses.
        **training: further arguments, see `MF`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"squared": PenalisedSquaredError}

    def __init__(
        self,
        embedding_dim: int = 64,
        init_std: float = 0.05,
        dropout: float = 0.0,
        l2: float = 0.1,
        bias_l2: float = 0.02,
        count_power: float = 0.0,
        loss: str = "squared",
        **training: Any,
    ) -> None:
        super().__init__(embedding_dim, init_std, dropout, loss=loss, **training)
        check_not_negative(l2=l2, bias_l2=bias_l2, count_power=count_power)
        self.l2 = l2
        self.bias_l2 = bias_l2
        self.count_power = count_power
