"""Whole runs on a small file: what they write and print, and how they refuse bad input."""

import io
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train
from recsys.__main__ import main as command_line
from recsys.config import compose, instantiate
from recsys.data.prepare import prepare
from recsys.errors import UserError
from recsys.evaluation.evaluate import evaluate
from recsys.models.markov import Markov
from recsys.models.neural.monitors import RankingMonitor
from recsys.studies.runs import Run, read_run
from tests.training import run_train, write_data


@dataclass
class Trained:
    """A run that tests read; they write elsewhere."""

    directory: Path
    printed: str

    @property
    def run(self) -> Run:
        return read_run(self.directory)


@pytest.fixture(scope="module")
def shared_train(tmp_path_factory, prepared_cache) -> Callable[..., Trained]:
    """`python train.py ARGUMENTS` on the small file, for several tests."""
    folder = tmp_path_factory.mktemp("shared")
    data = write_data(folder, prepared_cache)

    def trained(name: str, *arguments: str) -> Trained:
        with redirect_stdout(io.StringIO()) as out:
            assert run_train(*data, *arguments, f"hydra.run.dir={folder}/{name}") == 0
        return Trained(folder / name, out.getvalue())

    return trained


MF = ("model=mf", "model.max_epochs=3", "model.patience=3", "model.embedding_dim=8")


@pytest.fixture(scope="module")
def mf(shared_train) -> Trained:
    return shared_train("mf", *MF, "seed=3")


@pytest.fixture(scope="module")
def unlogged(shared_train) -> Trained:
    """The same of another seed, without a logger."""
    return shared_train("unlogged", *MF, "seed=4", "logger=none")


@pytest.fixture(scope="module")
def ease(shared_train) -> Trained:
    return shared_train("ease", "model=ease")


def test_a_run_stores_everything_that_determines_it(mf):
    run, metrics = mf.run, mf.run.metrics
    assert {"valid/ndcg@10", "test/ndcg@10", "test/hr@1", "test/auc"} <= metrics.keys()
    assert run.config["model"]["max_epochs"] == 3
    assert run.manifest["status"] == "complete"
    assert run.manifest["seed"] == 3
    assert run.manifest["data"]["ratings"] == len(pd.read_csv(mf.directory.parent / "ratings.csv"))
    assert run.manifest["data"]["fingerprint"] != run.manifest["split"]["fingerprint"]
    assert run.manifest["speed"]["train/interactions_per_second"] > 0
    assert run.manifest["peak_memory_bytes"] > 10**7
    assert 0 < run.manifest["cpu_seconds"]["fit"] < 60
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


def test_the_saved_model_is_the_one_that_was_tested(ease):
    cfg = OmegaConf.create(dict(ease.run.config))
    split = instantiate(cfg.split)(prepare(instantiate(cfg.data), Path(cfg.cache_dir)).dataset)
    again = evaluate(ease.run.model(), split.test, ks=(1, 5, 10))
    metrics = ease.run.metrics
    assert again.summary == {name.removeprefix("test/"): metrics[name] for name in metrics if name.startswith("test/")}


def test_the_same_seed_gives_the_same_metrics_and_another_seed_others(mf, unlogged, data, tmp_path):
    again = train.train(compose("train", [*data, *MF, "seed=3", "logger=none", f"run_dir={tmp_path}/again"]))
    assert again == mf.run.metrics == read_run(tmp_path / "again").metrics
    assert unlogged.run.metrics != again


def test_tensorboard_gets_curves_hyperparameters_projector_recommendations_and_config(mf):
    metrics = mf.run.metrics
    log = mf.directory / "tensorboard"
    events, final = (EventAccumulator(str(directory)).Reload() for directory in (log, log / "final"))
    curves = {name: [point.value for point in events.Scalars(name)] for name in events.Tags()["scalars"]}
    by_epoch = {"epoch", "epoch_seconds", "interactions_per_second", "samples_per_second", "loss", "lr"}
    for name in (*(f"train/{name}" for name in by_epoch), *(f"curves/valid/{name}" for name in RankingMonitor.names)):
        assert len(curves[name]) == 3, name
    assert curves["train/epoch"] == [0, 1, 2]
    assert max(curves["curves/valid/ndcg@10"]) == pytest.approx(metrics["valid/ndcg@10"])
    assert final.Scalars("final/test/ndcg@10")[0].value == pytest.approx(metrics["test/ndcg@10"])
    assert {"settings/text_summary", "recommendations/user u0/text_summary"} <= set(final.Tags()["tensors"])
    assert "_hparams_/session_start_info" in final.summary_metadata
    assert len(next(log.glob("final/*/films/metadata.tsv")).read_text().splitlines()) == 1 + 25


