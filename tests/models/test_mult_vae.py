"""Mult-VAE against the closed form of its loss."""

from itertools import pairwise

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.mult_vae import AnnealedELBO, MultVAE, MultVAEModule
from recsys.models.neural import HistoryBatch, QueryBatch

HISTORIES = [[1, 4, 9], [0], [2, 3]]


@pytest.fixture
def batch() -> QueryBatch:
    return QueryBatch(torch.arange(3), HistoryBatch.from_history(History.of_items(HISTORIES), torch.device("cpu")))


@pytest.fixture
def module() -> MultVAEModule:
    torch.manual_seed(0)
    return MultVAEModule(3, 10, hidden_dim=6, latent_dim=4, dropout=0.0)


def negative_log_likelihood(module: MultVAEModule, z: torch.Tensor) -> float:
    log_probabilities = module.logits(module.decode(z)).log_softmax(dim=1)
    return -sum(log_probabilities[row, items].sum() for row, items in enumerate(HISTORIES)) / 3


def test_the_loss_is_the_negative_elbo(module: MultVAEModule, batch: QueryBatch):
    objective = AnnealedELBO(kl_weight=0.3, annealing_steps=1)
    module.n_steps.fill_(5)
    mean, log_variance = module.posterior(batch)
    posterior = Normal(mean, (log_variance / 2).exp())
    torch.manual_seed(1)
    loss = objective.loss(module, batch)
    torch.manual_seed(1)
    z = mean + torch.randn_like(mean) * posterior.stddev
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum() / 3
    torch.testing.assert_close(loss, negative_log_likelihood(module, z) + 0.3 * divergence)


def test_the_weight_of_the_divergence_grows_with_the_steps(module: MultVAEModule, batch: QueryBatch):
    objective = AnnealedELBO(kl_weight=0.5, annealing_steps=4)

    def loss() -> float:
        torch.manual_seed(1)
        return objective.loss(module, batch).item()

    losses = [loss() for _ in range(7)]
    steps = [after - before for before, after in pairwise(losses)]
    assert steps[:4] == pytest.approx([steps[0]] * 4, rel=1e-3)
    assert steps[4:] == pytest.approx([0, 0], abs=1e-6)
    assert steps[0] > 0


def test_scores_come_from_the_posterior_mean(module: MultVAEModule, batch: QueryBatch):
    mean, _ = module.eval().posterior(batch)
    torch.testing.assert_close(module(batch), module.output(torch.tanh(module.from_latent(mean))))
    torch.testing.assert_close(module.encode(batch) @ module.item_embeddings().T + module.output.bias, module(batch))


@pytest.mark.parametrize(
    "setting", [{"kl_weight": -1.0}, {"annealing_steps": 0}, {"latent_dim": 0}, {"dropout": 2.0}, {"loss": "softmax"}]
)
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must be"):
        MultVAE(**setting)
