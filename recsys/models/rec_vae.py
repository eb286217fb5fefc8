"""RecVAE: a variational autoencoder of histories with a composite prior; encoder and decoder are trained in turn.

Shenbin, Alekseev, Tutubalina, Malykh and Nikolenko, "RecVAE: A New Variational Autoencoder for Top-N Recommendations
with Implicit Feedback", WSDM 2020.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.errors import check_not_negative, check_positive
from recsys.models.neural import HistoryModule, QueryBatch
from recsys.models.neural.batches import HistoryBatch
from recsys.models.neural.embeddings import item_embedding
from recsys.models.neural.objectives import Objective, multinomial_log_likelihood
from recsys.models.neural.sampling import Draw, Interactions, UserEpoch
from recsys.models.neural.variational import VariationalAutoencoder

N_LAYERS = 5  # of the encoder, as in the paper
PRIOR_SHARES = (3 / 20, 3 / 4, 1 / 10)  # of N(0, I), of the earlier encoder, and of a wide normal distribution
WIDE_LOG_VARIANCE = 10.0


class PartBatch(NamedTuple):
    """A batch of users on whose histories either the encoder or the decoder is trained.

    Attributes:
        queries: the users.
        encoder: True if the batch trains the encoder, False if it trains the decoder.
    """

    queries: QueryBatch
    encoder: bool


@dataclass(frozen=True)
class AlternatingEpoch:
    """An epoch of batches: first several passes over the users for the encoder, then one pass for the decoder.

    Attributes:
        encoder: the passes that train the encoder.
        decoder: the pass that trains the decoder.
    """

    encoder: tuple[UserEpoch, ...]
    decoder: UserEpoch

    def __len__(self) -> int:
        return sum(map(len, self.encoder)) + len(self.decoder)

    def __iter__(self) -> Iterator[PartBatch]:
        for epoch in self.encoder:
            yield from (PartBatch(queries, True) for queries in epoch)
        yield from (PartBatch(queries, False) for queries in self.decoder)


class CompositeELBO(Objective):
    """Multinomial log likelihood of a user's items minus gamma |x| KL(q(z | x) || p(z | x)): the paper's equation 11.

    The loss is the negative of this objective, averaged over users; |x| is the number of the user's items. Each epoch
    trains the encoder on masked histories, then the decoder on whole histories. The decoder's loss leaves out the
    divergence KL, which does not depend on the decoder. At the end of each epoch, the encoder is copied into the prior
    p.

    Args:
        kl_weight: gamma, the weight of the divergence KL.
        encoder_passes: number of passes over the users that train the encoder in an epoch.
    """

    scores_catalogue = True

    def __init__(self, kl_weight: float = 0.005, encoder_passes: int = 3) -> None:
        check_not_negative(kl_weight=kl_weight)
        check_positive(encoder_passes=encoder_passes)
        self.kl_weight = kl_weight
        self.encoder_passes = encoder_passes

    @property
    def samples_per_interaction(self) -> int:
        """Return the number of passes over the interactions in an epoch."""
        return self.encoder_passes + 1

    def epoch(self, train: Interactions, draw: Draw) -> AlternatingEpoch:
        """See `Objective.epoch`; each pass draws its own random order of the users."""
        seeds = torch.randint(2**62, (self.encoder_passes + 1,), generator=torch.Generator().manual_seed(draw.seed))
        passes = [UserEpoch(train, replace(draw, seed=seed)) for seed in seeds.tolist()]
        return AlternatingEpoch(tuple(passes[:-1]), passes[-1])

    def loss(self, module: RecVAEModule, batch: PartBatch) -> Tensor:
        """See `Objective.loss`; returns the loss of the encoder or that of the decoder, whichever the batch trains."""
        return self.encoder_loss(module, batch.queries) if batch.encoder else self.decoder_loss(module, batch.queries)

    def encoder_loss(self, module: RecVAEModule, queries: QueryBatch) -> Tensor:
        """Return the loss of the encoder: the negative of equation 11, with gradients for the encoder only."""
        history = queries.history
        mean, log_variance = module.encoder(history, module.dropout)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        logits = F.linear(z, module.output.weight.detach(), module.output.bias.detach())
        posterior = log_normal(z, mean, log_variance).sum(dim=1)
        divergence = posterior - module.log_prior(z, history).sum(dim=1)  # (B,), of one draw of z
        return -multinomial_log_likelihood(logits, history) + (self.kl_weight * history.lengths * divergence).mean()

    def decoder_loss(self, module: RecVAEModule, queries: QueryBatch) -> Tensor:
        """Return the loss of the decoder: the negative log likelihood, with gradients for the decoder only."""
        with torch.no_grad():
            mean, log_variance = module.encoder(queries.history)
            z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return -multinomial_log_likelihood(module.output(z), queries.history)

    def after_epoch(self, module: RecVAEModule) -> None:
        """See `Objective.after_epoch`; copies the encoder into the prior."""
        module.earlier_encoder.load_state_dict(module.encoder.state_dict())


class Encoder(nn.Module):
    """Computes the mean and the log variance of z by a linear layer on h_5, the last of five hidden layers.

    With x the history as a binary vector that is scaled to unit length,

        h_1 = norm(swish(W_1 x + b_1)),
        h_l = norm(swish(W_l h_(l-1) + b_l + h_1 + ... + h_(l-1))) for l > 1.
    """

    def __init__(self, n_items: int, hidden_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.items = item_embedding(n_items, hidden_dim)
        nn.init.xavier_normal_(self.items.weight)
        self.bias = nn.Parameter(torch.zeros(hidden_dim))
        self.layers = nn.ModuleList(nn.Linear(hidden_dim, hidden_dim) for _ in range(N_LAYERS - 1))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_dim, eps=0.1) for _ in range(N_LAYERS))
        self.to_posterior = nn.Linear(hidden_dim, 2 * latent_dim)

    def forward(self, history: HistoryBatch, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """Return the mean and the log variance of z, (B, latent_dim) each.

        Args:
            history: histories of B users.
            dropout: share of the items that is masked at random.
        """
        x = F.dropout(history.unit_weights, dropout)  # (P,)
        hidden = history.pooled(self.items.weight, x) + self.bias
        total = hidden = self.norms[0](F.silu(hidden))
        for layer, norm in zip(self.layers, list(self.norms)[1:], strict=True):
            hidden = norm(F.silu(layer(hidden) + total))
            total = total + hidden
        mean, log_variance = self.to_posterior(hidden).chunk(2, dim=1)
        return mean, log_variance


class RecVAEModule(HistoryModule):
    """Logits = W z + b with z ~ q(z | x), a normal distribution whose mean and variance the encoder computes.

    W is an (n_items, latent_dim) matrix, and x the history. The prior p(z | x) of each element of z is a mixture of
    three distributions with the weights `PRIOR_SHARES`: N(0, 1), the q of the encoder as it was at the end of the
    previous epoch, and N(0, e^10). When users are scored, z is the mean of q.
    """

    def __init__(
        self, n_users: int, n_items: int, hidden_dim: int, latent_dim: int, dropout: float = 0.5, **training: Any
    ) -> None:
        super().__init__(n_users, n_items, **training)
        self.encoder = Encoder(n_items, hidden_dim, latent_dim)
        self.earlier_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.output = nn.Linear(latent_dim, n_items)
        nn.init.xavier_normal_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.dropout = dropout

    def parameter_groups(self) -> Iterable[Any]:
        """See `NeuralModule.parameter_groups`; leaves out the weights of the prior, which is not trained."""
        return [weight for weight in self.parameters() if weight.requires_grad]

    def log_prior(self, z: Tensor, history: HistoryBatch) -> Tensor:
        """Return the log density of each element of z under the composite prior, (B, latent_dim)."""
        zeros = torch.zeros_like(z)
        parts = [
            log_normal(z, zeros, zeros),
            log_normal(z, *self.earlier_encoder(history)),
            log_normal(z, zeros, zeros + WIDE_LOG_VARIANCE),
        ]
        weighted = [part + math.log(share) for part, share in zip(parts, PRIOR_SHARES, strict=True)]
        return torch.stack(weighted).logsumexp(dim=0)

    def encode(self, queries: QueryBatch) -> Tensor:
        """Return the mean of q(z | x) for the histories x of the users, (B, latent_dim)."""
        return self.encoder(queries.history)[0]

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """Return the logits of all items, (B, n_items), with z the mean of q(z | x); `items` is ignored."""
        return self.output(self.encode(queries))

    def item_embeddings(self) -> Tensor:
        """Return the weights W of the decoder, (n_items, latent_dim)."""
        return self.output.weight


class RecVAE(VariationalAutoencoder):
    """Variational autoencoder with a composite prior; see `RecVAEModule`.

    Args:
        kl_weight: see `CompositeELBO`.
        encoder_passes: see `CompositeELBO`.
        loss: `composite_elbo`, the only choice.
        **model: see `VariationalAutoencoder`. `dropout` applies only to the training of the encoder. Each of the
            `max_epochs` epochs consists of all passes of the encoder and the pass of the decoder.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"composite_elbo": CompositeELBO}
    module: RecVAEModule

    def __init__(
        self, kl_weight: float = 0.005, encoder_passes: int = 3, loss: str = "composite_elbo", **model: Any
    ) -> None:
        super().__init__(loss=loss, **model)
        self.kl_weight = kl_weight
        self.encoder_passes = encoder_passes
        self.objective()  # checks its values

    def build(self, n_users: int, n_items: int, **training: Any) -> RecVAEModule:
        """See `NeuralRecommender.build`."""
        return RecVAEModule(n_users, n_items, self.hidden_dim, self.latent_dim, self.dropout, **training)


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the log densities of the elements of z, in the shape of z.

    Each element of z has a normal distribution with the mean and log variance at the same position.
    """
    return -0.5 * (math.log(2 * math.pi) + log_variance + (z - mean).square() / log_variance.exp())