def test_the_csv_logger_writes_curves_and_final_metrics_to_one_table(data, tmp_path):
    train.train(compose("train", [*data, "model=mf", "model.max_epochs=1", "logger=csv", f"run_dir={tmp_path}/run"]))
    table = pd.read_csv(tmp_path / "run" / "csv" / "metrics.csv")
    assert {"curves/valid/ndcg@10", "final/test/ndcg@10"} <= set(table)
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_run_without_a_logger_writes_no_curves(unlogged):
    assert not (unlogged.directory / "csv").exists()
    assert not (unlogged.directory / "tensorboard").exists()


@pytest.mark.parametrize("debug", ["default", "profiler", "overfit"])
def test_debug_configs_work(data, tmp_path, debug):
    train.train(
        compose("train", [*data, "model=ncf", f"debug={debug}", "model.max_epochs=1", f"run_dir={tmp_path}/run"])
    )
    for written in ("*profile*.txt", "*profile*.trace.json"):
        assert bool(list((tmp_path / "run").glob(written))) == (debug == "profiler")


def test_a_run_prints_test_metrics_next_to_those_of_popularity_and_markov_and_recommendations(ease):
    printed = ease.printed
    for word in ("EASE", "Popularity", "Markov", "ndcg@10", "liked", "recommended", "Film", "tensorboard --logdir"):
        assert word in printed
    assert "by chance 0." in " ".join(printed.split())
    assert f"-m recsys recommend {ease.directory} --" in printed
    assert f"-m recsys serve {ease.directory}" in printed


def test_a_run_on_data_without_times_prints_only_popularity_as_a_baseline(train_small, tmp_path, capsys):
    arguments = ["model=ease", "data.columns.time=null", "split=leave_one_out"]
    assert train_small(*arguments, f"hydra.run.dir={tmp_path}/run") == 0
    printed = capsys.readouterr().out
    assert "Popularity" in printed
    assert "Markov" not in printed


def test_a_baseline_that_does_not_fit_in_memory_is_left_out(train_small, tmp_path, capsys, monkeypatch):
    def too_large(*_):
        raise UserError("Markov needs more memory.")

    monkeypatch.setattr(Markov, "_fit", too_large)
    assert train_small("model=ease", f"hydra.run.dir={tmp_path}/run") == 0
    assert "│ Markov" not in capsys.readouterr().out


def test_a_full_disk_is_reported_before_work_starts(train_small, tmp_path, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 10**6))
    monkeypatch.setattr(train, "split_reader", lambda cfg: lambda *_: pytest.fail("work was begun"))
    assert train_small("model=ease", f"hydra.run.dir={tmp_path}/run") == 2
    assert "only 1 MB are free" in capsys.readouterr().err


