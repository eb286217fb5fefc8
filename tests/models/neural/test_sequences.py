"""Epochs of sequences, objectives by position, and what any model of sequences does with a history."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.gru4rec import GRU4Rec, PackedGRU
from recsys.models.neural import HistoryBatch
from recsys.models.neural.next_item import (
    GBCE,
    NextItemSoftmax,
    SampledNextItemSoftmax,
    product_softmax_loss,
)
from recsys.models.neural.sampling import Draw, Interactions
from recsys.models.neural.sequences import ItemSampler, SequenceEpoch, SequenceModule, SequenceRecommender
from recsys.models.sasrec import SASRec

CPU = torch.device("cpu")
N_ITEMS = 12
MODELS = {
    "sasrec": SASRec(embedding_dim=8, n_heads=2, max_length=6),
    "ligr": SASRec(embedding_dim=8, block="ligr", max_length=6),
    "gru4rec": GRU4Rec(embedding_dim=8, hidden_dim=6, n_layers=2, max_length=6),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def module(request: pytest.FixtureRequest) -> SequenceModule:
    torch.manual_seed(0)
    module = request.param.build(5, N_ITEMS)
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return module.eval()


def history(*rows: list[int]) -> HistoryBatch:
    return HistoryBatch.from_history(History.of_items(rows), CPU)


def score(module: SequenceModule, *rows: list[int]) -> np.ndarray:
    return module.score(Query.of_histories(History.of_items(rows)))


def sequences(*rows: list[int], n_items: int | None = None) -> Dataset:
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.concatenate(rows)
    return Dataset.from_arrays(users, items, times=np.arange(len(items)), n_items=n_items, fingerprint="sequences")


def test_later_items_never_change_earlier_states(module: SequenceModule):
    first = module.states(history([1, 2, 3, 4], [5, 6]), module.item_table())
    second = module.states(history([1, 2, 9, 9], [5, 7]), module.item_table())
    # positions are counted from the end, so lengths must be equal for states to be
    torch.testing.assert_close(first[[0, 1, 4]], second[[0, 1, 4]])
    assert not torch.isclose(first[[2, 3, 5]], second[[2, 3, 5]]).all(dim=1).any()


def test_a_history_has_the_same_scores_alone_and_next_to_longer_ones(module: SequenceModule):
    rows = [[3], [1, 2, 3, 4, 5, 6], [7, 8], [2, 1], [9, 9, 9], [4, 3, 2, 1, 0]]
    alone = np.concatenate([score(module, row) for row in rows])
    np.testing.assert_allclose(score(module, *rows), alone, rtol=1e-4, atol=1e-5)


def test_of_a_longer_history_the_latest_items_are_read(module: SequenceModule):
    latest = [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(score(module, [9, 8, 7, *latest]), score(module, latest), rtol=1e-4, atol=1e-5)


def test_the_order_of_a_history_changes_its_scores(module: SequenceModule):
    assert not np.allclose(score(module, [1, 2, 3]), score(module, [3, 2, 1]), atol=1e-3)
    assert not np.allclose(score(module, [2, 1, 3]), score(module, [1, 2, 3]), atol=1e-3)


def test_repeated_items_and_single_ones_have_finite_scores(module: SequenceModule):
    assert np.isfinite(score(module, [4], [4, 4, 4, 4], [1, 2, 1])).all()


def test_a_user_without_a_history_is_encoded_as_zero_among_others(module: SequenceModule):
    scores = score(module, [], [1, 2], [])
    np.testing.assert_array_equal(scores[[0, 2]], 0)
    np.testing.assert_allclose(scores[1:2], score(module, [1, 2]), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(score(module, [], []), 0)


def test_an_epoch_has_every_user_with_two_items_once_with_the_next_item_at_each_position():
    train = Interactions(sequences([1, 2, 3], [4], [5, 6, 7, 8, 9], [10, 11]), CPU)
    batches = list(SequenceEpoch(train, Draw(2, seed=1), max_length=3))
    found = {}
    for batch in batches:
        read = batch.queries.history
        for user, items, targets in zip(
            batch.queries.users.tolist(),
            read.items.split(read.lengths.tolist()),
            batch.targets.split(read.lengths.tolist()),
            strict=True,
        ):
            found[user] = (items.tolist(), targets.tolist())
    assert found == {0: ([1, 2], [2, 3]), 2: ([6, 7, 8], [7, 8, 9]), 3: ([10], [11])}
    assert len(batches) == len(SequenceEpoch(train, Draw(2, seed=1), max_length=3)) == 2


def test_an_epoch_follows_from_its_seed():
    train = Interactions(sequences(*[[i, i + 1, i + 2] for i in range(9)]), CPU)
    objective = GBCE(n_negatives=3)
    objective.bind(train)
    first, same, other = (list(objective.epoch(train, Draw(4, seed))) for seed in (1, 1, 2))
    for one, two in zip(first, same, strict=True):
        assert torch.equal(one.targets, two.targets)
        assert torch.equal(one.negatives, two.negatives)
    assert any(not torch.equal(one.negatives, two.negatives) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("logits_per_pass", [1, 40, 10**6])
def test_the_softmax_in_passes_is_the_cross_entropy_of_all_logits(monkeypatch, logits_per_pass: int):
    monkeypatch.setattr("recsys.models.neural.next_item.LOGITS_PER_PASS", {"cpu": logits_per_pass})
    torch.manual_seed(0)
    states, items = torch.randn(7, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    targets = torch.randint(9, (7,))
    expected = torch.nn.functional.cross_entropy(states @ items.T, targets)
    gradients = torch.autograd.grad(2 * expected, (states, items))
    loss = product_softmax_loss(states, items, targets)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(2 * loss, (states, items)), gradients)


class GivenStates(SequenceModule):
    """States that do not depend on the history, for losses worked by hand."""

    def __init__(self, states: torch.Tensor, items: torch.Tensor) -> None:
        super().__init__(1, len(items), 10)
        self.given, self.items = states, items

    def states(self, history: HistoryBatch, table: torch.Tensor) -> torch.Tensor:
        return self.given

    def item_table(self) -> torch.Tensor:
        return self.items


@pytest.fixture
def given() -> GivenStates:
    torch.manual_seed(0)
    return GivenStates(torch.randn(40, 3), torch.randn(6, 3))


def batch_of_one(objective, train: Interactions):
    objective.bind(train)
    (batch,) = objective.epoch(train, Draw(1, seed=0))
    return batch


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Interactions:
    """One sequence, whose 40 positions have negatives in groups of 16."""
    monkeypatch.setattr(ItemSampler, "positions_per_draw", 16)
    return Interactions(sequences(np.random.default_rng(0).integers(6, size=41), n_items=6), CPU)


def scores_by_position(given: GivenStates, batch) -> list[tuple[float, list[float], list[int]]]:
    """The logit of the next item, and logits and codes of the negatives that are other items."""
    rows = []
    for position, target in enumerate(batch.targets.tolist()):
        negatives = [i for i in batch.negatives[position // ItemSampler.positions_per_draw].tolist() if i != target]
        logits = given.items @ given.given[position]
        rows.append((logits[target].item(), logits[negatives].tolist(), negatives))
    return rows


@pytest.mark.parametrize("settings", [{}, {"rated_only": True}, {"negative_power": 1.0}], ids=str)
@pytest.mark.parametrize("n_rated", [5, 6])
def test_gbce_is_that_of_the_paper_position_by_position_from_the_prior(
    given: GivenStates, train: Interactions, n_rated: int, settings: dict[str, Any]
):
    objective = GBCE(n_negatives=3, calibration=0.75, **settings)
    batch = batch_of_one(objective, Interactions(sequences(np.arange(41) % n_rated, n_items=6), CPU))
    alpha = 3 / ((n_rated if settings else 6) - 1)
    beta = alpha * (0.75 * (1 - 1 / alpha) + 1 / alpha)

    def sigmoid(logit: float) -> float:
        return 1 / (1 + np.exp(-logit - np.log(beta / 3)))

    total = 0.0
    for positive, negatives, _ in scores_by_position(given, batch):
        total -= beta * np.log(sigmoid(positive)) + sum(np.log(1 - sigmoid(s)) for s in negatives)
    assert objective.loss(given, batch).item() == pytest.approx(total / (40 * 4), rel=1e-4)


def test_the_sampled_softmax_counts_a_negative_once_over_its_expected_number(given: GivenStates, train: Interactions):
    objective = SampledNextItemSoftmax(n_negatives=4, negative_power=1.0)
    batch = batch_of_one(objective, train)
    q = (train.item_counts / train.item_counts.sum()).tolist()
    losses = [
        np.log(np.exp(s) + sum(np.exp(other) / (4 * q[i]) for other, i in zip(others, items, strict=True))) - s
        for s, others, items in scores_by_position(given, batch)
    ]
    assert objective.loss(given, batch).item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_sampled_softmax_of_many_negatives_is_close_to_the_softmax(given: GivenStates, train: Interactions):
    objective = SampledNextItemSoftmax(n_negatives=20_000)
    batch = batch_of_one(objective, train)
    whole = NextItemSoftmax().loss(given, batch).item()
    assert objective.loss(given, batch).item() == pytest.approx(whole, rel=0.02)


CYCLIC = {"batch_size": 8, "lr": 0.03, "max_epochs": 15, "max_length": 8}
LONGER = CYCLIC | {"max_epochs": 25}


@pytest.mark.parametrize(
    "model",
    [
        SASRec(embedding_dim=16, dropout=0.0, **CYCLIC),
        SASRec(embedding_dim=16, dropout=0.0, loss="gbce", n_negatives=8, **LONGER),
        SASRec(embedding_dim=16, dropout=0.0, loss="sampled_softmax", n_negatives=8, block="ligr", **LONGER),
        GRU4Rec(embedding_dim=16, hidden_dim=16, dropout=0.0, **CYCLIC),
    ],
    ids=["softmax", "gbce", "ligr_sampled", "gru4rec"],
)
def test_the_next_item_of_a_cycle_is_found_by_its_order(model: SequenceRecommender):
    """Half of the users go around the items forwards and half backwards: the items alone decide nothing."""
    starts = np.arange(40)
    rows = [[(start + (-step if start % 2 else step)) % N_ITEMS for step in range(10)] for start in starts]
    model.fit(sequences(*rows, n_items=N_ITEMS))
    rated = [[2, 3, 4], [6, 5, 4]]
    scores = model.score(Query.of_histories(History.of_items(rated)))
    np.put_along_axis(scores, np.array(rated), -np.inf, axis=1)
    assert scores.argmax(axis=1).tolist() == [5, 3]


def test_the_recurrent_layers_are_those_of_torch_with_their_gradients():
    torch.manual_seed(0)
    gru = PackedGRU(3, 4, num_layers=2)
    x, sizes = torch.randn(9, 3, requires_grad=True), [3, 3, 2, 1]
    found = gru(x, sizes)
    expected = torch.nn.GRU.forward(gru, PackedSequence(x, torch.tensor(sizes)))[0].data
    weights = [x, *gru.parameters()]
    gradients = [torch.autograd.grad((states * states).sum(), weights) for states in (found, expected)]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*gradients)


def test_data_without_a_user_who_has_two_ratings_are_refused():
    with pytest.raises(UserError, match="some user must have two training ratings"):
        SASRec().fit(sequences([1], [2]))


def test_ratings_without_times_are_refused(untimed: Dataset):
    with pytest.raises(UserError, match="SASRec needs ratings with times"):
        SASRec().fit(untimed)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_length": 0}, "max_length must be above zero"),
        ({"embedding_dim": 10, "n_heads": 3}, r"n_heads must divide embedding_dim \(got 3 and 10\)"),
        ({"block": "post_norm"}, "block must be one of pre_norm, ligr"),
        ({"loss": "bpr"}, "loss must be one of softmax, sampled_softmax, gbce"),
        ({"loss": "gbce", "calibration": 2.0}, "calibration must be between 0 and 1"),
        ({"dropout": 1.5}, "dropout must be between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        SASRec(**settings)
