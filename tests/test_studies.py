"""Whole studies on a small file: runs, reports and verification."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml

import train
from recsys.commands import verify
from recsys.config import loader, study_sweep
from recsys.models.ease import EASE
from recsys.models.ncf import GMF
from recsys.studies import study_figures
from recsys.studies.outcome import Outcome
from recsys.studies.runs import find_runs, is_finished
from recsys.studies.study import Study
from recsys.studies.study_table import StudyTable
from tests.training import interrupt_once

STUDY = {
    "name": "tiny",
    "question": "Does it work?",
    "seeds": [0, 1],
    "baselines": ["Popularity"],
    "n_trials": 5,
    "rows": {
        "Popularity": {"model": "popularity", "seeds": [0]},
        "EASE": {"model": "ease", "seeds": [0], "n_trials": 2, "search": {"model.l2": "interval(1.0, 9.0)"}},
        "NeuMF, pretrained": {
            "model": "ncf",
            "seeds": [1],
            "model.embedding_dim": 4,
            "model.hidden_dims": [8, 4],
            "model.max_epochs": 1,
            "model.pretrained_gmf": "{GMF}",
            "model.pretrained_mlp": "{MLP}",
        },
        "GMF": {"model": "gmf", "seeds": [1], "model.embedding_dim": 4, "model.max_epochs": 1},
        "MLP": {"model": "mlp", "seeds": [1], "model.hidden_dims": [8, 4], "model.max_epochs": 1},
    },
    "settings": {
        "last": {"overrides": {"split": "leave_last_out"}, "metrics": ["ndcg@10", "hr@10"]},
        "shares": {
            "overrides": {"split": "ratio", "split.seed": [0, 1]},
            "metrics": ["ndcg@10"],
            "rows": {"Popularity": {"model": "popularity"}, "Wrong": {"model": "bpr", "model.loss": "hinge"}},
            "on_demand": True,
        },
        "blended": {
            "overrides": {"split": "leave_last_out", "refit": False},
            "metrics": ["ndcg@10"],
            "rows": {
                "Blend": {
                    "model": "blend",
                    "seeds": [0],
                    "~model.models.linear_ar": None,
                    "~model.models.sasrec": None,
                    "model.models.ease": "{EASE}",
                    "model.models.markov": "{Markov}",
                },
                "EASE": {"model": "ease", "seeds": [0]},
                "Markov": {"model": "markov", "seeds": [0]},
            },
            "on_demand": True,
        },
    },
}
N_RUNS = len(STUDY["rows"])


@pytest.fixture(scope="module")
def configs(tmp_path_factory) -> Path:
    """The project's configs with that of the study."""
    configs = tmp_path_factory.mktemp("study") / "configs"
    shutil.copytree(loader.CONFIGS, configs)
    base = "# @package _global_\ndefaults:\n  - study\n"
    (configs / "experiment" / "tiny.yaml").write_text(base + yaml.safe_dump({"study": STUDY}, sort_keys=False))
    return configs


@pytest.fixture
def study(monkeypatch, tmp_path, configs, data, train_command):
    """Runs `python train.py experiment=tiny ARGUMENTS` in this process, below `tmp_path`; returns the status."""
    monkeypatch.setattr(loader, "CONFIGS", configs)
    monkeypatch.chdir(tmp_path)
    return partial(train_command, "experiment=tiny", "logger=none", *data)


@pytest.fixture
def rows_for_figures(monkeypatch, undrawn) -> None:
    """Reports have the names of the drawn rows in place of figures, which take longer than the runs."""

    def write_figures(
        directory: Path, runs: Path, study: Study, outcomes: Sequence[Outcome], tables: Sequence[StudyTable]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "rows.txt").write_text("\n".join(outcome.row for outcome in outcomes))

    monkeypatch.setattr(study_figures, "write_figures", write_figures)


def report_rows(tmp_path) -> pd.DataFrame:
    return pd.read_csv(tmp_path / "outputs" / "experiments" / "tiny" / "report" / "runs.csv")


