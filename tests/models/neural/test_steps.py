"""Optimisation steps: several in one call equal single ones, and settings of the trainer keep their meaning."""

from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, GradientAccumulationScheduler, StochasticWeightAveraging

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.models.base import FitContext
from recsys.models.gru4rec import GRU4Rec
from recsys.models.mf import MF
from recsys.models.ncf import NeuMF
from recsys.models.neural import NeuralRecommender
from recsys.models.svd_pp import SVDPP
from recsys.models.trainer_settings import REFUSED

SMALL = {"batch_size": 64, "max_epochs": 2, "lr": 0.02}
SGD = {**SMALL, "optimizer": "sgd", "lr": 1.0}


class Watch(Callback):
    """Records how a training went, by hooks that do not see single steps."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.first_step = trainer.global_step
        self.before = {name: tensor.clone() for name, tensor in module.state_dict().items()}

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.grouped = not module.automatic_optimization
        self.n_steps = trainer.global_step
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]
        self.after = {name: tensor.clone() for name, tensor in module.state_dict().items()}


class EveryStep(Callback):
    """Sees every step, and counts them."""

    def __init__(self) -> None:
        self.n_batches = 0

    def on_train_batch_end(self, trainer: pl.Trainer, module, outputs, batch, batch_index: int) -> None:
        self.n_batches += 1


def trainer(*callbacks: Callback, **options) -> partial:
    return partial(pl.Trainer, accelerator="cpu", enable_progress_bar=False, callbacks=list(callbacks), **options)


def fit(model: NeuralRecommender, train: Dataset, *callbacks: Callback, valid=None, **options) -> Watch:
    """Train a copy of a model, and return how it went."""
    watch = Watch()
    context = FitContext(trainer=trainer(watch, *callbacks, **options))
    type(model)(**model.hyperparameters()).fit(train, valid, context)
    return watch


def n_batches(train: Dataset) -> int:
    return ceil(len(train) / (SMALL["batch_size"] // 5))


@pytest.mark.parametrize(
    "model",
    [
        NeuMF(embedding_dim=4, hidden_dims=(8, 4), dropout=0.3, **SMALL),
        MF(embedding_dim=4, lr_schedule="cosine", weight_decay=0.1, **SMALL),
        MF(embedding_dim=4, lr_schedule="linear", **SGD),
        MF(embedding_dim=4, loss="bpr", rowwise=True, **SMALL),
        SVDPP(embedding_dim=4, history_dropout=0.5, **{**SMALL, "batch_size": 1}),
        GRU4Rec(embedding_dim=4, hidden_dim=4, **{**SMALL, "batch_size": 3}),
    ],
    ids=["neumf", "cosine", "linear_sgd", "rowwise", "svd_pp", "gru4rec"],
)
def test_groups_of_steps_give_exactly_the_weights_of_single_ones(model: NeuralRecommender, timed: Dataset):
    every = EveryStep()
    grouped, single = fit(model, timed), fit(model, timed, every)
    assert grouped.grouped
    assert not single.grouped
    assert grouped.n_steps == single.n_steps == every.n_batches > 32  # more than one group
    assert grouped.lr == single.lr
    torch.testing.assert_close(grouped.after, single.after, rtol=0, atol=0)


@pytest.mark.parametrize("others", [[], [EveryStep()]], ids=["grouped", "single"])
def test_a_schedule_by_step_reaches_zero_at_the_end_of_the_training(timed: Dataset, others: list[Callback]):
    assert fit(MF(embedding_dim=4, lr_schedule="linear", **SMALL), timed, *others).lr == pytest.approx(0, abs=1e-12)


def test_a_refit_that_stops_early_is_on_the_schedule_of_all_epochs(split: Split):
    model = MF(embedding_dim=4, lr_schedule="linear", **{**SMALL, "max_epochs": 4}).fit(split.train)
    model.n_best_epochs = 1  # as validation might have chosen
    watch = Watch()
    model.refit(split.train, FitContext(trainer=trainer(watch)))
    assert watch.n_steps == n_batches(split.train)
    assert watch.lr == pytest.approx(SMALL["lr"] * 3 / 4)


def test_gradients_are_clipped(timed: Dataset):
    clipped = fit(MF(embedding_dim=4, **SGD), timed, gradient_clip_val=1e-9)
    free = fit(MF(embedding_dim=4, **SGD), timed)
    moved = [max((run.after[name] - run.before[name]).abs().max() for name in run.after) for run in (clipped, free)]
    assert moved[0] < 1e-6  # of steps no longer than 1e-9 each, but for the rows of unknown users
    assert moved[1] > 0.1


def test_gradients_are_accumulated(timed: Dataset):
    watch = fit(MF(embedding_dim=4, **SMALL), timed, accumulate_grad_batches=2)
    assert watch.n_steps == 2 * ceil(n_batches(timed) / 2)


def test_accumulation_can_be_scheduled_by_a_callback(timed: Dataset):
    watch = fit(MF(embedding_dim=4, **SMALL), timed, GradientAccumulationScheduler({0: 1, 1: 4}))
    assert watch.n_steps == n_batches(timed) + ceil(n_batches(timed) / 4)


def test_a_training_ends_after_max_steps(timed: Dataset):
    watch = fit(MF(embedding_dim=4, **SMALL), timed, max_steps=3)
    assert watch.n_steps == 3


@pytest.mark.parametrize(("limit", "expected"), [(2, 2), (0.5, None)])
def test_epochs_can_be_limited(timed: Dataset, limit: float, expected: int | None):
    watch = fit(MF(embedding_dim=4, **SMALL), timed, limit_train_batches=limit)
    assert watch.n_steps == 2 * (expected or n_batches(timed) // 2)


@pytest.mark.parametrize("limits", [{"limit_train_batches": 0}, {"max_steps": 0}])
def test_a_training_without_steps_is_refused(timed: Dataset, limits: dict[str, int]):
    with pytest.raises(UserError, match="before the first step"):
        fit(MF(embedding_dim=4, **SMALL), timed, **limits)


def test_weight_averaging_is_refused_since_the_best_epoch_is_kept(timed: Dataset):
    with pytest.raises(UserError, match="leave it out"):
        fit(MF(embedding_dim=4, **SMALL), timed, StochasticWeightAveraging(0.01))


def test_overfitted_batches_are_the_same_in_every_epoch(timed: Dataset):
    watch = fit(MF(embedding_dim=4, **SMALL), timed, overfit_batches=1)
    assert watch.n_steps == 2
    changed = (watch.after["items.weight"] != watch.before["items.weight"]).any(dim=1)
    one_epoch = fit(MF(embedding_dim=4, **{**SMALL, "max_epochs": 1, "weight_decay": 0}), timed, overfit_batches=1)
    once = (one_epoch.after["items.weight"] != one_epoch.before["items.weight"]).any(dim=1)
    assert torch.equal(changed, once)


def test_half_precision_trains_equally_in_groups_of_steps_and_in_single_steps(timed: Dataset):
    model = MF(embedding_dim=4, **SMALL)
    grouped, single = (fit(model, timed, *others, precision="bf16-mixed") for others in ([], [EveryStep()]))
    assert grouped.grouped
    torch.testing.assert_close(grouped.after, single.after, rtol=0, atol=0)


class InterruptInGroup(Callback):
    """Interrupts within a group of steps of the second epoch, by the loss, so that no hook sees single steps."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        objective, n_calls = module.objective, 0

        def loss(module: pl.LightningModule, batch) -> torch.Tensor:
            nonlocal n_calls
            n_calls += trainer.current_epoch == 1
            if n_calls == 5:
                raise KeyboardInterrupt
            return type(objective).loss(objective, module, batch)

        objective.loss = loss


