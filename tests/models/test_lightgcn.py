"""LightGCN against dense matrices, and its objective worked by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.lightgcn import GraphBPR, LightGCN, LightGCNModule
from recsys.models.neural import QueryBatch, SampledBatch

SMALL = {"embedding_dim": 4, "batch_size": 64, "max_epochs": 1}


@pytest.fixture
def module(timed: Dataset) -> LightGCNModule:
    torch.manual_seed(0)
    module = LightGCNModule(timed.n_users, timed.n_items, embedding_dim=4, n_layers=2)
    module.bind(timed)
    return module


def dense_graph(train: Dataset) -> torch.Tensor:
    n_users, n_items = train.n_users, train.n_items
    graph = torch.zeros(n_users + n_items, n_users + n_items)
    graph[train.users, n_users + train.items] = 1.0
    graph += graph.T.clone()
    degrees = graph.sum(dim=1).clamp(min=1)
    return graph / torch.sqrt(torch.outer(degrees, degrees))


def batch() -> SampledBatch:
    return SampledBatch(QueryBatch(torch.tensor([3, 7])), torch.tensor([[1, 2], [5, 9]]), torch.zeros(40))


def test_embeddings_are_means_over_layers_of_the_normalised_graph(module: LightGCNModule, timed: Dataset):
    graph, start = dense_graph(timed), torch.cat([module.users.known, module.items.weight])
    expected = (start + graph @ start + graph @ graph @ start) / 3
    torch.testing.assert_close(module.propagate(module.graph).mean, expected)
    module.refresh()
    torch.testing.assert_close(module.user_embeddings(), expected[: timed.n_users])
    torch.testing.assert_close(module.item_embeddings(), expected[timed.n_users :])


def test_gradients_pass_through_the_graph(module: LightGCNModule, timed: Dataset):
    graph = dense_graph(timed)
    module.propagate(module.graph).mean.square().sum().backward()
    start = torch.cat([module.users.known, module.items.weight]).detach().requires_grad_()
    ((start + graph @ start + graph @ graph @ start) / 3).square().sum().backward()
    torch.testing.assert_close(module.items.weight.grad, start.grad[timed.n_users :])


def test_only_embeddings_of_the_batch_before_propagation_are_penalised(module: LightGCNModule):
    objective, without = GraphBPR(l2=0.5), GraphBPR(l2=0.0)
    own = module.users.weight[[3, 7]].square().sum() + module.items.weight[[1, 2, 5, 9]].square().sum()
    difference = objective.loss(module, batch()) - without.loss(module, batch())
    torch.testing.assert_close(difference, 0.5 * own / 4)


def test_the_contrastive_loss_compares_a_noisy_layer_with_the_mean(module: LightGCNModule):
    objective = GraphBPR(l2=0.0, contrast_weight=0.3, temperature=0.2)
    torch.manual_seed(1)
    loss = objective.loss(module, batch())
    torch.manual_seed(1)
    layers = module.propagate(module.graph, with_noise=True)
    n_users, expected = module.n_users, 0.0
    for user, (good, bad) in zip((3, 7), ((1, 2), (5, 9)), strict=True):
        margin = layers.mean[user] @ (layers.mean[n_users + good] - layers.mean[n_users + bad])
        expected += F.softplus(-margin) / 2
    for nodes in ([3, 7], [n_users + 1, n_users + 5]):
        one, other = F.normalize(layers.mean[nodes]), F.normalize(layers.contrasted[nodes])
        expected += 0.3 * F.cross_entropy(one @ other.T / 0.2, torch.arange(2))
    torch.testing.assert_close(loss, expected)


def test_noise_has_the_given_length_and_keeps_signs(timed: Dataset):
    module = LightGCNModule(timed.n_users, timed.n_items, embedding_dim=4, n_layers=1, first_layer=1, noise=0.05)
    module.bind(timed)
    clean = dense_graph(timed) @ torch.cat([module.users.known, module.items.weight])
    moved = module.propagate(module.graph, with_noise=True).mean - clean
    connected = clean.abs().sum(dim=1) > 0
    torch.testing.assert_close(moved[connected].norm(dim=1), torch.full((int(connected.sum()),), 0.05))
    assert (moved * clean >= 0).all()


def test_contrastive_training_leaves_layer_0_out_of_the_scores_too(timed: Dataset):
    model = LightGCN(n_layers=2, contrast_weight=0.2, **SMALL).fit(timed)
    graph, start = dense_graph(timed), torch.cat([model.module.users.known, model.module.items.weight]).detach()
    expected = (graph @ start + graph @ graph @ start) / 2
    trained = timed.user_counts > 0
    np.testing.assert_allclose(model.user_embeddings()[trained], expected[: timed.n_users][trained], atol=1e-6)
    np.testing.assert_allclose(model.item_embeddings(), expected[timed.n_users :], atol=1e-6)


def test_the_graph_of_a_step_is_an_unbiased_estimate_from_some_interactions(timed: Dataset):
    module = LightGCNModule(timed.n_users, timed.n_items, embedding_dim=4, n_layers=2, edges_per_step=50)
    module.bind(timed)
    torch.manual_seed(0)
    graph = module.training_graph().to_dense()
    assert torch.equal(graph, graph.T)
    assert 0 < torch.count_nonzero(graph) <= 100
    module.edges_per_step = 200_000
    torch.testing.assert_close(module.training_graph().to_dense(), dense_graph(timed), atol=0.0, rtol=0.2)


def test_users_without_training_interactions_have_the_vector_of_unknown_users():
    model = LightGCN(contrast_weight=0.2, **SMALL).fit(Dataset.from_arrays([0, 2], [0, 1], n_users=3, n_items=2))
    np.testing.assert_array_equal(model.module.propagated_users[1], model.module.propagated_users[-1])
    assert model.user_embeddings()[1].any()


def test_a_loaded_model_scores_without_the_graph_and_unknown_users_by_the_mean(timed: Dataset, tmp_path):
    model = LightGCN(**SMALL).fit(timed)
    model.save(tmp_path)
    query = Query(np.array([4, -1]), History.of_items([[], []]))
    scores = load(tmp_path).score(query)
    np.testing.assert_array_equal(scores, model.score(query))
    trained = model.user_embeddings()[timed.user_counts > 0]
    np.testing.assert_allclose(scores[1], trained.mean(axis=0) @ model.item_embeddings().T, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "setting",
    [
        {"n_layers": 0},
        {"contrasted_layer": 4},
        {"l2": -1.0},
        {"temperature": 0.0},
        {"contrast_weight": -1.0},
        {"edges_per_step": 0},
    ],
)
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must be"):
        LightGCN(**setting)
