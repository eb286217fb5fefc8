"""Callbacks of a training: pruning of trials that are behind, and the progress bar."""

from functools import partial

import optuna
import pytest
import pytorch_lightning as pl
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import create_trial

from recsys.models.base import FitContext
from recsys.models.fitting import QUIET_CPU
from recsys.models.mf import MF
from recsys.models.neural.callbacks import Pruning, TrainingBar

SMALL = {"embedding_dim": 4, "batch_size": 64, "max_epochs": 2}


@pytest.fixture
def fit(split, tmp_path):
    """Train five epochs as a trial beside complete ones; gives the epochs it had, and the trial afterwards."""

    def run(others: list[float], **settings) -> tuple[int, optuna.trial.FrozenTrial]:
        journal = str(tmp_path / f"journal_{len([*tmp_path.iterdir()])}")
        study = optuna.create_study(storage=JournalStorage(JournalFileBackend(journal)), direction="maximize")
        for value in others:
            rungs = {"completed_rung_0": value}  # where successive halving stores a trial's value after `after` epochs
            values = dict.fromkeys(range(1, 6), value)
            study.add_trial(create_trial(value=value, intermediate_values=values, system_attrs=rungs))
        trial = study.ask()
        pruning = Pruning(journal, trial.number, **{"metric": "ndcg@10", "after": 2, **settings})
        context = FitContext(trainer=partial(QUIET_CPU, callbacks=[pruning]))
        model = MF(embedding_dim=4, max_epochs=5, patience=5).fit(split.train, split.valid, context)
        return model.fit_report.epochs, study.trials[trial.number]

    return run


def test_a_trial_behind_the_others_ends_after_the_epochs_that_every_trial_has(fit):
    epochs, trial = fit([1.0] * 5)
    assert epochs == 2
    assert trial.last_step == 2
    assert trial.user_attrs == {Pruning.PRUNED: True}


def test_a_trial_ahead_of_half_of_the_others_is_trained_to_the_end(fit):
    epochs, trial = fit([1.0, 1.0, 0.0, 0.0, 0.0])
    assert epochs == 5
    assert not trial.user_attrs


def test_by_successive_halving_a_trial_ends_unless_it_is_in_the_best_third(fit):
    epochs, trial = fit([1.0, 1.0, 0.0, 0.0, 0.0], halving=True)
    assert epochs == 2
    assert trial.user_attrs == {Pruning.PRUNED: True}
    assert fit([1.0, 0.0, 0.0, 0.0, 0.0], halving=True)[0] == 5


def test_the_best_epoch_so_far_is_reported(fit):
    _, trial = fit([0.0] * 5)
    reported = [trial.intermediate_values[epoch] for epoch in range(1, 6)]
    assert reported == sorted(reported)
    assert 0 < reported[-1] < 1


def test_few_trials_prune_none(fit):
    assert fit([1.0] * 4)[0] == 5


def test_a_metric_that_epochs_do_not_measure_prunes_nothing(fit):
    epochs, trial = fit([1.0] * 5, metric="f1@50")
    assert epochs == 5
    assert not trial.intermediate_values


@pytest.mark.parametrize("options", [{}, {"limit_train_batches": 3}])
def test_the_progress_bar_counts_all_batches_in_groups_or_one_by_one(timed, monkeypatch, options):
    bars = []
    monkeypatch.setattr(TrainingBar, "on_train_end", lambda self, trainer, module: bars.append(self.bar))
    monkeypatch.setattr("recsys.models.neural.callbacks.ProgressBar", Counter)
    MF(**SMALL).fit(timed, context=FitContext(trainer=partial(pl.Trainer, accelerator="cpu", **options)))
    [bar] = bars
    per_epoch = options.get("limit_train_batches", -(-len(timed) // (64 // 5)))
    assert bar.n == bar.total == 2 * per_epoch


class Counter:
    """A bar that shows nothing."""

    def __init__(self, total: int, initial: int, **options) -> None:
        self.total, self.n = total, initial

    def update(self, n: int = 1) -> None:
        self.n += n

    def set_description_str(self, text: str, refresh: bool) -> None:
        pass
