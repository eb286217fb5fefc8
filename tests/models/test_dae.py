"""The denoising autoencoder against a dense network, and how it reads histories."""

import numpy as np
import pytest
import torch

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.dae import DAE, DAEModule
from recsys.models.neural import HistoryBatch, QueryBatch, Softmax

SMALL = {"hidden_dim": 8, "batch_size": 16, "lr": 0.02, "max_epochs": 2}


def batch_of(histories: list[list[int]]) -> QueryBatch:
    history = HistoryBatch.from_history(History.of_items(histories), torch.device("cpu"))
    return QueryBatch(torch.arange(len(histories)), history)


def test_logits_are_those_of_a_dense_two_layer_network():
    module = DAEModule(3, 10, 4, dropout=0.5).eval()
    torch.nn.init.normal_(module.bias)
    histories = [[1, 4, 9], [], [0]]
    seen = torch.zeros(3, 10)
    for row, items in enumerate(histories):
        seen[row, items] = 1.0
    x = torch.nn.functional.normalize(seen)
    expected = torch.tanh(x @ module.encoder.weight + module.bias) @ module.decoder.weight.T + module.decoder.bias
    torch.testing.assert_close(module(batch_of(histories)), expected)


def test_training_masks_items_and_preserves_the_expected_input():
    torch.manual_seed(0)
    module = DAEModule(1, 100, 1, dropout=0.5)
    torch.nn.init.constant_(module.encoder.weight, 0.01)  # small: tanh is linear there
    codes = torch.stack([module.encode(batch_of([list(range(64))])) for _ in range(500)])
    full = module.eval().encode(batch_of([list(range(64))]))
    assert codes.unique().numel() > 10
    torch.testing.assert_close(codes.mean(), full.squeeze(), rtol=0.02, atol=0.0)


def test_items_without_interactions_get_a_gradient_only_from_the_softmax():
    module = DAEModule(2, 6, 3, dropout=0.0)
    Softmax().loss(module, batch_of([[0, 1], [1, 2]])).backward()
    assert (module.encoder.weight.grad[3:] == 0).all()
    assert (module.decoder.weight.grad[3:] != 0).any()


def test_embeddings_of_users_and_items_give_the_scores_and_are_saved(timed: Dataset, tmp_path):
    model = DAE(**SMALL).fit(timed)
    users = np.array([2, 31])
    bias = model.module.decoder.bias.detach().numpy()
    expected = model.user_embeddings()[users] @ model.item_embeddings().T + bias
    np.testing.assert_allclose(model.score(timed.query(users)), expected, rtol=1e-4, atol=1e-5)
    model.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).user_embeddings(), model.user_embeddings())


def test_an_unknown_user_is_scored_like_a_known_one_with_the_same_history(timed: Dataset):
    model = DAE(**SMALL).fit(timed)
    history = History.of_items([[3, 7]] * 2)
    known, unknown = model.score(Query(np.array([5, -1]), history))
    np.testing.assert_array_equal(known, unknown)


def test_other_losses_are_refused():
    with pytest.raises(UserError, match=r"loss must be one of softmax \(got 'bpr'\)"):
        DAE(loss="bpr")


def test_weights_that_do_not_fit_in_memory_are_refused(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 1000)
    with pytest.raises(UserError, match="A layer of 8 units to and from 40 items"):
        DAE(**SMALL).fit(timed)
