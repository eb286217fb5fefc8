"""Pruning of trials whose training is behind."""

from functools import partial

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import create_trial

from recsys.data.splitters import LeaveLastOut
from recsys.models.base import QUIET_CPU, FitContext
from recsys.models.mf import MF
from recsys.models.neural.callbacks import Pruning


@pytest.fixture
def fit(timed, tmp_path):
    """Train five epochs as a trial beside complete ones; gives the epochs it had, and the trial afterwards."""

    def run(others: list[float], **settings) -> tuple[int, optuna.trial.FrozenTrial]:
        journal = str(tmp_path / "journal")
        study = optuna.create_study(storage=JournalStorage(JournalFileBackend(journal)), direction="maximize")
        for value in others:
            study.add_trial(create_trial(value=value, intermediate_values=dict.fromkeys(range(5), value)))
        trial = study.ask()
        pruning = Pruning(journal, trial.number, **{"metric": "ndcg@10", "after": 2, **settings})
        context = FitContext(trainer=partial(QUIET_CPU, callbacks=[pruning]))
        split = LeaveLastOut()(timed)
        model = MF(embedding_dim=4, max_epochs=5, patience=5).fit(split.train, split.valid, context)
        return int(model.speed["train/epochs"]), study.trials[trial.number]

    return run


def test_a_trial_behind_the_others_ends_after_its_share_of_epochs(fit):
    epochs, trial = fit([1.0] * 5)
    assert epochs == 2
    assert trial.last_step == 1
    assert trial.user_attrs == {Pruning.PRUNED: True}


def test_a_trial_ahead_of_half_of_the_others_runs_to_its_end(fit):
    epochs, trial = fit([1.0, 1.0, 0.0, 0.0, 0.0])
    assert epochs == 5
    assert not trial.user_attrs


def test_what_is_reported_is_the_best_epoch_so_far(fit):
    _, trial = fit([0.0] * 5)
    reported = [trial.intermediate_values[epoch] for epoch in range(5)]
    assert reported == sorted(reported)
    assert 0 < reported[-1] < 1


def test_few_trials_prune_none(fit):
    assert fit([1.0] * 4)[0] == 5


def test_a_metric_that_epochs_do_not_measure_prunes_nothing(fit):
    epochs, trial = fit([1.0] * 5, metric="f1@50")
    assert epochs == 5
    assert not trial.intermediate_values
