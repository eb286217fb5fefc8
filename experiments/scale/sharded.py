"""Memory and quality of trainings sharded by user, on 1, 2 and 4 processes with the same batch in all.

    python experiments/scale/sharded.py                                        # 32 million ratings, seed 0
    python experiments/scale/sharded.py --ratings 1000000 --seeds 0 1 2 3 4    # does quality vary more than by seed?

The synthetic table (`synthetic.py`) is prepared once. Each training then has processes of its own, and each of them
reads the ratings of its own users only, splits them by time, trains matrix factorisation on them together with the
others, and tests its own users. Peak memory is that of the process which has most; what the parts of it take is counted
from the arrays. Frames of users and items, and tables of items, are whole in every process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from pytorch_lightning.callbacks import Callback
from rich import box
from rich.console import Console
from rich.table import Table
from synthetic import RATING_COLUMNS, write_films, write_ratings
from torch.multiprocessing.spawn import start_processes

from recsys.data.dataset import Holdout
from recsys.data.prepare import prepare
from recsys.data.prepared import load, user_counts
from recsys.data.sources import Files
from recsys.data.splitters import LeaveLastOut
from recsys.models.mf import MFModule
from recsys.models.neural import BPR, Optimization, TrainingData, Validation
from recsys.models.neural.embeddings import UserTable, only_rows_of
from recsys.models.neural.monitors import RankingMonitor
from recsys.models.neural.sharding import ShardedByUser
from recsys.models.neural.validation import measure, summary

METRIC = "ndcg@10"
MIB = 2**20


class Sizes(Callback):
    """Counts the bytes of a process's user tables and of their optimiser's state, at the end of a training."""

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Store the number of bytes as `n_bytes`."""
        weights = [part.weight for part in module.modules() if isinstance(part, UserTable)]
        state = [value for weight in weights for value in trainer.optimizers[0].state[weight].values()]
        self.n_bytes = sum(tensor.nbytes for tensor in (*weights, *state))


def train(rank: int, n_processes: int, port: int, folder: Path, seed: int, arguments: argparse.Namespace) -> None:
    """Train and test in one of several processes, as torchrun would start it; the first one writes `result.json`."""
    os.environ |= {"TORCHELASTIC_RUN_ID": "sharded", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(n_processes)}
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    sizes = Sizes()
    new_trainer = partial(pl.Trainer, accelerator="cpu", devices=n_processes, strategy="sharded")
    strategy = cast(ShardedByUser, new_trainer(logger=False).strategy)
    strategy.setup_environment()
    shard = strategy.divide(user_counts(folder))
    dataset = replace(load(folder, users=shard.own).dataset, shard=shard)
    split = LeaveLastOut(train_only_below=3)(dataset)
    torch.manual_seed(seed)
    optimization = Optimization(lr=0.01)
    objective = BPR(n_negatives=1)
    settings = {"rowwise": True, "objective": objective, "optimization": optimization}
    with only_rows_of(shard.own):
        module = MFModule(dataset.n_users, dataset.n_items, arguments.dim, **settings)
    module.bind(split.train)
    trainer = new_trainer(
        max_epochs=arguments.epochs,
        callbacks=[Validation(_sampled(split.valid, arguments.users)), sizes],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    started = time.perf_counter()
    trainer.fit(module, TrainingData(split.train, objective, 16_384, seed))
    seconds = time.perf_counter() - started
    module.eval().refresh()
    test, monitor = _sampled(split.test, arguments.users), RankingMonitor()
    measured = measure(module, test, monitor, np.arange(test.n_queries))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    columns = (dataset.users, dataset.items, dataset.ratings, dataset.times)
    costs = {
        "ratings": sum(column.nbytes for column in columns) / MIB,
        "user tables": sizes.n_bytes / MIB,
        "peak": int(status["VmHWM"].removesuffix("kB")) / 2**10,
    }
    of_all = shard.of_each((costs, measured))
    if trainer.is_global_zero:
        largest = {f"{name} of a process, MiB": max(costs[name] for costs, _ in of_all) for name in costs}
        tested = summary([part for _, parts in of_all for part in parts], monitor)
        result = largest | {"seconds": seconds, METRIC: tested[METRIC]}
        (folder.parent / "result.json").write_text(json.dumps(result))


def _sampled(holdout: Holdout, n: int) -> Holdout:
    """Restrict a holdout to about n users of the whole data, the same ones for any number of processes."""
    ratings = holdout.ratings
    return Holdout(ratings.select(ratings.users % max(1, ratings.n_users // n) == 0), holdout.known)


def train_on(n_processes: int, folder: Path, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Train in several processes, forks of this one, which holds no ratings."""
    of_each = (n_processes, find_free_network_port(), folder, seed, arguments)
    start_processes(train, of_each, n_processes, start_method="fork")
    return json.loads((folder.parent / "result.json").read_text())


def prepare_table(rank: int, directory: Path, n_ratings: int) -> None:
    """Write and prepare the table, in a process of its own to save memory; store its path in the file `folder`."""
    write_ratings(directory / "ratings.csv", n_ratings)
    write_films(directory / "films.csv")
    source = Files(str(directory / "ratings.csv"), RATING_COLUMNS, films_path=str(directory / "films.csv"))
    (directory / "folder").write_text(str(prepare(source, directory / "cache").tables["ratings"].parent))


def main() -> None:
    """Prepare the table, train on each number of processes with each seed, and print means and standard deviations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=32_000_204)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--dim", type=int, default=64, help="length of the vectors")
    parser.add_argument("--users", type=int, default=5_000, help="number of validation and test users")
    parser.add_argument("--directory", type=Path, help="default: the directory of temporary files")
    arguments = parser.parse_args()
    results: dict[int, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        directory = Path(name)
        start_processes(prepare_table, (directory, arguments.ratings), start_method="fork")
        folder = Path((directory / "folder").read_text())
        for n_processes in arguments.processes:
            results[n_processes] = [train_on(n_processes, folder, seed, arguments) for seed in arguments.seeds]
    table = Table(box=box.MARKDOWN)
    for heading in ("", *(f"{n} processes" for n in results)):
        table.add_column(heading, justify="right" if heading else "left")
    for name in results[arguments.processes[0]][0]:
        values = [np.array([result[name] for result in of_seeds]) for of_seeds in results.values()]
        table.add_row(name, *(f"{v.mean():,.4f} ({v.std(ddof=1) if len(v) > 1 else 0:.4f})" for v in values))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
