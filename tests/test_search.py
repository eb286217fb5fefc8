"""Searches of a made-up function: what is tried, what is kept, and how a search goes on."""

import pandas as pd
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from recsys.config import search as plugin
from recsys.config.search import Search
from recsys.errors import UserError


class Launcher:
    """Runs jobs that give -(l2 - 3)^2, and fail above 8."""

    def __init__(self):
        self.launched: list[list[list[str]]] = []
        self.firsts: list[int] = []

    def __call__(self, jobs, first):
        self.launched.append(jobs)
        self.firsts.append(first)
        return [self.job(overrides) for overrides in jobs]

    def job(self, overrides):
        l2 = float(dict(override.split("=", 1) for override in overrides)["++model.l2"])
        if l2 > 8:
            return JobReturn(status=JobStatus.FAILED, _return_value=UserError("it diverged"))
        return JobReturn(status=JobStatus.COMPLETED, _return_value=-((l2 - 3) ** 2))

    @property
    def tried(self) -> list[str]:
        return [job[1] for batch in self.launched for job in batch]


def searching(tmp_path, sweep="interval(0.0, 8.0)", **settings):
    return Search(tmp_path, {"model.l2": sweep}, ["model=ease"], **{"n_trials": 5, "seed": 0, **settings})


def test_a_search_gives_the_overrides_of_its_best_trial_and_keeps_all(tmp_path):
    launch = Launcher()
    found = searching(tmp_path).run(launch)
    trials = pd.read_csv(tmp_path / "trials.csv")
    best = trials.loc[trials["value"].idxmax()]
    assert found == [f"++model.l2={best['model.l2']}"]
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {
        "value": best["value"],
        "trial": best["trial"],
        "overrides": found,
    }
    assert (tmp_path / "history.png").is_file()
    assert launch.firsts == [0, 1, 2, 3, 4]
    assert all(batch[0][0] == "model=ease" for batch in launch.launched)


def test_a_finished_search_runs_nothing_more_and_gives_the_same(tmp_path):
    again = Launcher()
    assert searching(tmp_path).run(Launcher()) == searching(tmp_path).run(again)
    assert not again.launched


def test_a_search_that_goes_on_draws_what_an_uninterrupted_one_does(tmp_path):
    whole, before, after = Launcher(), Launcher(), Launcher()
    searching(tmp_path / "whole", n_trials=14).run(whole)
    searching(tmp_path / "parts", n_trials=12).run(before)
    searching(tmp_path / "parts", n_trials=14).run(after)
    assert before.tried + after.tried == whole.tried
    assert after.firsts[0] == 12


@pytest.mark.parametrize("sweep", ["choice(1, 2, 7)", "range(1, 4)", "choice(1, 2, 3, 2)"])
def test_a_search_ends_when_every_setting_was_tried_once(tmp_path, sweep):
    launch = Launcher()
    searching(tmp_path, sweep, n_trials=30).run(launch)
    assert len(set(launch.tried)) == len(launch.tried) == 3


def test_trials_are_launched_as_many_at_a_time_as_asked_for(tmp_path):
    launch = Launcher()
    searching(tmp_path, n_trials=7, n_parallel=3).run(launch)
    assert list(map(len, launch.launched)) == [3, 3, 1]
    assert launch.firsts == [0, 3, 6]
    assert len(set(launch.tried)) == 7


def test_trials_that_fail_count_and_are_told(tmp_path):
    launch = Launcher()
    searching(tmp_path, "choice(1, 9, 2, 10)", n_parallel=4).run(launch)
    trials = pd.read_csv(tmp_path / "trials.csv", index_col="model.l2")
    assert dict(trials["state"]) == {1: "complete", 9: "failed", 2: "complete", 10: "failed"}
    assert trials.loc[9, "failure"] == "it diverged"


def test_first_trials_that_all_fail_end_the_search_and_do_not_count(tmp_path):
    launch = Launcher()
    for _ in range(2):
        with pytest.raises(UserError, match="it diverged"):
            searching(tmp_path, "choice(9, 10, 11)", n_parallel=2).run(launch)
    assert list(map(len, launch.launched)) == [2, 2]


def test_another_space_or_other_fixed_settings_in_the_directory_are_refused(tmp_path):
    searching(tmp_path).run(Launcher())
    with pytest.raises(UserError, match="another directory"):
        searching(tmp_path, "interval(0.0, 9.0)").run(Launcher())


@pytest.mark.parametrize("setting", ["n_trials", "n_parallel"])
@pytest.mark.parametrize("value", [0, "many"])
def test_no_number_of_trials_is_refused(tmp_path, setting, value):
    with pytest.raises(UserError, match=rf"{setting} must be a whole number above zero \(got {value}\)"):
        searching(tmp_path, **{setting: value})


def test_a_search_without_optuna_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin, "optuna", None)
    with pytest.raises(UserError, match="pip install"):
        searching(tmp_path)


def test_sweep_syntax_becomes_distributions():
    def of(sweep):
        return plugin.distribution(OverridesParser.create().parse_override(f"x={sweep}"))

    assert of("choice(a, [8,4], 3)") == CategoricalDistribution(["a", "[8,4]", "3"])
    assert of("range(1, 10, 4)") == IntDistribution(1, 9, step=4)
    assert of("interval(0, 1)") == FloatDistribution(0.0, 1.0)
    assert of("int(interval(1, 8))") == IntDistribution(1, 8)
    assert of("tag(log, interval(0.1, 1))") == FloatDistribution(0.1, 1.0, log=True)
    with pytest.raises(UserError, match=r"must be a choice, .*\(got x=3\)"):
        of("3")
