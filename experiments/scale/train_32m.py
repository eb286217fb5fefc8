"""Seconds and peak memory of every stage from a table of ratings to a tested model, as the number of ratings grows.

    python experiments/scale/train_32m.py [--ratings 1000000 4000000 ...] [--models mf two_tower ...]

The largest table has the shape of MovieLens-32M: 200,948 users, 84,432 films (`synthetic.py`). Smaller ones have fewer
users, with equal numbers of ratings of the same films, which is how a site grows. `catalogue.py` measures how cost
grows with the catalogue.

Writing, preparing and each model run in processes of their own, and peak memory is reset before each stage (on Linux
only), so that a peak includes the memory that the stage found and what it added. Training and ranking use one thread;
DuckDB uses all cores. Tables and cache take about 3 GB in the directory and are removed at the end.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from synthetic import RATING_COLUMNS, write_films, write_ratings

from recsys.data.dataset import Holdout
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.data.sources import Files
from recsys.data.splitters import LeaveLastOut
from recsys.evaluation.evaluate import evaluate
from recsys.models import ELSA, MF, LightGCN, LowRankGFCF, Popularity, TwoTower
from recsys.models.base import Recommender, load

# One setting for all sizes: one epoch, losses that score few films, and steps that update only the rows of their batch.
BPR: dict[str, Any] = {"loss": "bpr", "n_negatives": 1, "batch_size": 16_384, "lr": 0.01, "max_epochs": 1}
MODELS: dict[str, Callable[[], Recommender]] = {
    "popularity": Popularity,
    "mf": partial(MF, **BPR, rowwise=True),
    "mf_dense": partial(MF, **BPR),  # every step updates all rows
    "two_tower": partial(
        TwoTower,
        {"_target_": "recsys.data.text.TfidfEncoder", "n_components": 64},
        embedding_dim=64,
        loss="sampled_softmax",
        n_negatives=1_000,
        batch_size=128,
        lr=0.005,
        user_id_dropout=0.2,
        max_epochs=1,
    ),
    "elsa": partial(ELSA, embedding_dim=128, batch_size=128, lr=0.01, max_epochs=1),
    "low_rank_gfcf": partial(LowRankGFCF, rank=128, n_frequencies=48, ideal_weight=5.0),
    "lightgcn": partial(  # whose steps propagate in a graph of some interactions
        LightGCN, n_layers=2, edges_per_step=500_000, batch_size=131_072, lr=0.01, max_epochs=1
    ),
}
METRIC = "ndcg@10"


@dataclass
class Costs:
    """Costs of stages by name: seconds, CPU seconds, and peak memory in GiB; and further figures."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the enclosed statements."""
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak to the current memory
        started, cpu_started = time.perf_counter(), time.process_time()
        yield
        self.seconds[name], self.cpu_seconds[name] = time.perf_counter() - started, time.process_time() - cpu_started
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        self.peaks[name] = int(status["VmHWM"].removesuffix("kB")) / 2**20
        print(f"{name}: {self.cell(name)}", flush=True)

    def cell(self, name: str) -> str:
        """Format the costs of a stage."""
        return f"{self.seconds[name]:.1f} s ({self.cpu_seconds[name]:.1f}), {self.peaks[name]:.2f} GiB"

    def update(self, other: Costs) -> None:
        """Add the measurements of another process."""
        for name in ("seconds", "cpu_seconds", "peaks", "figures"):
            getattr(self, name).update(getattr(other, name))


def write_tables(folder: Path, n_ratings: int, ending: str) -> Costs:
    """Write synthetic tables."""
    costs = Costs()
    with costs.stage("write the table"):
        write_ratings(folder / f"ratings.{ending}", n_ratings)
        write_films(folder / "films.csv")
    return costs


def prepare_tables(folder: Path, ending: str) -> Costs:
    """Read and clean the tables into the cache."""
    costs = Costs()
    with costs.stage("read, clean, cache, load"):
        dataset = _prepared(folder, ending).dataset
    costs.figures = {"ratings": len(dataset), "users": dataset.n_users, "films": dataset.n_items}
    return costs


def train_and_test(folder: Path, ending: str, name: str, n_tested: int) -> Costs:
    """Load the cache and split the data; then train, test, save and load one model."""
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    costs = Costs()
    with costs.stage("load the cache"):
        dataset = _prepared(folder, ending).dataset
    with costs.stage("split by time"):
        split = LeaveLastOut(train_only_below=3)(dataset)
        train, test = split.refit_train, _sampled(split.test, n_tested)
    with costs.stage(f"{name}: train"):
        model = MODELS[name]().fit(train)
    with costs.stage(f"{name}: test"):
        accuracy = costs.figures[f"{name}: {METRIC}"] = evaluate(model, test).summary[METRIC]
    print(f"{name}: {METRIC} {accuracy:.4f}", flush=True)
    with costs.stage(f"{name}: save, load"):
        model.save_without_data(folder / name)
        load(folder / name)
    return costs


def _prepared(folder: Path, ending: str) -> Prepared:
    ratings, films = str(folder / f"ratings.{ending}"), str(folder / "films.csv")
    return prepare(Files(ratings, RATING_COLUMNS, films_path=films), folder / "cache")


def _sampled(holdout: Holdout, n: int) -> Holdout:
    """Restrict a holdout to n users drawn at random, or to all if there are fewer."""
    chosen = np.random.default_rng(0).permutation(holdout.users)[:n]
    return Holdout(holdout.ratings.select(np.isin(holdout.ratings.users, chosen)), holdout.known)


def in_its_own_process(work: Callable[..., Costs], *arguments: Any) -> Costs:
    """Run a function in a process of its own, so that its memory does not add to that of later stages."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def measure(n_ratings: int, arguments: argparse.Namespace) -> Costs:
    """Measure all stages at one size."""
    costs = Costs()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        folder = Path(name)
        costs.update(in_its_own_process(write_tables, folder, n_ratings, arguments.format))
        costs.update(in_its_own_process(prepare_tables, folder, arguments.format))
        for model in arguments.models:
            costs.update(in_its_own_process(train_and_test, folder, arguments.format, model, arguments.users))
    return costs


def table_of(measured: list[Costs]) -> Table:
    """Build a table of stages by sizes, with the exponents at which CPU seconds grow between sizes; 1 is linear."""
    table = Table(box=box.MARKDOWN)
    sizes = [costs.figures["ratings"] for costs in measured]
    for heading in ("stage", *(f"{size:,.0f} ratings" for size in sizes), "exponents"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in measured[0].cpu_seconds:
        growth = np.diff(np.log([costs.cpu_seconds[stage] for costs in measured])) / np.diff(np.log(sizes))
        table.add_row(stage, *(costs.cell(stage) for costs in measured), ", ".join(f"{e:.2f}" for e in growth))
    for name in measured[0].figures:
        table.add_row(name, *(f"{costs.figures[name]:,.4f}".removesuffix(".0000") for costs in measured))
    return table


def main() -> None:
    """Measure every size, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, nargs="+", default=[1_000_000, 4_000_000, 16_000_000, 32_000_204])
    models = ["popularity", "mf", "two_tower"]
    parser.add_argument("--models", nargs="*", choices=MODELS, default=models, help="no names: only prepare")
    parser.add_argument("--users", type=int, default=5_000, help="number of test users, drawn at random")
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--directory", type=Path, help="default: the directory of temporary files")
    arguments = parser.parse_args()
    measured = [measure(n_ratings, arguments) for n_ratings in sorted(arguments.ratings)]
    Console(width=160).print(table_of(measured))


if __name__ == "__main__":
    main()
