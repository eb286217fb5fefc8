"""Optimisers and schedules: AdamW by rows, and the shape of a schedule."""

import copy

import pytest
import torch
from torch import nn

from recsys.errors import UserError
from recsys.models.neural import Optimization
from recsys.models.neural.optimization import RowwiseAdamW

SETTINGS = {"lr": 0.1, "weight_decay": 0.5}


def table(sparse: bool) -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(5, 3, sparse=sparse)


def step(embedding: nn.Embedding, optimizer: torch.optim.Optimizer, rows: list[int]) -> None:
    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (embedding(torch.tensor(rows)) ** 2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0


def test_rows_that_every_step_looks_up_are_updated_as_by_adamw():
    ours, theirs = table(sparse=True), table(sparse=False)
    optimizers = RowwiseAdamW(ours.parameters(), **SETTINGS), torch.optim.AdamW(theirs.parameters(), **SETTINGS)
    for _ in range(4):
        for embedding, optimizer in zip((ours, theirs), optimizers, strict=True):
            step(embedding, optimizer, [0, 1, 2, 3, 4, 1])
    torch.testing.assert_close(ours.weight, theirs.weight)


@pytest.mark.parametrize("fused", [True, False])
def test_dense_gradients_are_applied_as_by_adamw(fused: bool):
    ours, theirs = table(sparse=False), table(sparse=False)
    optimizers = (
        RowwiseAdamW(ours.parameters(), fused=fused, **SETTINGS),
        torch.optim.AdamW(theirs.parameters(), fused=fused, **SETTINGS),
    )
    for _ in range(3):
        for embedding, optimizer in zip((ours, theirs), optimizers, strict=True):
            step(embedding, optimizer, [0, 3])
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=0)


def test_rows_that_a_step_does_not_look_up_stay_as_they_are():
    embedding = table(sparse=True)
    before = embedding.weight.detach().clone()
    step(embedding, RowwiseAdamW(embedding.parameters(), **SETTINGS), [1, 3])
    changed = (embedding.weight != before).any(dim=1)
    assert changed.tolist() == [False, True, False, True, False]


def test_a_row_that_is_looked_up_late_starts_like_any_other():
    late, first = table(sparse=True), table(sparse=True)
    optimizer = RowwiseAdamW(late.parameters(), **SETTINGS)
    for rows in ([1], [1], [0]):
        step(late, optimizer, rows)
    step(first, RowwiseAdamW(first.parameters(), **SETTINGS), [0])
    torch.testing.assert_close(late.weight[0], first.weight[0])


def test_a_saved_optimizer_continues_as_if_uninterrupted():
    embedding = table(sparse=True)
    optimizer = RowwiseAdamW(embedding.parameters(), fused=True, **SETTINGS)
    step(embedding, optimizer, [0, 1])
    resumed = copy.deepcopy(embedding)
    other = RowwiseAdamW(resumed.parameters(), fused=True, **SETTINGS)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for own, its in ((embedding, optimizer), (resumed, other)):
        step(own, its, [1, 2])
    torch.testing.assert_close(resumed.weight, embedding.weight, rtol=0, atol=0)


@pytest.mark.parametrize("sparse", [True, False])
def test_adam_updates_rows_where_gradients_are_sparse(sparse: bool):
    embedding = table(sparse)
    optimizer = Optimization().build(embedding, embedding.parameters())
    assert isinstance(optimizer, torch.optim.AdamW)
    assert isinstance(optimizer, RowwiseAdamW) == sparse


@pytest.mark.parametrize(
    ("name", "factors"),
    [("constant", [1, 1, 1]), ("linear", [1, 0.5, 0]), ("cosine", [1, 0.5, 0]), ("warmup_linear", [0, 0.5 / 0.9, 0])],
)
def test_a_schedule_goes_from_the_learning_rate_to_zero(name: str, factors: list[float]):
    embedding = table(sparse=False)
    optimization = Optimization(optimizer="sgd", lr=0.4, lr_schedule=name)
    optimizer = optimization.build(embedding, embedding.parameters())
    schedule = optimization.schedule(optimizer, n_steps=10)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        step(embedding, optimizer, [0])
        schedule.step()
    assert [rates[0], rates[5], rates[10]] == pytest.approx([0.4 * factor for factor in factors])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "lion"}, "optimizer must be one of adam, sgd (got 'lion')"),
        ({"lr_schedule": "sine"}, "lr_schedule must be one of constant, linear, cosine, warmup_linear (got 'sine')"),
        ({"lr": 0.0}, "lr must be above zero (got 0.0)"),
    ],
)
def test_settings_that_are_not_known_are_refused(settings: dict, message: str):
    with pytest.raises(UserError) as refused:
        Optimization(**settings)
    assert message in str(refused.value)
