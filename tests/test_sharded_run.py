"""Runs sharded by user: processes read, split, train on, validate and test the ratings of their own users only."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from torch.multiprocessing.spawn import start_processes

import train
from recsys.commands.run_data import split_of
from recsys.config import sharded_run
from recsys.data import prepare
from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.data.splitters import ColdUsers, GlobalTime, LeaveLastOut, Ratio
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.protocols import FULL_RANKING, SampledNegatives, SeveralProtocols
from recsys.models.base import Recommender, load
from recsys.models.mf import MF
from recsys.models.neural.sharding import ShardedByUser
from recsys.studies.runs import read_run
from tests.training import run_train

BOTH = SeveralProtocols({"full": FULL_RANKING, "sampled": SampledNegatives(n=7)})
SPLITTERS = (
    LeaveLastOut(),
    GlobalTime("1970-01-01T00:00:18", "1970-01-01T00:00:24", "successive"),
    Ratio(),
    ColdUsers(),
)


def in_processes(n: int, work: Callable[..., None], *arguments: object) -> None:
    """Call a function in n connected processes, with the strategy that connects them and further arguments."""
    start_processes(in_process, (n, find_free_network_port(), work, arguments), n, start_method="fork")


def in_process(rank: int, n: int, port: int, work: Callable[..., None], arguments: tuple) -> None:
    os.environ |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(n)}
    strategy = pl.Trainer(accelerator="cpu", devices=n, strategy="sharded", logger=False).strategy
    strategy.setup_environment()
    work(strategy, *arguments)


def measured(model: Recommender, split: Split) -> tuple[dict, dict[str, float]]:
    """Return what is counted when a model is tested, and the metrics."""
    tested = evaluate(model, split.test, BOTH, ks=(1, 5))
    shuffled = evaluate(model, split.test, ks=(5,), shuffle_seed=0).summary
    hits = {name: int(values.sum()) for name, values in tested.per_rating.items() if str(name).startswith("recall@")}
    counts = {
        "users": len(tested.per_user),
        "queries": len(tested.per_query),
        "held-out ratings": len(tested.per_rating),
        "ratings": split.dataset.n_ratings,
        "training ratings": split.train.n_ratings,
        "ratings of items": split.test.known.item_counts.tolist(),
        "hits": hits,
        "lists": tested.top.tolist(),
        "slices": tested.slices[["slice", "value", "n"]].to_numpy().tolist() if len(tested.per_query) else [],
        "split": split.fingerprint,
    }
    return counts, tested.summary | {f"{name}/shuffled": value for name, value in shuffled.items()}


def measure_own(strategy: ShardedByUser, data: Dataset, model: Path, file: Path) -> None:
    """Measure a model by each split, of which this process has the ratings of its own users."""
    shard, results = strategy.divide(data.user_counts), []
    for splitter in SPLITTERS:
        own = replace(data.of_users(shard.own), shard=shard)
        split = splitter(own) if splitter.is_by_user else splitter(data).of_shard(shard)
        assert set(split.dataset.users) <= set(shard.own)
        results.append(measured(load(model), split))
    if strategy.is_global_zero:
        file.write_text(json.dumps(results))


def test_counts_of_several_processes_are_those_of_one_and_so_are_metrics(
    timed: Dataset, pool: ProcessPoolExecutor, tmp_path: Path
):
    model = MF(embedding_dim=4, max_epochs=3, lr=0.1, prior_strength=0.1).fit(LeaveLastOut()(timed).train)
    model.save_without_data(tmp_path / "model")
    expected = [measured(model, splitter(timed)) for splitter in SPLITTERS]
    pool.submit(in_processes, 3, measure_own, timed, tmp_path / "model", tmp_path / "measured").result()
    results = json.loads((tmp_path / "measured").read_text())
    for (counts, metrics), (expected_counts, expected_metrics) in zip(results, expected, strict=True):
        assert counts == expected_counts
        assert metrics == pytest.approx(expected_metrics, abs=1e-6, nan_ok=True)


def own_ratings_alone(folder: Path, *arguments: object, users: range | None = None, **options: object):
    assert users is not None
    return load_prepared(folder, *arguments, users=users, **options)


load_prepared = prepare.load


def run_in_forks(*arguments: object) -> int:
    """`python train.py ARGUMENTS`, whose processes are forks, none of which may read the ratings of all users."""
    sharded_run.START_METHOD = "fork"
    prepare.load = own_ratings_alone
    return run_train(*arguments)


@pytest.mark.parametrize("model", ["mf", "sasrec"])
def test_a_run_of_several_processes_is_tested_again_by_one(
    model: str, data: list[str], pool: ProcessPoolExecutor, tmp_path: Path
):
    directory = tmp_path / "run"
    overrides = [f"model={model}", "model.max_epochs=2", f"hydra.run.dir={directory}", *data]
    status = pool.submit(run_in_forks, *overrides, "trainer=sharded", "trainer.devices=2").result()
    assert status == 0
    run = read_run(directory)
    split, fitted = split_of(run), run.model()
    counted = run.manifest["data"]
    assert (counted["ratings"], counted["users"]) == (len(split.dataset), split.dataset.n_users)
    assert run.manifest["split"]["fingerprint"] == split.fingerprint
    assert fitted.popularity.tolist() == split.refit_train.item_counts.tolist()
    assert len(fitted.user_embeddings()) == split.dataset.n_users
    tested = {f"test/{name}": value for name, value in evaluate(fitted, split.test, ks=(1, 5, 10)).summary.items()}
    assert {name: run.metrics[name] for name in tested} == pytest.approx(tested, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=lightgcn"], "LightGCN cannot be trained sharded by user"),
        (["model=mf", "trainer.gradient_clip_val=1"], "must have neither trainer.gradient_clip_val"),
        (["model=mf", "find_segments=true"], "find_segments needs the ratings of all users"),
        (["model=mf", "model.popularity_half_life=7"], "model.popularity_half_life needs the ratings of all users"),
    ],
)
def test_what_cannot_be_sharded_is_refused_before_data_are_read(
    train_small, monkeypatch, capsys, tmp_path, arguments: list[str], words: str
):
    monkeypatch.setattr(train, "split_reader", lambda cfg: lambda *_: pytest.fail("data were read"))
    assert train_small(*arguments, "trainer=sharded", f"hydra.run.dir={tmp_path}/run") == 2
    assert words in capsys.readouterr().err
