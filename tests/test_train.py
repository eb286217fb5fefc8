"""Whole runs on a small file: what they write, how they resume, sweep and search, and how they fail."""

import fcntl
import signal
import sys
from collections import namedtuple
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train
from recsys.__main__ import main as command_line
from recsys.config import compose, instantiate
from recsys.data.prepare import prepare
from recsys.errors import UserError
from recsys.evaluation.evaluate import evaluate
from recsys.models.ease import EASE
from recsys.models.markov import Markov
from recsys.models.neural.callbacks import EpochSeeds, Pruning
from recsys.models.neural.monitors import RankingMonitor
from recsys.studies.runs import find_runs, is_finished, read_run
from tests.training import interrupt_once


@pytest.fixture
def command(train_command, data):
    """`python train.py ARGUMENTS` on the small file; gives the exit status."""
    return partial(train_command, *data)


def test_a_run_keeps_all_that_it_was_made_of(data, tmp_path):
    metrics = train.train(
        compose(
            "train",
            [*data, "model=mf", "model.max_epochs=2", "model.embedding_dim=8", "seed=3", f"run_dir={tmp_path}/run"],
        )
    )
    run = read_run(tmp_path / "run")
    assert run.metrics == metrics
    assert {"valid/ndcg@10", "test/ndcg@10", "test/hr@1", "test/auc"} <= metrics.keys()
    assert run.config["model"]["max_epochs"] == 2
    assert run.manifest["status"] == "complete"
    assert run.manifest["seed"] == 3
    assert run.manifest["data"]["ratings"] == len(pd.read_csv(tmp_path / "ratings.csv"))
    assert run.manifest["data"]["fingerprint"] != run.manifest["split"]["fingerprint"]
    assert run.manifest["speed"]["train/interactions_per_second"] > 0
    assert run.manifest["peak_memory_bytes"] > 10**7
    assert {"data", "fit", "refit", "test"} <= run.manifest["seconds"].keys()
    assert {"torch", "python"} <= run.manifest["versions"].keys()
    for fit in ("selection", "refit"):
        assert (run.directory / "checkpoints" / fit / "last.ckpt").is_file()
    assert len(run.per_user) == 30
    assert run.per_user["ndcg@10"].mean() == pytest.approx(metrics["test/ndcg@10"])
    assert "genre" in set(pd.read_csv(run.directory / "slices.csv")["slice"])
    with np.load(run.directory / "embeddings.npz") as embeddings:  # without pickle
        assert embeddings["users"].shape == (30, 8)
        assert embeddings["items"].shape == (25, 8)
        assert set(embeddings["user_ids"]) == {f"u{user}" for user in range(30)}
        assert embeddings["split"] == run.manifest["split"]["fingerprint"]


def test_the_saved_model_is_the_one_that_was_tested(data, tmp_path):
    cfg = compose("train", [*data, "model=ease", f"run_dir={tmp_path}/run"])
    metrics = train.train(cfg)
    split = instantiate(cfg.split)(prepare(instantiate(cfg.data), Path(cfg.cache_dir)).dataset)
    again = evaluate(read_run(tmp_path / "run").model(), split.test, ks=(1, 5, 10))
    assert again.summary == {name.removeprefix("test/"): metrics[name] for name in metrics if name.startswith("test/")}


def test_the_same_seed_gives_the_same_metrics_and_another_seed_others(data, tmp_path):
    def metrics(name, seed):
        overrides = [*data, "model=mf", "model.max_epochs=2", f"seed={seed}", f"run_dir={tmp_path}/{name}"]
        return train.train(compose("train", [*overrides, "logger=none"]))

    first = metrics("a", 0)
    assert metrics("b", 0) == first
    assert metrics("c", 1) != first


