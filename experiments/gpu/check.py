"""Deep models on a GPU beside the CPU: quality, evaluation, resuming on the other device, speed.

    python experiments/gpu/check.py [--accelerators cpu gpu] [--models NAME ...] [--epochs N] [--minutes M] [--out FILE]

After `--minutes` no further training starts. It needs no network if MovieLens-100K was prepared before (`python -m
recsys prepare`) and the cache directory travels along. Models have the settings of `configs/model`, but few epochs, and
texts are encoded by TF-IDF. `--accelerators cpu cpu` tries the command where there is no GPU.

The CSV file and the table have a row for each model and way of training. Test metrics are of the weights of the last
epoch. The exit status is 1 if the same weights score differently on both devices, if a model that was resumed on the
other device is not as good as one that was not interrupted, or if a training step waits for the GPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from recsys.config import compose, instantiate
from recsys.config.rules import count_ratings_for_rules
from recsys.data.prepare import prepare
from recsys.data.split import Split
from recsys.files import write_text
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext, lightning_trainer
from recsys.models.neural import NeuralRecommender
from recsys.terminal import print_figures

MODELS = ("ncf", "mf", "two_tower", "sasrec", "lightgcn", "rec_vae")
SCORE_TOLERANCE = 1e-3  # relative to the deviation of a model's scores
QUALITY_TOLERANCE = 0.02  # of NDCG@10, of few epochs and another order of random draws


class Interrupted(Exception):  # noqa: N818  nothing went wrong
    """A training was interrupted on purpose."""


class Interruption(Callback):
    """Ends the training with an exception after some epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise the exception when the checkpoint of the last epoch has been written."""
        if trainer.current_epoch == self.epochs:
            raise Interrupted


class Compiled(Callback):
    """Compiles the objective's loss, forward pass included, by `torch.compile`."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Replace the loss by its compiled form."""
        pl_module.objective.loss = torch.compile(pl_module.objective.loss, dynamic=True)


