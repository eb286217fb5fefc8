"""XSimGCL against dense matrices, and its objective worked by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.neural import QueryBatch, SampledBatch
from recsys.models.xsimgcl import ContrastiveGraphBPR, XSimGCL, XSimGCLModule
from tests.models.test_lightgcn import dense_graph

SMALL = {"embedding_dim": 4, "batch_size": 64, "max_epochs": 1}


def bound(train: Dataset, **settings: float) -> XSimGCLModule:
    torch.manual_seed(0)
    module = XSimGCLModule(train.n_users, train.n_items, embedding_dim=4, **settings)
    module.bind(train)
    return module


def test_the_loss_contrasts_a_noisy_layer_with_the_mean_of_layers_from_1(timed: Dataset):
    module = bound(timed, n_layers=2, noise=0.1, contrasted_layer=2)
    batch = SampledBatch(QueryBatch(torch.tensor([3, 7])), torch.tensor([[1, 2], [5, 9]]), torch.zeros(40))
    objective = ContrastiveGraphBPR(l2=0.0, contrast_weight=0.3, temperature=0.2)
    torch.manual_seed(1)
    loss = objective.loss(module, batch)
    torch.manual_seed(1)
    layers = module.layers(module.graph, noise=0.1)
    mean, n_users, expected = (layers[0] + layers[1]) / 2, module.n_users, 0.0
    for user, (good, bad) in zip((3, 7), ((1, 2), (5, 9)), strict=True):
        margin = mean[user] @ (mean[n_users + good] - mean[n_users + bad])
        expected += F.softplus(-margin) / 2
    for nodes in ([3, 7], [n_users + 1, n_users + 5]):
        one, other = F.normalize(mean[nodes]), F.normalize(layers[1][nodes])
        expected += 0.3 * F.cross_entropy(one @ other.T / 0.2, torch.arange(2))
    torch.testing.assert_close(loss, expected)


def test_noise_has_the_given_length_and_keeps_signs(timed: Dataset):
    module = bound(timed, n_layers=1)
    clean = dense_graph(timed) @ module.initial
    (noisy,) = module.layers(module.graph, noise=0.05)
    moved = noisy - clean
    connected = clean.abs().sum(dim=1) > 0
    torch.testing.assert_close(moved[connected].norm(dim=1), torch.full((int(connected.sum()),), 0.05))
    assert (moved * clean >= 0).all()


def test_noise_propagates_through_the_layers(timed: Dataset):
    module = bound(timed, n_layers=2)
    clean, noisy = module.layers(module.graph), module.layers(module.graph, noise=0.05)
    moved = noisy[1] - dense_graph(timed) @ noisy[0]
    connected = clean[1].abs().sum(dim=1) > 0
    torch.testing.assert_close(moved[connected].norm(dim=1), torch.full((int(connected.sum()),), 0.05))


def test_scores_have_neither_noise_nor_layer_0(timed: Dataset):
    model = XSimGCL(n_layers=2, **SMALL).fit(timed)
    graph, start = dense_graph(timed), model.module.initial.detach()
    expected = (graph @ start + graph @ graph @ start) / 2
    trained = timed.user_counts > 0
    np.testing.assert_allclose(model.user_embeddings()[trained], expected[: timed.n_users][trained], atol=1e-6)
    np.testing.assert_allclose(model.item_embeddings(), expected[timed.n_users :], atol=1e-6)


def test_users_without_training_interactions_have_the_vector_of_unknown_users():
    model = XSimGCL(**SMALL).fit(Dataset.from_arrays([0, 2], [0, 1], n_users=3, n_items=2))
    np.testing.assert_array_equal(model.module.propagated_users[1], model.module.propagated_users[-1])
    assert model.user_embeddings()[1].any()


@pytest.mark.parametrize(
    "setting",
    [
        {"n_layers": 0},
        {"contrasted_layer": 0},
        {"contrasted_layer": 4},
        {"l2": -1.0},
        {"noise": -0.1},
        {"temperature": 0.0},
        {"contrast_weight": 0.0},
    ],
)
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must be"):
        XSimGCL(**setting)


def test_a_model_that_was_saved_as_a_lightgcn_with_a_contrastive_loss_scores_as_before(timed: Dataset, tmp_path):
    model = XSimGCL(contrast_weight=0.1, **SMALL).fit(timed)
    model.save(tmp_path)
    described = tmp_path / "model.json"
    described.write_text(
        described.read_text().replace("recsys.models.xsimgcl.XSimGCL", "recsys.models.lightgcn.LightGCN")
    )
    loaded = load(tmp_path)
    assert isinstance(loaded, XSimGCL)
    assert loaded.hyperparameters() == model.hyperparameters()
    query = timed.query(np.arange(5))
    np.testing.assert_array_equal(loaded.score(query), model.score(query))
