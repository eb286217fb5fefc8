"""Mult-VAE: a variational autoencoder of histories with a multinomial likelihood.

Liang, Krishnan, Hoffman and Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recsys.errors import check_not_negative, check_positive
from recsys.models.neural import ByUser, HistoryModule, QueryBatch
from recsys.models.neural.embeddings import item_embedding
from recsys.models.neural.objectives import multinomial_log_likelihood
from recsys.models.neural.variational import VariationalAutoencoder


class AnnealedELBO(ByUser):
    """Multinomial log likelihood of a user's items minus beta KL(q(z | x) || N(0, I)): the paper's equation 6.

    The loss is the negative of this objective, averaged over users. During training, beta grows linearly from 0 to
    `kl_weight`, as in section 2.2.2.

    Args:
        kl_weight: final value of beta.
        annealing_steps: number of optimisation steps over which beta grows.
    """

    def __init__(self, kl_weight: float = 0.2, annealing_steps: int = 2000) -> None:
        check_not_negative(kl_weight=kl_weight)
        check_positive(annealing_steps=annealing_steps)
        self.kl_weight = kl_weight
        self.annealing_steps = annealing_steps

    def loss(self, module: MultVAEModule, batch: QueryBatch) -> Tensor:
        """See `Objective.loss`; also increments `n_steps` of the module."""
        mean, log_variance = module.posterior(batch)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        log_likelihood = multinomial_log_likelihood(module.logits(module.decode(z)), batch.history)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / (2 * len(mean))
        beta = self.kl_weight * (module.n_steps / self.annealing_steps).clamp(max=1.0)
        module.n_steps += 1
        return beta * divergence - log_likelihood


class MultVAEModule(HistoryModule):
    """Logits = W tanh(V z + c) + b with z ~ N(mu, sigma^2), where an MLP computes mu and sigma^2 from the history.

    W is an (n_items, hidden_dim) matrix, and V a (hidden_dim, latent_dim) matrix. The MLP reads the history as a binary
    vector, scaled to unit length. When users are scored, z is mu.

    Attributes:
        n_steps: float32 scalar, number of training steps taken so far; it determines beta in `AnnealedELBO`.
    """

    n_steps: Tensor

    def __init__(
        self, n_users: int, n_items: int, hidden_dim: int, latent_dim: int, dropout: float = 0.5, **training: Any
    ) -> None:
        super().__init__(n_users, n_items, **training)
        self.items = item_embedding(n_items, hidden_dim)
        self.bias = nn.Parameter(torch.zeros(hidden_dim))
        self.dropout = nn.Dropout(dropout)
        self.to_posterior = nn.Linear(hidden_dim, 2 * latent_dim)
        self.from_latent = nn.Linear(latent_dim, hidden_dim)
        self.output = nn.Linear(hidden_dim, n_items)
        for weight in (self.items.weight, self.to_posterior.weight, self.from_latent.weight, self.output.weight):
            nn.init.xavier_normal_(weight)
        for layer in (self.to_posterior, self.from_latent, self.output):
            nn.init.zeros_(layer.bias)
        self.register_buffer("n_steps", torch.zeros(()))

    def posterior(self, queries: QueryBatch) -> tuple[Tensor, Tensor]:
        """Return the mean and the log variance of z given the histories, (B, latent_dim) each."""
        history = queries.history
        x = self.dropout(history.unit_weights)  # (P,)
        hidden = torch.tanh(history.pooled(self.items.weight, x) + self.bias)
        mean, log_variance = self.to_posterior(hidden).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Return the hidden layer of the decoder, tanh(V z + c), (B, hidden_dim)."""
        return torch.tanh(self.from_latent(z))

    def logits(self, decoded: Tensor) -> Tensor:
        """Return the logits of all items, (B, n_items), given the result of `decode`."""
        return self.output(decoded)

    def encode(self, queries: QueryBatch) -> Tensor:
        """Return the hidden layer of the decoder for z = mu, (B, hidden_dim).

        Its inner products with the rows of W, plus b, are the logits.
        """
        return self.decode(self.posterior(queries)[0])

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """Return the logits of all items for z = mu, (B, n_items); `items` is ignored."""
        return self.logits(self.encode(queries))

    def item_embeddings(self) -> Tensor:
        """Return the weights W of the output layer, (n_items, hidden_dim)."""
        return self.output.weight


class MultVAE(VariationalAutoencoder):
    """Variational autoencoder of histories; see `MultVAEModule`.

    Args:
        kl_weight: see `AnnealedELBO`.
        annealing_steps: see `AnnealedELBO`.
        loss: `elbo`, the only choice.
        **model: see `VariationalAutoencoder`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"elbo": AnnealedELBO}
    module: MultVAEModule

    def __init__(self, kl_weight: float = 0.2, annealing_steps: int = 2000, loss: str = "elbo", **model: Any) -> None:
        super().__init__(loss=loss, **model)
        self.kl_weight = kl_weight
        self.annealing_steps = annealing_steps
        self.objective()  # checks its values

    def build(self, n_users: int, n_items: int, **training: Any) -> MultVAEModule:
        """See `NeuralRecommender.build`."""
        return MultVAEModule(n_users, n_items, self.hidden_dim, self.latent_dim, self.dropout, **training)