def test_tensorboard_gets_curves_hyperparameters_projector_recommendations_and_config(data, tmp_path):
    overrides = [*data, "model=mf", "model.max_epochs=3", "model.patience=3", f"run_dir={tmp_path}/run"]
    metrics = train.train(compose("train", overrides))
    log = tmp_path / "run" / "tensorboard"
    events = EventAccumulator(str(log)).Reload()
    curves = {name: [point.value for point in events.Scalars(name)] for name in events.Tags()["scalars"]}
    by_epoch = {"epoch", "epoch_seconds", "interactions_per_second", "samples_per_second", "loss", "lr"}
    for name in (*(f"train/{name}" for name in by_epoch), *(f"valid/{name}" for name in RankingMonitor.names)):
        assert len(curves[name]) == 3, name
    assert curves["train/epoch"] == [0, 1, 2]
    assert max(curves["valid/ndcg@10"]) == pytest.approx(metrics["valid/ndcg@10"])
    assert curves["final/test/ndcg@10"] == [pytest.approx(metrics["test/ndcg@10"])]
    assert {"config/text_summary", "recommendations/user u0/text_summary"} <= set(events.Tags()["tensors"])
    assert "_hparams_/session_start_info" in events.summary_metadata
    assert len(next(log.glob("*/films/metadata.tsv")).read_text().splitlines()) == 1 + 25


@pytest.mark.parametrize("logger", ["csv", "none"])
def test_other_loggers_work(data, tmp_path, logger):
    train.train(
        compose("train", [*data, "model=mf", "model.max_epochs=1", f"logger={logger}", f"run_dir={tmp_path}/run"])
    )
    table = tmp_path / "run" / "csv" / "metrics.csv"
    assert table.is_file() == (logger == "csv")
    if table.is_file():
        assert {"valid/ndcg@10", "final/test/ndcg@10"} <= set(pd.read_csv(table))
    assert not (tmp_path / "run" / "tensorboard").exists()


@pytest.mark.parametrize("debug", ["default", "profiler", "overfit"])
def test_debug_configs_work(data, tmp_path, debug):
    train.train(
        compose("train", [*data, "model=ncf", f"debug={debug}", "model.max_epochs=2", f"run_dir={tmp_path}/run"])
    )
    for written in ("*profile*.txt", "*profile*.trace.json"):
        assert bool(list((tmp_path / "run").glob(written))) == (debug == "profiler")


def test_a_run_prints_test_metrics_beside_popularity_markov_and_recommendations(command, tmp_path, capsys):
    assert command("model=ease", f"hydra.run.dir={tmp_path}/run") == 0
    printed = capsys.readouterr().out
    for word in ("EASE", "Popularity", "Markov", "ndcg@10", "liked", "recommended", "Film", "tensorboard --logdir"):
        assert word in printed


def test_a_run_on_data_without_times_prints_popularity_alone(command, tmp_path, capsys):
    arguments = ["model=ease", "data.columns.time=null", "split=leave_one_out"]
    assert command(*arguments, f"hydra.run.dir={tmp_path}/run") == 0
    printed = capsys.readouterr().out
    assert "Popularity" in printed
    assert "Markov" not in printed


def test_a_baseline_that_does_not_fit_in_memory_is_left_out(command, tmp_path, capsys, monkeypatch):
    def too_large(*_):
        raise UserError("Markov needs more memory.")

    monkeypatch.setattr(Markov, "_fit", too_large)
    assert command("model=ease", f"hydra.run.dir={tmp_path}/run") == 0
    assert "│ Markov" not in capsys.readouterr().out


def test_a_sweep_runs_every_job_and_its_table_has_a_row_for_each_model(command, tmp_path, capsys, monkeypatch):
    assert command("-m", "model=ease,popularity", "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep") == 0
    assert len(find_runs(tmp_path / "sweep")) == 4
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["recsys", "table", f"{tmp_path}/sweep"])
    command_line()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "EASE" in lines[2]
    assert "±" in lines[2]


def test_a_failing_job_of_a_sweep_is_named_and_the_others_run(command, tmp_path, capsys):
    assert command("-m", "model=ease", "model.l2=much,10", f"hydra.sweep.dir={tmp_path}/sweep") == 2
    out, err = capsys.readouterr()
    assert "job 0 failed: 'l2' of EASE must be float" in out
    assert err.splitlines()[-1].startswith("error: 'l2' of EASE must be float")
    assert len(find_runs(tmp_path / "sweep")) == 1