@pytest.mark.parametrize("others", [[], [EveryStep()]], ids=["grouped", "single"])
def test_a_run_that_is_interrupted_within_a_group_resumes_to_the_same_weights(
    split: Split, tmp_path: Path, others: list[Callback]
):
    model = MF(embedding_dim=4, lr_schedule="cosine", **{**SMALL, "max_epochs": 3})
    whole = fit(model, split.train, *others)
    context = FitContext(tmp_path, trainer(InterruptInGroup()))
    with pytest.raises(SystemExit):
        type(model)(**model.hyperparameters()).fit(split.train, context=context)
    watch = Watch()
    context = FitContext(tmp_path, trainer(watch, *others), resume=True)
    type(model)(**model.hyperparameters()).fit(split.train, context=context)
    assert watch.grouped == (not others)
    assert watch.first_step == n_batches(split.train)
    assert watch.n_steps == whole.n_steps == 3 * n_batches(split.train)
    torch.testing.assert_close(watch.after, whole.after, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("others", "limited_before"), [([], False), ([EveryStep()], False), ([], True)], ids=["groups", "single", "limited"]
)
def test_steps_before_an_interruption_count_towards_max_steps(
    split: Split, tmp_path: Path, others: list[Callback], limited_before: bool
):
    model = NeuMF(embedding_dim=4, hidden_dims=(8, 4), dropout=0.3, **{**SMALL, "max_epochs": 3})
    n_before = n_batches(split.train)
    limit = {"max_steps": n_before + 5}
    begin = trainer(InterruptInGroup(), *others, **(limit if limited_before else {}))
    with pytest.raises(SystemExit):
        type(model)(**model.hyperparameters()).fit(split.train, context=FitContext(tmp_path, begin))
    watch = Watch()
    model.fit(split.train, context=FitContext(tmp_path, trainer(watch, **limit), resume=True))
    assert (watch.first_step, watch.n_steps) == (n_before, n_before + 5)
    torch.testing.assert_close(watch.after, fit(model, split.train, **limit).after, rtol=0, atol=0)