def test_outputs_that_cannot_be_written_are_reported_before_work_starts(train_small, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(train, "split_reader", lambda cfg: lambda *_: pytest.fail("work was begun"))
    assert train_small("model=ease", f"hydra.run.dir={tmp_path}/file/run") == 2
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
def test_bad_input_is_one_sentence_and_status_2(train_small, tmp_path, capsys, arguments, words):
    assert train_small(f"hydra.run.dir={tmp_path}/run", *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
    assert words in said


@pytest.fixture(scope="module")
def little_data(tmp_path_factory) -> Callable[[list[tuple[int, int]]], list[str]]:
    """Overrides for a file of pairs, in a folder where each is prepared once."""
    folder = tmp_path_factory.mktemp("little")

    def write(pairs: list[tuple[int, int]]) -> list[str]:
        file = folder / f"{len(pairs)}_of_{len({user for user, _ in pairs})}.csv"
        rows = "".join(f"{user},{item},{10**9 + item}\n" for user, item in pairs)
        if not file.exists():
            file.write_text(f"user_id,movie_id,time\n{rows}")
        return [f"data.path={file}", f"cache_dir={folder}/cache"]

    return write


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
    train_command, little_data, tmp_path, capsys, pairs, arguments, words
):
    places = (*little_data(pairs), f"hydra.run.dir={tmp_path}/run")
    assert train_command("data=files", "data.columns.rating=null", "ks=[1]", *places, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
    assert words in said


def test_a_trained_model_is_tested_again_by_another_protocol_or_in_another_order(mf, tmp_path, monkeypatch, capsys):
    def test(name: str, *arguments: str) -> int | str | None:
        monkeypatch.setattr(
            sys, "argv", ["recsys", "test", str(mf.directory), *arguments, "--out", f"{tmp_path}/{name}"]
        )
        try:
            command_line()
        except SystemExit as stop:
            return stop.code
        return 0

    first = mf.run.metrics
    protocol = ["protocol=full_and_sampled99", "protocol.protocols.sampled99.n=9"]
    assert test("same", *protocol) == 0
    same = read_run(tmp_path / "same")
    assert same.metrics["test/ndcg@10"] == first["test/ndcg@10"]
    assert "test/ndcg@10/sampled9" in same.metrics
    assert not [name for name in same.metrics if name.startswith("valid/")]
    assert same.config["model"] == mf.run.config["model"]
    assert list((tmp_path / "same" / "tensorboard").rglob("events.*"))
    assert test("reordered", "reranker=mmr", "reranker.trade_off=1.0", "reranker.similarity=embeddings") == 0
    reordered = read_run(tmp_path / "reordered").metrics
    assert reordered["test/embedding_diversity@10"] > first["test/embedding_diversity@10"]
    capsys.readouterr()
    assert test("other", "split=leave_one_out") == 2
    assert "can change only protocol, reranker, ks, order_test, split.target (got split)" in capsys.readouterr().err
    assert test("shuffled", "order_test=true") == 2
    assert "order_test=true must have a model that scores by histories (got MF" in capsys.readouterr().err


def test_the_order_of_histories_makes_no_difference_to_a_model_that_does_not_read_it(data, tmp_path, monkeypatch):
    overrides = [*data, "model=ease", "order_test=true", "split=global_time", "split.target=successive"]
    metrics = train.train(compose("train", [*overrides, f"run_dir={tmp_path}/run"]))
    for name in ("test/ndcg@10", "test/ndcg@10/warm"):
        assert metrics[f"{name}/shuffled_history"] == pytest.approx(metrics[name])
    assert len(read_run(tmp_path / "run").per_user) < 30


def test_a_trained_model_is_tested_again_with_other_targets_after_the_same_cut(data, tmp_path, command):
    cut = [*data, "model=ease", "split=global_time"]
    train.train(compose("train", [*cut, f"run_dir={tmp_path}/all"]))
    metrics = train.train(compose("train", [*cut, "split.target=last", f"run_dir={tmp_path}/last"]))
    assert command("test", tmp_path / "all", "split.target=last", "--out", tmp_path / "again")[0] == 0
    again = read_run(tmp_path / "again")
    assert again.metrics["test/ndcg@10/warm"] == metrics["test/ndcg@10/warm"]
    assert again.manifest["split"] == read_run(tmp_path / "last").manifest["split"]
    assert command("test", tmp_path / "all", "--out", tmp_path / "again")[0] == 0
    for other in ("all", "last"):
        status, _, said = command("test", tmp_path / "all", "--out", tmp_path / other)
        assert (status, "got the trained run" in said) == (2, True)
        assert read_run(tmp_path / other).metrics["valid/ndcg@10"] > 0


def test_rows_in_order_of_time_are_trained_on_without_times_and_header(tmp_path, train_small):
    rng = np.random.default_rng(0)
    rows = [f"{user} {item}\n" for user in range(20) for item in rng.permutation(25)[:8]]
    (tmp_path / "sequences.txt").write_text("".join(rows))
    file = [f"data.path={tmp_path}/sequences.txt", "data.header=[user_id,movie_id]", "data.delimiter= "]
    assert train_small(*file, "data.columns.time=row", "model=ease", f"hydra.run.dir={tmp_path}/run") == 0
    assert read_run(tmp_path / "run").manifest["data"]["ratings"] == 160


def test_the_config_of_a_run_can_be_used_in_another_directory(ease, tmp_path):
    run = read_run(Path(shutil.copytree(ease.directory, tmp_path / "run")))
    moved = run.config_in(tmp_path / "other")
    assert run.config["logger"]["save_dir"] == str(ease.directory)
    assert moved["logger"]["save_dir"] == f"{tmp_path}/other"
    assert moved["cache_dir"] == run.config["cache_dir"]
    below = run.config_in(ease.directory / "refits" / "first")
    assert below["logger"]["save_dir"] == f"{ease.directory}/refits/first"
    (run.directory / "unresolved.yaml").write_text(OmegaConf.to_yaml(run.config))  # as in a refit
    assert run.config_in(tmp_path / "other")["logger"] == moved["logger"]
    (run.directory / "unresolved.yaml").unlink()  # as in runs of earlier versions without Hydra's own folder
    shutil.rmtree(run.directory / ".hydra")
    assert run.config_in(tmp_path / "other") == run.config


@pytest.mark.parametrize("metric", ["ndgc@10", "ndcg10", "ndcg", "auc@10"])
def test_a_run_refuses_a_metric_that_does_not_exist(train_small, tmp_path, capsys, metric):
    assert train_small("model=ease", f"optimized_metric={metric}", f"hydra.run.dir={tmp_path}/run") == 2
    assert capsys.readouterr().err == (
        f"error: optimized_metric must be a metric such as ndcg@10, auc or rmse (got '{metric}').\n"
    )


def test_a_run_may_name_a_metric_that_it_does_not_measure(train_small, tmp_path):
    settings = ("model=ease", "ks=[5]", "logger=none", f"hydra.run.dir={tmp_path}/run")
    for metric in ("ndcg@10", "rmse", "precision/relevant", "hr@5/sampled99", "coverage@5"):
        assert train_small(*settings, f"optimized_metric={metric}") == 0
