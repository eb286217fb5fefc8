"""Validation at the end of every epoch, with the code of the final evaluation."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from recsys.data.dataset import Holdout
from recsys.models.neural.module import NeuralModule
from recsys.models.neural.monitors import Monitor, RankingMonitor, Scorer
from recsys.models.neural.sharding import ShardedByUser

SCORES_PER_BATCH = 1 << 24
CURVES = "curves"  # TensorBoard orders curves by name: this precedes final/ and train/


class Validation(Callback):
    """Measures a module on held-out ratings after each epoch, and logs metrics that other callbacks can monitor.

    The metrics are logged as `valid/...` and do not depend on the number of processes. Each process measures a share of
    the queries or, if the training is sharded by user, the queries of its own users.

    Args:
        holdout: held-out ratings.
        scorer: recommender that contains the module and is measured in its place; None measures the module itself.
        monitor: metrics to measure, or None for `RankingMonitor`.
    """

    def __init__(self, holdout: Holdout, scorer: Scorer | None = None, monitor: Monitor | None = None) -> None:
        self.holdout = holdout
        self.scorer = scorer
        self.monitor = monitor or RankingMonitor()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Select the queries that this process measures."""
        if isinstance(trainer.strategy, ShardedByUser):
            if self.holdout.known.shard is None:
                self.holdout = self.holdout.of_users(trainer.strategy.share.own)
            self.rows = np.arange(self.holdout.n_queries)
        else:
            self.rows = np.arange(trainer.global_rank, self.holdout.n_queries, trainer.world_size)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refresh the module, measure it in evaluation mode, and log the metrics."""
        module = cast(NeuralModule, pl_module)
        module.eval().refresh()
        measured = _gathered(measure(self.scorer or module, self.holdout, self.monitor, self.rows), trainer)
        module.train()
        metrics = {f"valid/{name}": value for name, value in summary(measured, self.monitor).items()}
        module.log_dict(metrics, logger=False)
        if trainer.logger:
            curves = {f"{CURVES}/{name}": value for name, value in metrics.items()}
            trainer.logger.log_metrics(curves, trainer.global_step)


def measure(
    scorer: Scorer, holdout: Holdout, monitor: Monitor, rows: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Call `Monitor.measure` for some queries of a holdout, in batches.

    Args:
        scorer: model to measure.
        holdout: held-out ratings.
        monitor: defines the values to measure.
        rows: int64 (B,) positions of the queries in the holdout.
    """
    return [monitor.measure(scorer, batch, holdout) for batch in batches(holdout, rows)]


def batches(holdout: Holdout, rows: np.ndarray) -> list[np.ndarray]:
    """Split the positions of queries, int64 (B,), into batches whose scores fit in memory."""
    n_batches = 1 + len(rows) * holdout.ratings.n_items // SCORES_PER_BATCH
    return np.array_split(rows, n_batches)


def summary(measured: list[tuple[np.ndarray, np.ndarray]], monitor: Monitor) -> dict[str, float]:
    """Return the metrics by name, given the results of `measure` for all queries."""
    keys, values = (np.concatenate(parts, axis=-1) for parts in zip(*measured, strict=True))
    metrics = monitor.summary(values[:, np.argsort(keys)].mean(axis=1))
    return dict(zip(monitor.names, metrics.tolist(), strict=True))


def _gathered(measured: list[Any], trainer: pl.Trainer) -> list[Any]:
    """Return, in every process, the results that `measure` returned in all processes."""
    if trainer.world_size == 1:
        return measured
    by_process: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(by_process, measured)
    return [part for process in by_process for part in process]
