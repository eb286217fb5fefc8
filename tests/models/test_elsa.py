"""ELSA against its dense equations."""

import numpy as np
import pytest
import torch

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.elsa import ELSA, ELSAModule, NormalisedSquaredError
from recsys.models.neural import HistoryBatch, QueryBatch

HISTORIES = [[1, 4, 9], [0], [2, 3]]


@pytest.fixture
def batch() -> QueryBatch:
    return QueryBatch(torch.arange(3), HistoryBatch.from_history(History.of_items(HISTORIES), torch.device("cpu")))


@pytest.fixture
def x() -> torch.Tensor:
    dense = torch.zeros(3, 10)
    for row, items in enumerate(HISTORIES):
        dense[row, items] = 1.0
    return dense


def test_scores_are_those_of_weights_of_low_rank_with_a_zero_diagonal(batch: QueryBatch, x: torch.Tensor):
    module = ELSAModule(3, 10, embedding_dim=4)
    vectors = torch.nn.functional.normalize(module.items.weight)
    weights = vectors @ vectors.T - torch.eye(10)
    torch.testing.assert_close(weights.diag(), torch.zeros(10))
    torch.testing.assert_close(module(batch), x @ weights)


def test_the_loss_is_the_squared_distance_of_unit_vectors(batch: QueryBatch, x: torch.Tensor):
    module = ELSAModule(3, 10, embedding_dim=4)
    unit = torch.nn.functional.normalize
    expected = (unit(x) - unit(module(batch))).square().sum(dim=1).mean()
    torch.testing.assert_close(NormalisedSquaredError().loss(module, batch), expected)


def test_the_loss_in_half_precision_is_about_that_in_single_precision(batch: QueryBatch):
    module, objective = ELSAModule(3, 10, embedding_dim=4), NormalisedSquaredError()
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective.loss(module, batch)
    torch.testing.assert_close(loss, objective.loss(module, batch), rtol=0.02, atol=0)


def test_memory_grows_with_the_items_and_not_with_their_pairs(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 10**9)
    many = Dataset.from_arrays(timed.users, timed.items, n_items=100_000)
    with pytest.raises(UserError, match=r"256 numbers for each of 100,000 items would take (0|1)\.\d GB"):
        ELSA(batch_size=1024).fit(many)
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 4 * 10**6)
    ELSA(embedding_dim=4, batch_size=16, max_epochs=1).fit(timed)


def test_embeddings_of_users_and_items_give_the_scores_of_unseen_items(timed: Dataset):
    model = ELSA(embedding_dim=4, batch_size=16, max_epochs=1).fit(timed)
    users = np.array([2, 31])
    seen = timed.query(users).history.matrix(timed.n_items).toarray()
    expected = model.user_embeddings()[users] @ model.item_embeddings().T - seen
    np.testing.assert_allclose(model.score(timed.query(users)), expected, rtol=1e-4, atol=1e-5)
