"""LightGCN against dense matrices."""

import numpy as np
import pytest
import torch

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
    torch.testing.assert_close(module.propagate(module.graph), expected)
    module.refresh()
    torch.testing.assert_close(module.user_embeddings(), expected[: timed.n_users])
    torch.testing.assert_close(module.item_embeddings(), expected[timed.n_users :])


def test_gradients_pass_through_the_graph(module: LightGCNModule, timed: Dataset):
    graph = dense_graph(timed)
    module.propagate(module.graph).square().sum().backward()
    start = torch.cat([module.users.known, module.items.weight]).detach().requires_grad_()
    ((start + graph @ start + graph @ graph @ start) / 3).square().sum().backward()
    torch.testing.assert_close(module.items.weight.grad, start.grad[timed.n_users :])


def test_only_embeddings_of_the_batch_before_propagation_are_penalised(module: LightGCNModule):
    objective, without = GraphBPR(l2=0.5), GraphBPR(l2=0.0)
    own = module.users.weight[[3, 7]].square().sum() + module.items.weight[[1, 2, 5, 9]].square().sum()
    difference = objective.loss(module, batch()) - without.loss(module, batch())
    torch.testing.assert_close(difference, 0.5 * own / 4)


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
    model = LightGCN(**SMALL).fit(Dataset.from_arrays([0, 2], [0, 1], n_users=3, n_items=2))
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
        {"l2": -1.0},
        {"edges_per_step": 0},
    ],
)
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must be"):
        LightGCN(**setting)
