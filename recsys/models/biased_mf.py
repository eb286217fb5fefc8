"""Biased matrix factorisation of ratings: `mf` trained on squared errors with an L2 penalty for each rating.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009, equation 5. The
penalty is added for each rating, so vectors of users and items with many ratings are penalised more.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from recsys.errors import check_not_negative
from recsys.models.mf import MF, MFModule
from recsys.models.neural import RatingBatch, SquaredError


class PenalisedSquaredError(SquaredError):
    """Squared error plus lambda (|p_u|^2 + |q_i|^2) + lambda_b (b_u^2 + b_i^2), averaged over ratings.

    The symbols are those of `MFModule`, for a rating of item i by user u.

    Args:
        l2: penalty on the vectors, lambda.
        bias_l2: penalty on the biases, lambda_b.
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
    """Predicts a rating as mean + b_u + b_i + p_u . q_i; see `MFModule` and `PenalisedSquaredError`.

    Args:
        embedding_dim: length of the vectors.
        init_std: standard deviation of the vectors' initial values.
        dropout: dropout rate of the users' vectors.
        l2: penalty on the squared vectors for each rating, the paper's lambda.
        bias_l2: penalty on the squared biases for each rating; the paper's is lambda too.
        loss: `squared`; see `MF` for ranking losses.
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
        loss: str = "squared",
        **training: Any,
    ) -> None:
        super().__init__(embedding_dim, init_std, dropout, loss=loss, **training)
        check_not_negative(l2=l2, bias_l2=bias_l2)
        self.l2 = l2
        self.bias_l2 = bias_l2
