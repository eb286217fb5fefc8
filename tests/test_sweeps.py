"""Sweeps and searches on a small file: their jobs, their tables, and jobs that fail."""

import re
import sys

import pandas as pd
import pytest
import yaml

from recsys.__main__ import main as command_line
from recsys.errors import UserError
from recsys.models.ease import EASE
from recsys.models.neural.callbacks import Pruning
from recsys.studies.runs import find_runs
from tests.training import interrupt_once


def test_a_sweep_runs_every_job_and_its_table_has_a_row_for_each_model(train_small, tmp_path, capsys, monkeypatch):
    assert train_small("-m", "model=ease,popularity", "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep") == 0
    assert len(find_runs(tmp_path / "sweep")) == 4
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].endswith(f"python -m recsys table {tmp_path}/sweep")
    assert "Try next" not in printed
    assert "Test metrics" not in printed
    assert len(re.findall(r"^\S+/sweep/\d_\S+: test ndcg@10 0\.\d{4}, hr@10 0\.\d{4}$", printed, re.MULTILINE)) == 4
    monkeypatch.setattr(sys, "argv", ["recsys", "table", f"{tmp_path}/sweep"])
    command_line()
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 4
    assert "EASE" in lines[2]
    assert "±" in lines[2]


def test_a_failing_job_of_a_sweep_is_named_and_the_others_run(train_small, tmp_path, capsys):
    assert train_small("-m", "model=ease", "model.l2=much,10", f"hydra.sweep.dir={tmp_path}/sweep") == 2
    out, err = capsys.readouterr()
    assert "job 0 failed: 'l2' of EASE must be float" in out
    assert err.splitlines()[-1].startswith("error: 'l2' of EASE must be float")
    assert f"The runs of the sweep are in {tmp_path}/sweep (1 job failed). Compare them: " in out
    assert len(find_runs(tmp_path / "sweep")) == 1


def test_a_stopped_search_continues_and_sees_only_validation(train_small, tmp_path, monkeypatch, capsys):
    search = ("hparams_search=ease", "hydra.sweeper.n_trials=3", f"hydra.sweep.dir={tmp_path}/search")
    with monkeypatch.context() as patch:
        interrupt_once(patch, EASE, "fit", at_call=1)
        assert train_small(*search) == 130
    assert capsys.readouterr().err.rstrip().endswith("Interrupted; to continue: repeat the command")
    assert train_small(*search) == 0
    trials = pd.read_csv(tmp_path / "search" / "trials.csv")
    assert list(trials["state"]) == ["complete", "stopped", "complete", "complete"]
    assert trials["model.l2"].nunique() == 4
    best = yaml.safe_load((tmp_path / "search" / "best.yaml").read_text())
    assert best["value"] == trials["value"].max()
    assert (tmp_path / "search" / "history.png").stat().st_size > 1000
    runs = find_runs(tmp_path / "search")
    assert [(run.directory / "model").is_dir() for run in runs] == [
        run.metrics["valid/ndcg@10"] == best["value"] for run in runs
    ]
    with pytest.raises(UserError, match="has no model: a search keeps only that of its best trial"):
        next(run for run in runs if run.metrics["valid/ndcg@10"] < best["value"]).model()
    assert not [name for run in runs for name in run.metrics if name.startswith("test/")]
    assert train_small(*search, "seed=1") == 2
    assert "another" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_a_search_counts_trials_that_fail_and_ends_if_all_do(train_small, tmp_path, capsys):
    search = ("hparams_search=base", "model=ease", "hydra.sweeper.n_trials=3")
    assert train_small(*search, "model.l2=choice(much,more)", f"hydra.sweep.dir={tmp_path}/search") == 2
    assert "failed, the first: 'l2' of EASE must be float" in capsys.readouterr().err
    keeping = ("hydra.sweeper.keep_models=true", f"hydra.sweep.dir={tmp_path}/other")
    assert train_small(*search, "model.l2=choice(3.0,10.0,much)", *keeping) == 0
    assert len([*(tmp_path / "other").glob("*/model")]) == 2
    trials = pd.read_csv(tmp_path / "other" / "trials.csv").set_index("model.l2")
    assert list(trials.loc[["3.0", "10.0", "much"], "state"]) == ["complete", "complete", "failed"]
    assert trials.loc["much", "failure"].startswith("'l2' of EASE must be float")


@pytest.mark.parametrize("metric", ["ndgc@10", "ndcg@7", "rmse@10"])
def test_a_search_by_a_metric_that_does_not_exist_ends_before_its_first_trial(train_small, tmp_path, capsys, metric):
    search = ("hparams_search=ease", f"hydra.sweep.dir={tmp_path}/search", f"optimized_metric={metric}")
    assert train_small(*search) == 2
    assert "optimized_metric must be one of auc, coverage@10, " in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "search").iterdir() if path.is_dir()] == []


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("rule", ["prune_after", "halve_after"])
def test_a_search_prunes_trials_that_are_behind_and_reports_after_how_many_epochs(
    train_small, tmp_path, monkeypatch, rule
):
    monkeypatch.setattr(Pruning, "N_UNPRUNED", 1)
    search = ("hparams_search=base", "model=mf", "model.lr=choice(0.03,0.000001)", "logger=none", "trainer=cpu")
    steps = ("model.batch_size=4", "model.weight_decay=0", "model.dropout=0")
    epochs = ("model.max_epochs=6", "model.patience=6", f"hydra.sweeper.{rule}=2", "hydra.sweeper.seed=2")
    assert train_small(*search, *steps, *epochs, rf"hydra.sweep.dir='{tmp_path}/it\'s, a search'") == 0
    trials = pd.read_csv(tmp_path / "it's, a search" / "trials.csv", index_col="model.lr")
    assert dict(trials["state"]) == {0.03: "complete", 0.000001: "pruned"}
    assert dict(trials["epochs"]) == {0.03: 6, 0.000001: 2}
