import numpy as np
import pytest
import torch
from recsys.models.sampling import UserBatch

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.dae import DAE, DAEModule

SMALL = {"hidden_dim": 8, "batch_size": 16, "lr": 0.02, "max_epochs": 2}


def batch_of(histories: list[list[int]]) -> UserBatch:
    rows = [row for row, items in enumerate(histories) for _ in items]
    items = [item for items in histories for item in items]
    codes = (torch.tensor(part, dtype=torch.long) for part in (range(len(histories)), rows, items))
    return UserBatch(*codes, torch.ones(len(items)))


def test_logits_are_those_of_a_dense_two_layer_network():
    module = DAEModule(3, 10, 4, dropout=0.5).eval()
    torch.nn.init.normal_(module.bias)
    histories = [[1, 4, 9], [], [0]]
    watched = torch.zeros(3, 10)
    for row, items in enumerate(histories):
        watched[row, items] = 1.0
    x = torch.nn.functional.normalize(watched)
    expected = torch.tanh(x @ module.films_in.weight + module.bias) @ module.films_out.weight.T + module.films_out.bias
    torch.testing.assert_close(module(batch_of(histories)), expected)


def test_training_hides_films_and_keeps_the_expected_input():
    torch.manual_seed(0)
    module = DAEModule(1, 100, 1, dropout=0.5)
    torch.nn.init.constant_(module.films_in.weight, 0.01)  # small: tanh is linear there
    codes = torch.stack([module.encode(batch_of([list(range(64))])) for _ in range(500)])
    full = module.eval().encode(batch_of([list(range(64))]))
    assert codes.unique().numel() > 10
    torch.testing.assert_close(codes.mean(), full.squeeze(), rtol=0.02, atol=0.0)


def test_films_that_nobody_watched_get_a_gradient_from_the_softmax_alone():
    module = DAEModule(2, 6, 3, dropout=0.0)
    module.training_step(batch_of([[0, 1], [1, 2]]), 0).backward()
    assert (module.films_in.weight.grad[3:] == 0).all()
    assert (module.films_out.weight.grad[3:] != 0).any()


def test_user_embeddings_with_the_films_give_the_scores_and_are_saved(timed: Dataset, tmp_path):
    model = DAE(**SMALL).fit(timed)
    users = np.array([2, 31])
    bias = model.module.films_out.bias.detach().numpy()
    expected = model.user_embeddings()[users] @ model.item_embeddings().T + bias
    np.testing.assert_allclose(model.score(users, timed.history(users)), expected, rtol=1e-4, atol=1e-5)
    model.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).user_embeddings(), model.user_embeddings())


def test_somebody_new_is_scored_like_a_known_user_of_the_same_history(timed: Dataset):
    model = DAE(**SMALL).fit(timed)
    history = History.of_items([[3, 7]] * 2)
    known, new = model.score(np.array([5, -1]), history)
    np.testing.assert_array_equal(known, new)


def test_other_losses_are_refused():
    with pytest.raises(UserError, match="loss=bpr"):
        DAE(loss="bpr")


def test_weights_that_do_not_fit_in_memory_are_refused(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 1000)
    with pytest.raises(UserError, match="A layer of 8 to and from 40 films takes"):
        DAE(**SMALL).fit(timed)