class Waits(Callback):
    """Counts what makes the host wait for the GPU in training steps.

    Attributes:
        messages: of PyTorch, about each wait.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Let PyTorch warn of waits."""
        torch.cuda.set_sync_debug_mode("warn")
        self.recording = warnings.catch_warnings(record=True, action="always")
        self.recorded = self.recording.__enter__()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Store the warnings."""
        self.recording.__exit__(None, None, None)
        torch.cuda.set_sync_debug_mode("default")
        self.messages += [str(each.message) for each in self.recorded if "synchronizing" in str(each.message)]


class Way(NamedTuple):
    """A way of training.

    Attributes:
        name: of the row.
        accelerator: Lightning's accelerator.
        options: further arguments of Lightning's Trainer.
        started_on: accelerator of the first half of the epochs, after which the training is interrupted, or None.
    """

    name: str
    accelerator: str
    options: dict[str, Any] = {}
    started_on: str | None = None


def ways(one: str, other: str) -> list[Way]:
    """Return the ways in which each model is trained."""
    return [
        Way(one, one),
        Way(other, other),
        Way(f"{other}, bf16", other, {"precision": "bf16-mixed"}),
        Way(f"{one}, then {other}", other, started_on=one),
        Way(f"{other}, then {one}", one, started_on=other),
        Way(f"{other}, compiled", other, {"callbacks": [Compiled()]}),
    ]


def build(name: str, epochs: int) -> tuple[NeuralRecommender, Split, Path]:
    """Return an untrained model, the split, and the cache directory."""
    overrides = ["encoder=tfidf", f"model.max_epochs={epochs}", f"model.patience={epochs}"]
    cfg = compose("train", [f"model={name}", *overrides])
    count_ratings_for_rules(cfg)
    cache_dir = Path(cfg.cache_dir)
    data = prepare(instantiate(cfg.data), cache_dir, instantiate(cfg.metadata)).dataset
    return instantiate(cfg.model), instantiate(cfg.split)(data), cache_dir


def fit(model: NeuralRecommender, split: Split, way: Way, context: FitContext) -> NeuralRecommender:
    """Train a copy of a model."""
    options = {"enable_progress_bar": False, **way.options}
    if way.started_on is not None:
        half = partial(
            lightning_trainer,
            **{**options, "accelerator": way.started_on, "callbacks": [Interruption(model.max_epochs // 2)]},
        )
        with suppress(Interrupted):
            _fitted(model, split, FitContext(context.directory, half, cache_dir=context.cache_dir))
    trainer = partial(lightning_trainer, accelerator=way.accelerator, **options)
    resume = way.started_on is not None
    return _fitted(model, split, FitContext(context.directory, trainer, None, resume, context.cache_dir))


def _fitted(model: NeuralRecommender, split: Split, context: FitContext) -> NeuralRecommender:
    return type(model)(**model.hyperparameters()).fit(split.train, context=context)


def test(model: NeuralRecommender, split: Split) -> tuple[np.ndarray, float, float]:
    """Return scores of the test queries, NDCG@10, and queries scored and ranked a second."""
    queries = split.test.known.query(split.test.users)
    model.score(queries)  # what is done once, such as loading kernels, is not measured
    started = time.perf_counter()
    scores = model.score(queries)
    metrics = ranking_metrics(scores, split.test)
    return scores, float(np.mean(metrics["ndcg@10"])), len(queries) / (time.perf_counter() - started)


def difference_between(model: NeuralRecommender, split: Split, scores: np.ndarray, accelerator: str) -> float:
    """Return the largest difference of scores on another device, in deviations of the scores."""
    device = "cuda" if accelerator == "gpu" else accelerator
    model.module.to(device)
    others = model.score(split.test.known.query(split.test.users))
    return float(np.abs(others - scores).max() / scores.std())


def waits(model: NeuralRecommender, split: Split, cache_dir: Path) -> int:
    """Return how often five training steps on a GPU make the host wait for it."""
    counter = Waits()
    trainer = partial(
        lightning_trainer,
        accelerator="gpu",
        enable_progress_bar=False,
        limit_train_batches=5,
        max_time={"seconds": 60},
        callbacks=[counter],
    )
    once = type(model)(**{**model.hyperparameters(), "max_epochs": 1})
    once.fit(split.train, context=FitContext(trainer=trainer, cache_dir=cache_dir))
    for message in sorted(set(counter.messages)):
        print(message, file=sys.stderr)
    return len(counter.messages)


def rows(name: str, epochs: int, accelerators: Sequence[str], deadline: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each way of training a model, until the deadline in seconds of `time.monotonic`."""
    model, split, cache_dir = build(name, epochs)
    one, other = accelerators
    n_waits = waits(model, split, cache_dir) if "gpu" in accelerators else None
    for way in ways(one, other):
        if time.monotonic() > deadline:
            print(f"{name}, {way.name}: left out, because the time is over", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as directory:
            fitted = fit(model, split, way, FitContext(Path(directory), cache_dir=cache_dir))
        scores, ndcg, queries = test(fitted, split)
        report = fitted.fit_report
        yield {
            "model": name,
            "trained on": way.name,
            "ndcg@10": ndcg,
            "samples/s": report.samples_per_second,
            "queries/s": queries,
            "difference": difference_between(fitted, split, scores, one if way.accelerator == other else other),
            "waits": n_waits if way.name == other else None,
        }


def failures(table: pd.DataFrame, one: str) -> list[str]:
    """Return a sentence for each failed check."""
    found = []
    for (name, way), row in table.set_index(["model", "trained on"]).iterrows():
        if row["difference"] > SCORE_TOLERANCE:
            found.append(f"{name}, {way}: the same weights score differently on the other device.")
        reference = table.query("model == @name and `trained on` == @one")["ndcg@10"].iloc[0]
        if abs(row["ndcg@10"] - reference) > QUALITY_TOLERANCE:
            found.append(f"{name}, {way}: NDCG@10 is {row['ndcg@10']:.4f}, not {reference:.4f} as on {one}.")
        if row["waits"] > 0:
            found.append(f"{name}: five training steps wait {row['waits']:.0f} times for the GPU.")
    return found


def main() -> int:
    """Train, print the table, write it as CSV, and print the failed checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accelerators", nargs=2, default=("cpu", "gpu"), metavar="NAME")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--epochs", type=int, default=4, metavar="N")
    parser.add_argument("--minutes", type=float, default=5.0, help="minutes after which no further training is started")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu_check.csv"), metavar="FILE")
    arguments = parser.parse_args()
    if "gpu" in arguments.accelerators and not torch.cuda.is_available():
        parser.error("There is no CUDA device here: --accelerators cpu cpu tries the command without one.")
    deadline, measured = time.monotonic() + 60 * arguments.minutes, []
    for name in arguments.models:
        for row in rows(name, arguments.epochs, arguments.accelerators, deadline):
            measured.append(row)
            print({key: value for key, value in row.items() if value is not None}, file=sys.stderr, flush=True)
    table = pd.DataFrame(measured).astype({"waits": "float64"})
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out, table.to_csv(index=False))
    cells = [[row["model"], row["trained on"], *(_cell(row[name]) for name in table.columns[2:])] for row in measured]
    print_figures(list(table.columns), cells, f"{arguments.epochs} epochs with torch {torch.__version__}")
    found = failures(table, arguments.accelerators[0])
    print(*found, sep="\n")
    return int(bool(found))


def _cell(value: float | None) -> str:
    if value is None or np.isnan(value):
        return ""
    return f"{value:,.0f}" if value >= 10 else f"{value:.4f}"


if __name__ == "__main__":
    sys.exit(main())