@pytest.mark.usefixtures("rows_for_figures")
def test_an_interrupted_study_continues_and_reuses_finished_runs(study, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupt_once(patch, EASE, "fit", at_call=2)  # after the search's two trials
        assert study() == 130
    directory = tmp_path / "outputs" / "experiments" / "tiny"
    assert is_finished(directory / "last" / "Popularity" / "seed0")
    assert not is_finished(directory / "last" / "EASE" / "seed0")
    finished = (directory / "last" / "Popularity" / "seed0" / "manifest.json").stat().st_mtime_ns
    assert study() == 0
    assert (directory / "last" / "Popularity" / "seed0" / "manifest.json").stat().st_mtime_ns == finished
    runs = report_rows(tmp_path)
    assert len(runs) == N_RUNS
    assert set(runs["status"]) == {"complete"}
    searched = runs[runs["row"] == "EASE"].iloc[0]
    assert searched["configurations"] == 2
    best = yaml.safe_load((directory / "last" / "EASE" / "search" / "best.yaml").read_text())["overrides"]
    [ease] = [run for run in find_runs(directory / "last" / "EASE") if run.directory.name == "seed0"]
    assert best == [f"++model.l2={ease.config['model']['l2']}"]
    [pretrained] = [run for run in find_runs(directory) if run.directory.match("NeuMF*/seed1")]
    assert pretrained.config["model"]["pretrained_gmf"].endswith("tiny/last/GMF/seed1")
    assert "Holds: " in (directory / "report" / "leakage" / "last.md").read_text()
    assert f"{N_RUNS} of {N_RUNS} runs done, 0 running" in capsys.readouterr().out
    monkeypatch.setattr(train, "train", lambda cfg: pytest.fail("a finished run was repeated"))
    assert study() == 0


@pytest.mark.usefixtures("rows_for_figures")
def test_a_command_selects_among_the_runs_of_a_study(study, tmp_path):
    assert study("split=ratio", "split.seed=1", "model=popularity") == 0
    runs = report_rows(tmp_path)
    assert list(runs["row"].unique()) == ["Popularity"]
    assert set(runs["setting"]) == {"shares"}
    assert list(runs["seed"]) == [0, 1]
    [seed] = {run.config["split"]["seed"] for run in find_runs(tmp_path)}
    assert seed == 1


@pytest.mark.usefixtures("rows_for_figures")
def test_the_table_of_a_study_in_another_directory_names_the_command_that_makes_it(
    data, tmp_path, monkeypatch, train_command
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "own" / "experiment"
    folder.mkdir(parents=True)
    rows = {"Popularity": {"model": "popularity", "seeds": [0]}}
    settings = {"last": {**STUDY["settings"]["last"], "rows": rows}}
    own = {"study": {**STUDY, "name": "mine", "rows": {}, "settings": settings}}
    (folder / "mine.yaml").write_text("# @package _global_\ndefaults:\n  - study\n" + yaml.safe_dump(own))
    assert train_command("--config-dir", "own", "experiment=mine", "logger=none", *data) == 0
    table = Path("outputs/experiments/mine/report/table.md").read_text()
    assert f"train.py --config-dir own experiment=mine logger=none {data[0]} " in table
    assert "recsys table mine" not in table
    assert "| CPU seconds |" in table
    assert "CPU seconds: training, including" in table


@pytest.mark.usefixtures("rows_for_figures")
def test_a_failed_run_is_reported_and_the_others_are_run(study, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(GMF, "fit", lambda *arguments: 1 // 0)
        assert study("model=gmf,popularity") == 2
    assert "1 of 2 runs failed, first GMF: ZeroDivisionError" in capsys.readouterr().err
    runs = report_rows(tmp_path).set_index("row")["status"]
    assert runs["GMF"].startswith("failed: ZeroDivisionError")
    assert runs["Popularity"] == "complete"
    assert study("model=gmf,popularity") == 0


@pytest.mark.usefixtures("rows_for_figures")
def test_each_split_is_checked_before_any_run_and_each_row_with_one_of_them(study, monkeypatch):
    checked = []
    monkeypatch.setattr(study_sweep, "complete", lambda config_name, overrides: checked.append(overrides))
    assert study("study.settings_run=[shares]", "study.rows_run=[Popularity]") == 0
    assert ["++split.seed=0" in overrides for overrides in checked] == [True, False]  # of four runs


def test_an_invalid_row_is_refused_before_any_run(study, tmp_path, capsys):
    assert study("split=ratio") == 2
    assert "loss must be one of" in capsys.readouterr().err
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.usefixtures("rows_for_figures")
def test_a_row_blends_the_runs_of_other_rows_that_the_study_makes_first(study, tmp_path):
    assert study("study.settings_run=[blended]", "study.rows_run=[Blend]") == 0
    assert dict(report_rows(tmp_path)[["row", "status"]].to_numpy()) == dict.fromkeys(
        ["Blend", "EASE", "Markov"], "complete"
    )


def test_a_command_that_matches_no_run_is_refused(study, capsys):
    assert study("split=folds") == 2
    assert "No run of the study tiny matches split=folds" in capsys.readouterr().err


@pytest.mark.usefixtures("study")
def test_the_table_of_a_study_without_runs_is_refused_before_its_configs_are_composed(command, monkeypatch):
    monkeypatch.setattr("recsys.commands.table.resolve", lambda overrides: pytest.fail("a config was composed"))
    status, _, err = command("table", "tiny")
    assert status == 2
    assert err.startswith("error: No run of tiny is finished: start them with ")


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("option", [("--csv",), ("--metrics", "hr@10")])
def test_the_table_of_a_study_refuses_options_of_a_table_of_runs(command, option):
    status, _, err = command("table", "tiny", *option)
    assert status == 2
    assert err.startswith("error: --csv and --metrics are for runs: table.csv of a study")


@pytest.mark.usefixtures("rows_for_figures")
def test_a_study_is_published_from_its_runs_and_verified(
    study, command, data, tmp_path, monkeypatch, train_command, capsys
):
    monkeypatch.setattr(verify, "run_train", lambda arguments, *_: train_command(*arguments))  # not in a process apart
    assert study("model=popularity") == 0
    assert "To publish them" in capsys.readouterr().out
    status, out, err = command("table", "tiny", "model=popularity", "logger=none", *data)
    assert status == 0, err
    assert "Popularity" in out
    folder = tmp_path / "experiments" / "tiny"
    assert (folder / "table.md").is_file()
    assert (folder / "leakage" / "last.md").is_file()
    status, out, err = command("verify", "tiny", "logger=none", *data, "--row", "Popularity")
    assert status == 0, err
    assert "agree to the digit" in out
    assert "To publish them" not in out


@pytest.mark.usefixtures("rows_for_figures")
def test_the_table_of_a_part_does_not_replace_the_published_table(study, command, data, tmp_path, capsys):
    assert study("model=popularity,gmf") == 0
    published = tmp_path / "experiments" / "tiny"
    assert command("table", "tiny", "model=popularity,gmf", "logger=none", *data)[0] == 0
    whole = {file: file.read_bytes() for file in published.rglob("*") if file.is_file()}
    for left_out, *selected in (
        ("GMF on last, seed 1", "model=popularity"),
        ("Popularity on last, seed 0", "model=gmf", "seed=1"),
    ):
        status, out, _ = command("table", "tiny", *selected, "logger=none", *data)
        assert status == 0
        assert f"1 of its finished runs are not in this report (first {left_out})" in " ".join(out.split())
        assert "Tables and figures are in outputs/experiments/tiny/report" in out
    assert {file: file.read_bytes() for file in published.rglob("*") if file.is_file()} == whole
    shutil.rmtree(tmp_path / "outputs")
    capsys.readouterr()
    assert study("model=popularity") == 0
    assert "To publish them" not in capsys.readouterr().out  # since `table` would not
    assert command("table", "tiny", "logger=none", *data)[0] == 0  # of the whole, but the other runs are gone
    assert {file: file.read_bytes() for file in published.rglob("*") if file.is_file()} == whole


def test_verifying_an_unpublished_row_is_refused(study, command, tmp_path):
    assert command("verify", "tiny")[0] == 2
    folder = tmp_path / "experiments" / "tiny"
    folder.mkdir(parents=True)
    row = {"setting": "last", "variant": "", "row": "EASE", "seed": 0, "status": "complete", "seconds_fit": 1}
    pd.DataFrame([row]).to_csv(folder / "runs.csv", index=False)
    status, _, err = command("verify", "tiny", "--row", "SLIM")
    assert status == 2
    assert "its rows are EASE" in err
