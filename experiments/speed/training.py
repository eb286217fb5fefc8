"""Speed of training, without validation, and of evaluation, for every neural model on MovieLens-100K.

    python experiments/speed/training.py [--threads 1 2] [--epochs 5] [--only TEXT] [OVERRIDE ...]

Overrides are those of train.py: `data=ml-1m data.path=...`. Samples are the pairs of user and item that a step scores:
positives and their negatives. Each row runs in a process of its own, so that its peak memory is its own. The seconds of
an epoch are the median over all but the first, and include the drawing of negatives.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import resource
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.table import Table

from recsys.config import compose, instantiate
from recsys.config.rules import count_ratings_for_rules
from recsys.data.prepare import prepare
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext

# Settings of the NCF paper (predictive factor 8, MLP 64-32-16-8, 4 negatives, Adam), and further losses.
PAPER = [
    "model.loss=log",
    "model.n_negatives=4",
    "model.weight_decay=0",
    "model.lr=0.001",
    "model.lr_schedule=constant",
]
NEUMF = ["model=ncf", "model.embedding_dim=8", "model.hidden_dims=[64,32,16,8]", "model.dropout=0", *PAPER]
ROWS = {
    "NeuMF, batch 256": [*NEUMF, "model.batch_size=256"],
    "NeuMF, batch 4,096": [*NEUMF, "model.batch_size=4096"],
    "NeuMF, batch 16,384": [*NEUMF, "model.batch_size=16384"],
    "GMF, batch 4,096": ["model=gmf", "model.embedding_dim=8", *PAPER, "model.batch_size=4096"],
    "MLP, batch 4,096": ["model=mlp", "model.hidden_dims=[64,32,16,8]", *PAPER, "model.batch_size=4096"],
    "MF log loss, batch 4,096": ["model=mf", "model.embedding_dim=64", *PAPER, "model.batch_size=4096"],
    "MF softmax, 64 users": ["model=mf", "model.embedding_dim=128", "model.loss=softmax", "model.batch_size=64"],
    "two towers, softmax, 64 users": ["model=two_tower", "model.batch_size=64"],
    "two towers, softmax, 128 users": ["model=two_tower"],
    "NeuMF softmax, 64 users": [*NEUMF, "model.loss=softmax", "model.batch_size=64"],
}


class EpochSeconds(Callback):
    """Stores the seconds of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the value that the model logged."""
        self.seconds.append(float(trainer.callback_metrics["train/epoch_seconds"]))


def measure(overrides: list[str], threads: int) -> dict[str, Any]:
    """Train and evaluate one model in this process."""
    torch.set_num_threads(threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    cfg = compose("train", overrides)
    count_ratings_for_rules(cfg)
    cache_dir = Path(cfg.cache_dir)
    split = instantiate(cfg.split)(prepare(instantiate(cfg.data), cache_dir, instantiate(cfg.metadata)).dataset)
    model, epochs = instantiate(cfg.model), EpochSeconds()

    trainer = partial(pl.Trainer, accelerator="cpu", callbacks=[epochs], enable_progress_bar=False)
    model.fit(split.train, context=FitContext(trainer=trainer, cache_dir=cache_dir))
    seconds = float(np.median(epochs.seconds[1:]))
    users = split.test.users
    started = time.perf_counter()
    ranking_metrics(model.score(split.test.known.query(users)), split.test)
    return {
        "samples_per_second": len(split.train) * model.objective().samples_per_interaction / seconds,
        "interactions_per_second": len(split.train) / seconds,
        "epoch_seconds": seconds,
        "users_per_second": len(users) / (time.perf_counter() - started),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure every row in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose names contain TEXT")
    parser.add_argument("--row", help=argparse.SUPPRESS)  # for the child process
    arguments, overrides = parser.parse_known_args()
    if arguments.row:
        row = [*ROWS[arguments.row], f"model.max_epochs={arguments.epochs}", *overrides]
        print(json.dumps(measure(row, arguments.threads[0])))
        return
    table = Table(title=f"Training on {platform.processor() or platform.machine()}, {arguments.epochs} epochs")
    columns = ("model", "threads", "samples/s", "interactions/s", "epoch s", "evaluated users/s", "peak MB")
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    for name in (name for name in ROWS if arguments.only in name):
        for threads in arguments.threads:
            command = [sys.executable, __file__, "--row", name, "--threads", str(threads)]
            command += ["--epochs", str(arguments.epochs), *overrides]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
            figures = json.loads(done.stdout.splitlines()[-1])
            cells = [f"{value:,.0f}" if value > 10 else f"{value:.2f}" for value in figures.values()]
            table.add_row(name, str(threads), *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