@pytest.mark.parametrize("began", [[], [EveryStep()]], ids=["from_groups", "from_single_steps"])
def test_a_run_resumes_to_the_same_weights_with_callbacks_that_change_the_grouping(
    split: Split, tmp_path: Path, began: list[Callback]
):
    model = MF(embedding_dim=4, lr_schedule="cosine", **{**SMALL, "max_epochs": 3})
    begin = FitContext(tmp_path, trainer(InterruptInGroup(), *began))
    with pytest.raises(SystemExit):
        type(model)(**model.hyperparameters()).fit(split.train, split.valid, begin)
    watch = Watch()
    go_on = FitContext(tmp_path, trainer(watch, *([] if began else [EveryStep()])), resume=True)
    resumed = type(model)(**model.hyperparameters()).fit(split.train, split.valid, go_on)
    assert watch.grouped == bool(began)
    whole = model.fit(split.train, split.valid)
    assert resumed.n_best_epochs == whole.n_best_epochs
    assert resumed.fit_report.epochs == whole.fit_report.epochs == 3
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(resumed.arrays()[name], array, err_msg=name)


@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_that_a_fit_chooses_itself_is_refused_before_training(name: str, timed: Dataset):
    context = FitContext(trainer=partial(pytest.fail, "was trained", **{name: 1}))
    with pytest.raises(UserError) as refused:
        MF(embedding_dim=4, **SMALL).fit(timed, context=context)
    assert f"trainer.{name} " in str(refused.value)
    assert REFUSED[name] in str(refused.value)


def test_a_refused_setting_does_not_change_an_earlier_fit_in_the_directory(timed: Dataset, tmp_path: Path):
    model = MF(embedding_dim=4, **SMALL).fit(timed, context=FitContext(tmp_path, trainer()))
    with pytest.raises(UserError):
        MF(embedding_dim=4, **SMALL).fit(timed, context=FitContext(tmp_path, trainer(max_epochs=2)))
    again = MF(embedding_dim=4, **SMALL).fit(timed, context=FitContext(tmp_path, trainer(), resume=True))
    np.testing.assert_array_equal(again.item_embeddings(), model.item_embeddings())
    assert again.fit_report == model.fit_report