def test_an_interrupted_run_says_how_to_go_on_and_ends_with_the_metrics_of_an_uninterrupted_one(
    command, tmp_path, monkeypatch, capsys
):
    settings = ("model=mf", "model.max_epochs=4", "logger=none")
    assert command(*settings, f"hydra.run.dir={tmp_path}/whole") == 0
    with monkeypatch.context() as patch:
        interrupt_once(patch, EpochSeeds, "on_train_epoch_start", at_call=2)
        assert command(*settings, f"hydra.run.dir={tmp_path}/broken") == 130
    said = capsys.readouterr().err
    assert "python train.py resume=" in said
    assert said.rstrip().endswith("broken")
    assert command(f"resume={tmp_path}/broken") == 0
    assert read_run(tmp_path / "broken").metrics == read_run(tmp_path / "whole").metrics


def test_resuming_with_another_config_names_what_differs(command, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupt_once(patch, EASE, "fit")
        assert command("model=ease", f"hydra.run.dir={tmp_path}/run") == 130
    assert command(f"resume={tmp_path}/run", "model.l2=3", "seed=1") == 2
    assert "(model.l2, seed)" in capsys.readouterr().err
    assert command(f"resume={tmp_path}/run", "seed=0") == 0


def test_a_run_that_begins_in_the_place_of_a_finished_one_is_not_finished(command, tmp_path, monkeypatch):
    place = f"hydra.run.dir={tmp_path}/run"
    assert command("model=ease", place) == 0
    interrupt_once(monkeypatch, EASE, "fit")
    assert command("model=ease", "seed=1", place) == 130
    assert not is_finished(tmp_path / "run")


def test_resuming_what_is_no_run_or_a_finished_one_is_refused(command, tmp_path, capsys):
    assert command(f"resume={tmp_path}/nothing") == 2
    assert "must name a run directory" in capsys.readouterr().err
    assert command("model=popularity", f"hydra.run.dir={tmp_path}/run") == 0
    capsys.readouterr()
    assert command(f"resume={tmp_path}/run") == 2
    assert "finished" in capsys.readouterr().err


def test_a_search_goes_on_where_it_was_stopped_and_sees_validation_alone(command, tmp_path, monkeypatch, capsys):
    search = ("hparams_search=ease", "hydra.sweeper.n_trials=3", f"hydra.sweep.dir={tmp_path}/search")
    with monkeypatch.context() as patch:
        interrupt_once(patch, EASE, "fit", at_call=1)
        assert command(*search) == 130
    assert command(*search) == 0
    trials = pd.read_csv(tmp_path / "search" / "trials.csv")
    assert list(trials["state"]) == ["complete", "stopped", "complete", "complete"]
    assert trials["model.l2"].nunique() == 4
    best = yaml.safe_load((tmp_path / "search" / "best.yaml").read_text())
    assert best["value"] == trials["value"].max()
    runs = find_runs(tmp_path / "search")
    assert max(run.metrics["valid/ndcg@10"] for run in runs) == best["value"]
    assert not [name for run in runs for name in run.metrics if name.startswith("test/")]
    assert command(*search, "seed=1") == 2
    assert "another" in capsys.readouterr().err


def test_a_search_counts_trials_that_fail_and_ends_if_all_do(command, tmp_path, capsys):
    search = ("hparams_search=base", "model=ease", "hydra.sweeper.n_trials=3")
    assert command(*search, "model.l2=choice(much,more)", f"hydra.sweep.dir={tmp_path}/search") == 2
    assert "failed, the first: 'l2' of EASE must be float" in capsys.readouterr().err
    assert command(*search, "model.l2=choice(3.0,10.0,much)", f"hydra.sweep.dir={tmp_path}/other") == 0
    trials = pd.read_csv(tmp_path / "other" / "trials.csv").set_index("model.l2")
    assert list(trials.loc[["3.0", "10.0", "much"], "state"]) == ["complete", "complete", "failed"]
    assert trials.loc["much", "failure"].startswith("'l2' of EASE must be float")


@pytest.mark.parametrize("metric", ["ndgc@10", "ndcg@7", "rmse@10"])
def test_a_search_by_a_metric_that_does_not_exist_ends_before_its_first_trial(command, tmp_path, capsys, metric):
    search = ("hparams_search=ease", f"hydra.sweep.dir={tmp_path}/search", f"optimized_metric={metric}")
    assert command(*search) == 2
    assert "optimized_metric must be one of auc, coverage@10, " in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "search").iterdir() if path.is_dir()] == []


