"""RecVAE against torch's distributions, and the parts that its steps train."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.neural import HistoryBatch, QueryBatch
from recsys.models.neural.sampling import Draw, Interactions
from recsys.models.rec_vae import PRIOR_SHARES, CompositeELBO, PartBatch, RecVAE, RecVAEModule

HISTORIES = [[1, 4, 9], [0], [2, 3]]


@pytest.fixture
def queries() -> QueryBatch:
    return QueryBatch(torch.arange(3), HistoryBatch.from_history(History.of_items(HISTORIES), torch.device("cpu")))


@pytest.fixture
def module() -> RecVAEModule:
    torch.manual_seed(0)
    module = RecVAEModule(3, 10, hidden_dim=6, latent_dim=4, dropout=0.0)
    torch.nn.init.normal_(module.earlier_encoder.items.weight)  # unlike the encoder
    return module


def test_the_prior_is_a_mixture_of_a_standard_normal_the_earlier_encoder_and_a_wide_normal(module, queries):
    mean, log_variance = module.earlier_encoder(queries.history)
    zeros = torch.zeros_like(mean)
    means = torch.stack([zeros, mean, zeros], dim=-1)
    deviations = torch.stack([zeros + 1, (log_variance / 2).exp(), zeros + math.exp(5)], dim=-1)
    mixture = MixtureSameFamily(Categorical(torch.tensor(PRIOR_SHARES).expand_as(means)), Normal(means, deviations))
    z = torch.randn(3, 4)
    torch.testing.assert_close(module.log_prior(z, queries.history), mixture.log_prob(z))


def test_the_encoder_adds_all_earlier_layers_to_each_layer(module, queries):
    encoder = module.encoder
    x = torch.zeros(3, 10)
    for row, items in enumerate(HISTORIES):
        x[row, items] = 1 / math.sqrt(len(items))
    layers = [x @ encoder.items.weight + encoder.bias]
    for layer in [*encoder.layers, None]:
        z = layers[-1] * torch.sigmoid(layers[-1])  # swish
        centred = z - z.mean(dim=1, keepdim=True)
        layers[-1] = centred / (centred.square().mean(dim=1, keepdim=True) + 0.1).sqrt()
        if layer is not None:
            layers.append(layers[-1] @ layer.weight.T + layer.bias + sum(layers))
    expected = layers[-1] @ encoder.to_posterior.weight.T + encoder.to_posterior.bias
    torch.testing.assert_close(torch.cat(encoder(queries.history), dim=1), expected)


def test_the_loss_of_the_encoder_is_the_negative_elbo_with_a_weight_that_grows_with_the_history(module, queries):
    torch.manual_seed(1)
    loss = CompositeELBO(kl_weight=0.3).encoder_loss(module, queries)
    mean, log_variance = module.encoder(queries.history)
    torch.manual_seed(1)
    z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    log_probabilities = module.output(z).log_softmax(dim=1)
    likelihood = torch.stack([log_probabilities[row, items].sum() for row, items in enumerate(HISTORIES)])
    posterior = Independent(Normal(mean, (log_variance / 2).exp()), 1).log_prob(z)
    divergence = posterior - module.log_prior(z, queries.history).sum(dim=1)
    torch.testing.assert_close(loss, (0.3 * torch.tensor([3, 1, 2]) * divergence - likelihood).mean())


@pytest.mark.parametrize("encoder", [True, False])
def test_a_step_gives_gradients_to_one_part_only(module, queries, encoder):
    CompositeELBO().loss(module, PartBatch(queries, encoder)).backward()
    with_gradient = {name.split(".")[0] for name, weight in module.named_parameters() if weight.grad is not None}
    assert with_gradient == {"encoder" if encoder else "output"}


def test_an_epoch_is_some_passes_for_the_encoder_and_one_for_the_decoder(timed):
    epoch = CompositeELBO(encoder_passes=2).epoch(Interactions(timed, torch.device("cpu")), Draw(25, seed=0))
    batches = list(epoch)
    assert len(batches) == len(epoch) == 9
    assert [batch.encoder for batch in batches] == [True] * 6 + [False] * 3
    passes = [torch.cat([batch.queries.users for batch in batches[i : i + 3]]) for i in (0, 3, 6)]
    assert all(torch.equal(users.sort()[0], torch.arange(60)) for users in passes)
    assert not torch.equal(passes[0], passes[1])


def test_the_encoder_joins_the_prior_after_each_epoch(timed):
    model = RecVAE(hidden_dim=8, latent_dim=4, batch_size=20, max_epochs=2).fit(timed)
    for name, weight in model.module.encoder.state_dict().items():
        assert torch.equal(weight, model.module.earlier_encoder.state_dict()[name])


@pytest.mark.parametrize(
    "setting", [{"kl_weight": -1.0}, {"encoder_passes": 0}, {"latent_dim": 0}, {"dropout": 2.0}, {"loss": "softmax"}]
)
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must be"):
        RecVAE(**setting)
