"""Searches of a simple function: trials, files, and continuation."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import sqlalchemy as sa
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import train
from recsys.analysis import search_history
from recsys.config import search as plugin
from recsys.config.search import Search
from recsys.errors import UserError
from recsys.models.neural.callbacks import search_storage
from tests.servers import PASSWORD


@pytest.fixture(autouse=True)
def drawn(monkeypatch) -> list[Path]:
    """The directories that figures were drawn in, without the figures, which take longer than the searches."""
    drawn = []

    def write_history(directory, *_):
        drawn.append(directory)
        (directory / "history.png").touch()

    monkeypatch.setattr(search_history, "write_history", write_history)
    return drawn


class Launcher:
    """Runs jobs that return -(l2 - 3)^2, fail above 8, and crash above 80."""

    def __init__(self):
        self.launched: list[list[list[str]]] = []
        self.firsts: list[int] = []

    def __call__(self, jobs, first):
        self.launched.append(jobs)
        self.firsts.append(first)
        return [self.job(overrides) for overrides in jobs]

    def job(self, overrides):
        l2 = float(dict(override.split("=", 1) for override in overrides)["++model.l2"])
        if l2 > 80:
            return JobReturn(status=JobStatus.FAILED, _return_value=np.linalg.LinAlgError("Singular matrix"))
        if l2 > 8:
            return JobReturn(status=JobStatus.FAILED, _return_value=UserError("it diverged"))
        return JobReturn(status=JobStatus.COMPLETED, _return_value=-((l2 - 3) ** 2))

    @property
    def tried(self) -> list[str]:
        return [job[1] for batch in self.launched for job in batch]


def new_search(tmp_path, sweep="interval(0.0, 8.0)", **settings):
    return Search(tmp_path, {"model.l2": sweep}, ["model=ease"], **{"n_trials": 5, "seed": 0, **settings})


def test_a_search_returns_its_best_overrides_and_writes_all_trials(tmp_path, drawn):
    launch = Launcher()
    found = new_search(tmp_path).run(launch)
    trials = pd.read_csv(tmp_path / "trials.csv")
    best = trials.loc[trials["value"].idxmax()]
    assert found == [f"++model.l2={best['model.l2']}"]
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {
        "value": best["value"],
        "trial": best["trial"],
        "overrides": found,
    }
    assert drawn == [tmp_path]
    assert launch.firsts == [0, 1, 2, 3, 4]
    assert all(batch[0][0] == "model=ease" for batch in launch.launched)


@pytest.mark.parametrize(("sweep", "warns"), [("interval(3.0, 8.0)", True), ("interval(0.0, 8.0)", False)])
def test_a_search_warns_if_its_best_is_at_an_end_of_a_range(tmp_path, caplog, sweep, warns):
    new_search(tmp_path, sweep, n_trials=12).run(Launcher())
    assert ("the best model.l2 is at an end of its range" in caplog.text) == warns


def test_a_finished_search_returns_the_same_without_further_trials_or_figures(tmp_path, drawn):
    second = Launcher()
    assert new_search(tmp_path).run(Launcher()) == new_search(tmp_path).run(second)
    assert not second.launched
    assert drawn == [tmp_path]


def test_a_continued_search_draws_the_same_trials_as_an_uninterrupted_one(tmp_path, drawn):
    whole, before, after = Launcher(), Launcher(), Launcher()
    new_search(tmp_path / "whole", n_trials=14).run(whole)
    new_search(tmp_path / "parts", n_trials=12).run(before)
    new_search(tmp_path / "parts", n_trials=14).run(after)
    assert before.tried + after.tried == whole.tried
    assert after.firsts[0] == 12
    assert drawn == [tmp_path / "whole", tmp_path / "parts", tmp_path / "parts"]


@pytest.mark.parametrize("sweep", ["choice(1, 2, 7)", "range(1, 4)", "choice(1, 2, 3, 2)"])
def test_a_search_ends_once_every_setting_was_tried(tmp_path, sweep):
    launch = Launcher()
    new_search(tmp_path, sweep, n_trials=30).run(launch)
    assert len(set(launch.tried)) == len(launch.tried) == 3


def test_n_parallel_trials_are_launched_together(tmp_path):
    launch = Launcher()
    new_search(tmp_path, n_trials=7, n_parallel=3).run(launch)
    assert list(map(len, launch.launched)) == [3, 3, 1]
    assert launch.firsts == [0, 3, 6]
    assert len(set(launch.tried)) == 7


def test_failed_trials_count_and_have_a_reason(tmp_path):
    launch = Launcher()
    new_search(tmp_path, "choice(1, 9, 2, 90)", n_parallel=4).run(launch)
    trials = pd.read_csv(tmp_path / "trials.csv", index_col="model.l2")
    assert dict(trials["state"]) == {1: "complete", 9: "failed", 2: "complete", 90: "failed"}
    assert trials.loc[9, "failure"] == "it diverged"
    assert trials.loc[90, "failure"] == "LinAlgError: Singular matrix"


@pytest.mark.parametrize("seed", range(3))
def test_a_search_continues_if_its_first_trials_fail(tmp_path, seed, caplog):
    with caplog.at_level("INFO"):
        best = new_search(tmp_path, "choice(9, 90, 2)", seed=seed).run(Launcher())
    assert best == ["++model.l2=2"]
    assert "best of 3 trials (2 failed)" in caplog.text


def test_a_search_whose_jobs_return_no_value_ends_at_the_first(tmp_path):
    launched = []

    def launch(jobs, first):
        launched.append(first)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=None)]

    with pytest.raises(UserError, match="optimized_metric must be a validation metric"):
        new_search(tmp_path).run(launch)
    assert launched == [0]


def test_a_search_whose_first_trials_all_fail_ends(tmp_path):
    launch = Launcher()
    with pytest.raises(UserError, match=r"All trials in .* \(3\) failed, the first: it diverged"):
        new_search(tmp_path, "choice(9, 10, 11, 12, 13)").run(launch)
    assert len(launch.launched) == 3


def test_a_directory_with_a_search_of_another_space_is_refused(tmp_path):
    new_search(tmp_path).run(Launcher())
    with pytest.raises(UserError, match=r"choose another one with hydra\.sweep\.dir"):
        new_search(tmp_path, "interval(0.0, 9.0)").run(Launcher())


@pytest.mark.parametrize("setting", ["n_trials", "n_parallel"])
@pytest.mark.parametrize("value", [0, "many"])
def test_numbers_of_trials_must_be_positive_integers(tmp_path, setting, value):
    with pytest.raises(UserError, match=rf"{setting} must be a positive integer \(got {value}\)"):
        new_search(tmp_path, **{setting: value})


def test_a_search_without_optuna_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'recsys\[search\]'"):
        new_search(tmp_path)


def test_sweeps_become_distributions():
    def parsed(sweep):
        return plugin.distribution(OverridesParser.create().parse_override(f"x={sweep}"))

    assert parsed("choice(a, [8,4], 3)") == CategoricalDistribution(["a", "[8,4]", "3"])
    assert parsed("range(1, 10, 4)") == IntDistribution(1, 9, step=4)
    assert parsed("interval(0, 1)") == FloatDistribution(0.0, 1.0)
    assert parsed("int(interval(1, 8))") == IntDistribution(1, 8)
    assert parsed("tag(log, interval(0.1, 1))") == FloatDistribution(0.1, 1.0, log=True)
    with pytest.raises(UserError, match=r"must be a choice, .*got x=3"):
        parsed("3")


def new_worker(tmp_path, name, n_trials=6, **settings):
    return new_search(tmp_path / name, n_trials=n_trials, storage=str(tmp_path / "shared.journal"), **settings)


def test_workers_share_the_trials_of_a_search(tmp_path):
    others, own = Launcher(), Launcher()

    def launch(jobs, first):
        if first == 1:  # another worker starts during the second trial, and runs all that are left
            new_worker(tmp_path, "other").run(others)
        return own(jobs, first)

    new_worker(tmp_path, "one").run(launch)
    assert own.firsts == [0, 1]
    assert others.firsts == [2, 3, 4, 5]
    assert len({*own.tried, *others.tried}) == 6
    assert len(pd.read_csv(tmp_path / "one" / "trials.csv")) == 6


def test_a_worker_ends_if_another_one_takes_the_last_settings_before_it(tmp_path, monkeypatch):
    own, others, begin = Launcher(), Launcher(), Search._begin

    def begin_late(search, study, n):
        if search.directory.name == "one" and not others.launched:
            new_worker(tmp_path, "other", sweep="choice(1, 2)").run(others)
        return begin(search, study, n)

    monkeypatch.setattr(Search, "_begin", begin_late)
    assert new_worker(tmp_path, "one", sweep="choice(1, 2)").run(own) == ["++model.l2=2"]
    assert (len(own.launched), len(others.launched)) == (0, 2)


def kill(jobs, first):
    raise KeyboardInterrupt


def trials_of_killed_worker(tmp_path) -> Launcher:
    """Run a worker that is killed in its first trial, and then another one; return what the latter has launched."""
    launch = Launcher()
    with pytest.raises(KeyboardInterrupt):
        new_worker(tmp_path, "killed").run(kill)
    new_worker(tmp_path, "other").run(launch)
    return launch


def test_the_trials_of_a_killed_worker_are_lost_when_it_was_not_seen_for_long(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(plugin, "LOST_AFTER", -1.0)
    assert trials_of_killed_worker(tmp_path).firsts == [1, 2, 3, 4, 5, 6]


def test_the_trials_of_a_killed_worker_are_run_by_others_until_it_starts_again(tmp_path, caplog):
    with caplog.at_level("INFO"):
        assert trials_of_killed_worker(tmp_path).firsts == [1, 2, 3, 4, 5]
    assert "trials that other workers still run: 1" in caplog.text
    again = Launcher()
    new_worker(tmp_path, "killed").run(again)
    assert again.firsts == [6]


def test_a_worker_that_was_not_seen_for_long_but_still_works_continues_without_its_lost_trial(tmp_path, monkeypatch):
    own, others, errors = Launcher(), Launcher(), []
    monkeypatch.setattr(threading, "excepthook", errors.append)
    monkeypatch.setattr(plugin, "SEEN_EVERY", 0.001)

    def launch(jobs, first):
        if first == 1:  # this worker's machine was suspended, say, until another one has run all trials
            monkeypatch.setattr(plugin, "LOST_AFTER", -1.0)
            new_worker(tmp_path, "other").run(others)
            time.sleep(0.1)  # it tries to report that it runs
        return own(jobs, first)

    best = new_worker(tmp_path, "one").run(launch)
    assert own.firsts == [0, 1]
    assert others.firsts == [2, 3, 4, 5, 6]
    assert best[0] in {*own.tried, *others.tried}
    states = pd.read_csv(tmp_path / "one" / "trials.csv")["state"]
    assert states.tolist() == ["complete", "stopped", *["complete"] * 5]
    assert not errors


def test_workers_report_while_a_trial_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin, "SEEN_EVERY", 0.001)
    seen, launch = set(), Launcher()

    def launch_when_seen_often(jobs, first):
        stored = optuna.load_study(study_name="search", storage=search_storage(str(tmp_path / "shared.journal")))
        while len(seen) < 3:
            seen.add(stored.trials[0].user_attrs[plugin.SEEN])
        return launch(jobs, first)

    new_worker(tmp_path, "one", n_trials=1).run(launch_when_seen_often)
    assert launch.firsts == [0]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path, monkeypatch) -> Iterator[str]:
    """Address of an empty database, in PostgreSQL with the password in the environment."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'search.sqlite'}"
        return
    server = sa.make_url(request.getfixturevalue("postgres")).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE searches"))
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        yield f"postgresql://{server.username}@{server.host}:{server.port}/searches"
        connection.execute(sa.text("DROP DATABASE searches WITH (FORCE)"))
    engine.dispose()


def test_a_database_stores_a_search_of_several_workers(database, tmp_path):
    one, other = Launcher(), Launcher()
    new_search(tmp_path / "one", n_trials=2, storage=database).run(one)
    new_search(tmp_path / "other", n_trials=4, storage=database).run(other)
    assert one.firsts + other.firsts == [0, 1, 2, 3]


def test_a_database_that_does_not_answer_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"storage must be a file, or the address of a reachable database"):
        new_search(tmp_path, storage=f"sqlite:///{tmp_path}/missing/search.sqlite").run(Launcher())


@pytest.mark.parametrize(
    ("metric", "value"), [("ndcg@10", 2.0), ("mae", -2.0), ("rmse/warm", -2.0), ("novelty@10", 2.0)]
)
def test_a_search_maximises_a_metric_unless_smaller_values_are_better(metric: str, value: float, monkeypatch):
    monkeypatch.setattr(train, "train", lambda cfg: {f"valid/{metric}": 2.0})
    assert train.objective(OmegaConf.create({"optimized_metric": metric})) == value
    assert train.objective(OmegaConf.create({"optimized_metric": "another"})) is None
