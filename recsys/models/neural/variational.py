"""Base class of variational autoencoders that encode histories."""

from __future__ import annotations

from typing import Any

from recsys.data.dataset import Dataset
from recsys.errors import check_positive, check_shares
from recsys.models.memory import check_layers
from recsys.models.neural.recommender import HistoryRecommender
from recsys.models.recency import HalfLife, check_half_life


class VariationalAutoencoder(HistoryRecommender):
    """A deep model that encodes each history as a normal distribution of a latent vector z.

    Args:
        hidden_dim: width of the hidden layers.
        latent_dim: length of z.
        dropout: share of the items of a history that is masked at random during training.
        half_life: see `WeighsHistories`.
        **training: see `HistoryRecommender`; `batch_size` counts users.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self,
        hidden_dim: int = 600,
        latent_dim: int = 200,
        dropout: float = 0.5,
        half_life: HalfLife = None,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        check_positive(hidden_dim=hidden_dim, latent_dim=latent_dim)
        check_shares(dropout=dropout)
        self.hidden_dim = hidden_dim
        self.latent_dim = latent_dim
        self.dropout = dropout
        self.half_life = check_half_life(half_life)

    def _check_memory(self, train: Dataset) -> None:
        """See `NeuralRecommender._check_memory`; counts the weights and the logits."""
        check_layers(train.n_items, self.hidden_dim, self.batch_size)