def test_a_search_prunes_trials_that_are_behind_and_tells_after_how_many_epochs(command, tmp_path, monkeypatch):
    monkeypatch.setattr(Pruning, "N_UNPRUNED", 1)
    search = ("hparams_search=base", "model=mf", "model.lr=choice(0.03,0.000001)", "logger=none", "trainer=cpu")
    epochs = ("model.max_epochs=6", "model.patience=6", "hydra.sweeper.prune_after=2", "hydra.sweeper.seed=2")
    assert command(*search, *epochs, rf"hydra.sweep.dir='{tmp_path}/it\'s, a search'") == 0
    trials = pd.read_csv(tmp_path / "it's, a search" / "trials.csv", index_col="model.lr")
    assert dict(trials["state"]) == {0.03: "complete", 0.000001: "pruned"}
    assert dict(trials["epochs"]) == {0.03: 6, 0.000001: 2}


def test_a_full_disk_is_told_before_work(command, tmp_path, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 10**6))
    monkeypatch.setattr(train, "split_reader", lambda cfg: lambda: pytest.fail("work was begun"))
    assert command("model=ease", f"hydra.run.dir={tmp_path}/run") == 2
    assert "only 1 MB are free" in capsys.readouterr().err


def test_outputs_that_cannot_be_written_are_told_before_work(command, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(train, "split_reader", lambda cfg: lambda: pytest.fail("work was begun"))
    assert command("model=ease", f"hydra.run.dir={tmp_path}/file/run") == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/file/run cannot be used (Not a directory)")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=nfc"], "did you mean ncf"),
        (["data=ml-100"], "did you mean ml-100k"),
        (["model=ease", "model.l3=1"], "did you mean l2"),
        (["model=ease", "data.path=/nowhere.csv"], "/nowhere.csv"),
        (["model=ease", "data.columns.rating=stars"], "stars"),
        (["model=ease", "data.cleaning.min_rating=6"], "threshold"),
        (["model=ease", "ks=[26]"], "26"),
        (["trainer.accelerator=abacus"], "abacus"),
        (["model=ease,popularity"], "--multirun"),
        (["ease"], "'ease'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(command, tmp_path, capsys, arguments, words):
    assert command(f"hydra.run.dir={tmp_path}/run", *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
    assert words in said


EVERYTHING = [(user, item) for user in range(4) for item in range(5)]


@pytest.mark.parametrize(
    ("pairs", "arguments", "words"),
    [
        ([(0, item) for item in range(6)], ["model=ease"], "must have ratings of several users to learn from"),
        ([(0, item) for item in range(6)], ["model=bias", "protocol=ratings"], "must have ratings of several users"),
        ([(user, 0) for user in range(6)], ["model=ease"], "Every user must have at least 3 ratings"),
        (
            [(user, 0) for user in range(6)],
            ["model=ease", "split.train_only_below=3"],
            "leaves no rating of files to validate on",
        ),
        ([(user, 0) for user in range(6)], ["model=ease", "data.cleaning.user_core=3"], "too few ratings"),
        ([(user, 0) for user in range(30)], ["model=ease", "split=folds"], "have rated all items: choose other data"),
        (EVERYTHING, ["model=ease"], "all users of files have rated all items: choose other data"),
        (EVERYTHING, ["model=bias", "protocol=ratings"], "protocol=ratings must have data with ratings"),
        ([(0, 0)], ["model=ease"], "Every user must have at least 3 ratings"),
    ],
)
def test_data_that_leave_nothing_to_learn_or_to_rank_are_one_sentence(
    train_command, tmp_path, capsys, pairs, arguments, words
):
    rows = "".join(f"{user},{item},{10**9 + item}\n" for user, item in pairs)
    (tmp_path / "r.csv").write_text(f"user_id,movie_id,time\n{rows}")
    places = (f"data.path={tmp_path}/r.csv", f"cache_dir={tmp_path}/cache", f"hydra.run.dir={tmp_path}/run")
    assert train_command("data=files", "data.columns.rating=null", "ks=[1]", *places, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
    assert words in said


def test_a_trained_model_is_tested_again_by_another_protocol_or_in_another_order(data, tmp_path, monkeypatch, capsys):
    def test(name: str, *arguments: str) -> int | str | None:
        monkeypatch.setattr(
            sys, "argv", ["recsys", "test", f"{tmp_path}/first", *arguments, "--out", f"{tmp_path}/{name}"]
        )
        try:
            command_line()
        except SystemExit as stop:
            return stop.code
        return 0

    mf = [*data, "model=mf", "model.max_epochs=1"]
    first = train.train(compose("train", [*mf, f"run_dir={tmp_path}/first"]))
    protocol = ["protocol=full_and_sampled99", "protocol.protocols.sampled99.n=9"]
    assert test("same", *protocol) == 0
    same = read_run(tmp_path / "same")
    assert same.metrics["test/ndcg@10"] == first["test/ndcg@10"]
    assert "test/ndcg@10/sampled9" in same.metrics
    assert not [name for name in same.metrics if name.startswith("valid/")]
    assert same.config["model"] == read_run(tmp_path / "first").config["model"]
    assert list((tmp_path / "same" / "tensorboard").glob("events.*"))
    assert test("reordered", "reranker=mmr", "reranker.trade_off=1.0", "reranker.similarity=embeddings") == 0
    reordered = read_run(tmp_path / "reordered").metrics
    assert reordered["test/embedding_diversity@10"] > first["test/embedding_diversity@10"]
    capsys.readouterr()
    assert test("other", "split=leave_one_out") == 2
    assert "A test can change protocol, reranker, ks, order_test only (got split)" in capsys.readouterr().err
    assert test("shuffled", "order_test=true") == 2
    assert "order_test=true must have a model that scores by histories (got MF" in capsys.readouterr().err


def test_the_order_of_histories_makes_no_difference_to_a_model_that_does_not_read_it(data, tmp_path, monkeypatch):
    overrides = [*data, "model=ease", "order_test=true", "split=global_time", "split.target=successive"]
    metrics = train.train(compose("train", [*overrides, f"run_dir={tmp_path}/run"]))
    for name in ("test/ndcg@10", "test/ndcg@10/warm"):
        assert metrics[f"{name}/shuffled_history"] == pytest.approx(metrics[name])
    assert len(read_run(tmp_path / "run").per_user) < 30


def test_rows_in_order_of_time_are_trained_on_without_times_and_header(tmp_path, command):
    rng = np.random.default_rng(0)
    rows = [f"{user} {item}\n" for user in range(20) for item in rng.permutation(25)[:8]]
    (tmp_path / "sequences.txt").write_text("".join(rows))
    file = [f"data.path={tmp_path}/sequences.txt", "data.header=[user_id,movie_id]", "data.delimiter= "]
    assert command(*file, "data.columns.time=row", "model=ease", f"hydra.run.dir={tmp_path}/run") == 0
    assert read_run(tmp_path / "run").manifest["data"]["ratings"] == 160


def test_the_config_of_a_run_can_be_used_in_another_directory(data, tmp_path):
    train.train(compose("train", [*data, "model=popularity", f"run_dir={tmp_path}/run"]))
    run = read_run(tmp_path / "run")
    moved = run.config_in(tmp_path / "other")
    assert run.config["logger"]["save_dir"] == f"{tmp_path}/run"
    assert moved["logger"]["save_dir"] == f"{tmp_path}/other"
    assert moved["cache_dir"] == run.config["cache_dir"]
    (run.directory / "unresolved.yaml").unlink()  # as in runs of earlier versions without Hydra's own folder
    assert run.config_in(tmp_path / "other") == run.config


def terminate_once(monkeypatch, owner: type, method: str, at_call: int = 0) -> None:
    """SIGTERM in one call of a method."""
    original, calls = getattr(owner, method), iter(range(10**6))

    def terminated(*args, **kwargs):
        if next(calls) == at_call:
            signal.raise_signal(signal.SIGTERM)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, method, terminated)


@pytest.mark.parametrize(
    ("model", "owner", "method"), [("mf", EpochSeeds, "on_train_epoch_start"), ("ease", EASE, "fit")]
)
def test_sigterm_ends_a_run_with_status_143_and_says_how_to_go_on(
    command, tmp_path, monkeypatch, capsys, model, owner, method
):
    settings = (f"model={model}", "logger=none", *(["model.max_epochs=4"] if model == "mf" else []))
    assert command(*settings, f"hydra.run.dir={tmp_path}/whole") == 0
    with monkeypatch.context() as patch:
        terminate_once(patch, owner, method, at_call=2 if model == "mf" else 0)
        assert command(*settings, f"hydra.run.dir={tmp_path}/broken") == 143
    assert capsys.readouterr().err.rstrip().endswith(f"Terminated; to go on: python train.py resume={tmp_path}/broken")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert command(f"resume={tmp_path}/broken") == 0
    assert read_run(tmp_path / "broken").metrics == read_run(tmp_path / "whole").metrics


def test_sigterm_stops_a_sweep(command, tmp_path, monkeypatch):
    terminate_once(monkeypatch, EASE, "fit", at_call=2)  # a run fits twice
    assert command("-m", "model=ease", "seed=0,1,2", f"hydra.sweep.dir={tmp_path}/sweep") == 143
    assert len(find_runs(tmp_path / "sweep")) == 1
    assert not (tmp_path / "sweep" / "2_ease_seed2").exists()


def test_a_requeued_job_of_slurm_resumes_its_own_run(command, tmp_path, monkeypatch):
    settings = ("model=mf", "model.max_epochs=4", "logger=none", f"hydra.run.dir={tmp_path}/run")
    with monkeypatch.context() as patch:
        terminate_once(patch, EpochSeeds, "on_train_epoch_start", at_call=2)
        assert command(*settings) == 143
    epochs: list[int] = []
    original = EpochSeeds.on_train_epoch_start

    def counted(callback, trainer, module):
        epochs.append(trainer.current_epoch)
        original(callback, trainer, module)

    monkeypatch.setattr(EpochSeeds, "on_train_epoch_start", counted)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert command(*settings, "refit=true") == 0
    assert epochs[:2] == [2, 3]
    epochs.clear()
    assert command(*settings, "refit=true") == 0  # a finished run, as of a sweep that is requeued, is not run again
    assert epochs == []
    assert command(*settings, "seed=1") == 0  # another run in the same place starts anew
    assert epochs[0] == 0


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["model=ease"], "hydra.run.dir"),
        (["-m", "model=ease", "seed=0,1"], "hydra.sweep.dir"),
        (["hparams_search=ease", "hydra.sweeper.n_trials=1"], "hydra.sweep.dir"),
    ],
)
def test_what_is_at_work_is_not_started_again_beside_itself(command, tmp_path, capsys, arguments, place):
    command_line = [*arguments, f"{place}={tmp_path}/place"]
    (tmp_path / "place").mkdir()
    with (tmp_path / "place" / ".lock").open("wb") as at_work:
        fcntl.flock(at_work, fcntl.LOCK_EX)
        assert command(*command_line) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/place is in use by another process: ")
    assert len(said.splitlines()) == 1
    assert [path.name for path in (tmp_path / "place").iterdir()] == [".lock"]
    assert command(*command_line) == 0  # the lock of a process that has ended is none


def test_a_job_of_a_sweep_at_work_cannot_be_resumed(command, tmp_path, monkeypatch):
    def is_locked(directory: Path) -> bool:
        with (directory / ".lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    jobs = [tmp_path / "sweep" / f"{i}_ease_seed{i}" for i in (0, 1)]
    locked: list[list[bool]] = []
    fit = EASE.fit

    def observed(model, *args, **kwargs):
        locked.append([is_locked(job) for job in jobs if job.exists()])
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(EASE, "fit", observed)
    assert command("-m", "model=ease", "seed=0,1", "refit=false", f"hydra.sweep.dir={tmp_path}/sweep") == 0
    assert locked == [[True], [False, True]]
