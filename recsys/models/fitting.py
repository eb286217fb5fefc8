"""Settings of where and how a fit runs, and the report on how long it took."""

from __future__ import annotations

import logging
import warnings
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any


def lightning_trainer(**options: Any) -> Any:
    """Build a Lightning Trainer from its keyword arguments.

    Lightning is imported here, since closed-form models do not need it.
    """
    import pytorch_lightning as pl

    quieten_lightning()
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)  # hides tips and device lists
    return pl.Trainer(**options)


def quieten_lightning() -> None:
    """Hide warnings of Lightning that users can do nothing about.

    They concern Lightning's own use of deprecated torch functions, the checkpoint directory of a resumed run,
    validation metrics that are not synchronised because they are equal in all processes, and Slurm's `srun`, which
    Lightning mentions in each fit on a machine where `srun` is installed.
    """
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    warnings.filterwarnings("ignore", r"Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", r"It is recommended to use `self.log\('valid/")
    warnings.filterwarnings("ignore", r"The `srun` command is available on your system but is not used")


QUIET_CPU = partial(lightning_trainer, accelerator="cpu", enable_progress_bar=False)


@dataclass(frozen=True)
class FitContext:
    """Where and how a fit runs.

    It does not affect what is learned, apart from rounding and some settings of the trainer, such as
    `gradient_clip_val`.

    Attributes:
        directory: directory for checkpoints, or None to store none.
        trainer: partial function that builds Lightning's Trainer. Its keywords are arguments of the Trainer
            (accelerator, devices, precision, callbacks, ...); the model adds further ones. Only deep models use it.
        logger: a Lightning logger for curves, or None.
        resume: whether to continue from the last checkpoint in `directory` if there is one.
        cache_dir: directory for results that other fits can reuse, such as text embeddings; None caches nothing.
    """

    directory: Path | None = None
    trainer: partial[Any] = QUIET_CPU
    logger: Any = None
    resume: bool = False
    cache_dir: Path | None = None


@dataclass(frozen=True)
class FitReport:
    """How long a fit took and how fast it was; for two-stage models, also the recall of the candidates.

    Attributes:
        seconds: wall-clock time in seconds.
        interactions_per_second: training interactions per second; for a deep model, in its last epoch.
        epochs: number of epochs trained, or None for a model without epochs.
        epoch_seconds: seconds of the last epoch without its validation, or None for a model without epochs.
        samples_per_second: samples per second in the last epoch, where each sampled negative counts as a sample; None
            for a model without epochs.
        candidate_recall: share of the held-out validation ratings whose items are among the candidates of a two-stage
            model; None for other models.
    """

    seconds: float
    interactions_per_second: float
    epochs: int | None = None
    epoch_seconds: float | None = None
    samples_per_second: float | None = None
    candidate_recall: float | None = None

    def metrics(self) -> dict[str, float]:
        """Return the fields that are not None, by their names with the prefix `train/`."""
        return {f"train/{name}": float(value) for name, value in asdict(self).items() if value is not None}
