"""Lightning callbacks: reproducible epochs, progress, training curves, and pruning of the trials of a search."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from recsys.metrics.direction import sign
from recsys.models.neural.data import EpochLoader, epoch_seed
from recsys.progress_bar import ProgressBar

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

LOG_EVERY_N_STEPS = 50


class EpochSeeds(Callback):
    """Gives a resumed run the same epoch numbers and the same dropout as an uninterrupted run.

    Args:
        seed: seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """In a resumed run, begin a new epoch; with `max_steps`, Lightning would continue the checkpoint's epoch."""
        loop = trainer.fit_loop
        loop.epoch_progress.current.completed = loop.epoch_progress.current.processed  # type: ignore[attr-defined]
        loop.epoch_loop.restarting = False
        loop.reset_restart_stage()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed PyTorch's global generators for the epoch, differently in each process."""
        torch.manual_seed(epoch_seed(self.seed, trainer.current_epoch, trainer.global_rank))


class TrainingFingerprint(Callback):
    """Writes the fingerprint of the training interactions into every checkpoint.

    Args:
        fingerprint: see `Dataset.fingerprint`.
    """

    KEY = "trained_on"

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the fingerprint to a checkpoint."""
        checkpoint[self.KEY] = self.fingerprint


class TrainingBar(Callback):
    """Shows one progress bar for the whole training, with the epoch and the monitored metric.

    If stderr is not a terminal, it logs a line every 30 seconds instead.

    Args:
        monitor: name of the monitored metric, such as `valid/ndcg@10`.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the bar; if the run is resumed, the completed epochs are already counted."""
        n_batches = int(trainer.num_training_batches)
        if not pl_module.automatic_optimization:
            n_batches = cast(EpochLoader, trainer.train_dataloader).n_steps
        self.bar = ProgressBar(
            total=cast(int, trainer.max_epochs) * n_batches,
            initial=trainer.current_epoch * n_batches,
            unit="batches",
            disable=not trainer.is_global_zero,
        )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the number of the epoch."""
        self.bar.set_description_str(f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}", refresh=False)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar by one batch, or by all batches of a list (see `NeuralModule.training_step`)."""
        self.bar.update(1 if pl_module.automatic_optimization else len(batch))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the monitored metric."""
        value = trainer.callback_metrics.get(self.monitor)
        if value is not None:
            self.bar.set_postfix({self.monitor: f"{value:.4f}"}, refresh=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar, which stays on the screen."""
        self.bar.close()


class TrainingCurves(Callback):
    """Logs the loss and the learning rate by step, and the speed of each epoch, in which validation does not count.

    Values are passed directly to the logger, since a call of Lightning's `log` takes as long as a small step.

    Args:
        n_interactions: number of training interactions.
        samples_per_interaction: see `Objective.samples_per_interaction`.
    """

    def __init__(self, n_interactions: int, samples_per_interaction: int) -> None:
        self.n_interactions = n_interactions
        self.samples_per_interaction = samples_per_interaction
        self.last_step = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock before the epoch is drawn, so that the epoch's time includes the drawing."""
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log about every `LOG_EVERY_N_STEPS` steps; at the end of an epoch, log in any case, and include the speed."""
        ends_epoch = batch_idx + 1 == trainer.num_training_batches
        if not ends_epoch and trainer.global_step // LOG_EVERY_N_STEPS == self.last_step // LOG_EVERY_N_STEPS:
            return
        self.last_step = trainer.global_step
        loss = outputs["loss"].item()  # waits for the device
        values = {"train/loss": loss, "train/lr": trainer.optimizers[0].param_groups[0]["lr"]}
        if ends_epoch:
            seconds = time.perf_counter() - self.started
            speed = {
                "train/epoch_seconds": seconds,
                "train/interactions_per_second": self.n_interactions / seconds,
                "train/samples_per_second": self.n_interactions * self.samples_per_interaction / seconds,
            }
            pl_module.log_dict(speed | {"train/epochs": trainer.current_epoch + 1.0}, logger=False)
            values |= {"train/epoch": trainer.current_epoch, **speed}
        if trainer.logger:
            trainer.logger.log_metrics(values, trainer.global_step)


class Pruning(Callback):
    """Stops a trial of a hyperparameter search that is behind the other trials after the same number of epochs.

    There are two rules:

    - Median stopping rule (the default): a trial is behind if its value is worse than the median of the complete
      trials. This is tested after each epoch. Golovin et al., "Google Vizier: A Service for Black-Box Optimization",
      KDD 2017, section 3.2.
    - Asynchronous successive halving (with `halving`): a trial is behind if it is not among the best third of all
      trials that have reached this number of epochs. This is tested after `after`, 3 `after`, 9 `after`, ... epochs. Li
      et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.

    Trials are compared by their best epoch so far, since training returns the weights of the best epoch. Trials are
    accessed through Optuna's storage, so a trial can run in any process that can access the storage. Apart from its
    fewer epochs, a pruned run is complete; its trial is marked with Optuna's user attribute `PRUNED`.

    Args:
        journal: address of the storage of the search; see `search_storage`.
        trial: number of the trial in the search.
        metric: metric that the search optimises, without `valid/`; nothing is pruned if `Validation` does not measure
            it.
        after: number of epochs that every trial trains before it can be pruned.
        halving: whether to use successive halving in place of the median stopping rule.
    """

    PRUNED = "pruned"
    N_UNPRUNED = 5  # number of complete trials before any is pruned, since a median of fewer is unreliable
    REDUCTION = 3  # of trials and, inversely, of epochs between two rungs of successive halving

    def __init__(self, journal: str, trial: int, metric: str, after: int, halving: bool = False) -> None:
        self.journal = journal
        self.number = trial
        self.metric = metric
        self.after = after
        self.halving = halving
        self.best = -math.inf

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the best value so far to the search, and stop the training in all processes if the trial is behind."""
        measured = trainer.callback_metrics.get(f"valid/{self.metric}")
        if measured is None:
            return
        self.best = max(self.best, sign(self.metric) * measured.item())
        is_behind = trainer.is_global_zero and self._is_behind(trainer.current_epoch + 1)
        trainer.should_stop |= trainer.strategy.broadcast(is_behind)

    def _is_behind(self, n_epochs: int) -> bool:
        import optuna  # an optional dependency, which only searches need
        from optuna.pruners import MedianPruner, SuccessiveHalvingPruner

        storage = search_storage(self.journal)
        pruner = (
            SuccessiveHalvingPruner(self.after, self.REDUCTION)
            if self.halving
            else MedianPruner(self.N_UNPRUNED, n_warmup_steps=self.after)
        )
        [search] = storage.get_all_studies()
        study = optuna.load_study(study_name=search.study_name, storage=storage, pruner=pruner)
        trial = optuna.Trial(study, storage.get_trial_id_from_study_id_trial_number(search._study_id, self.number))
        trial.report(self.best, n_epochs)
        if not trial.should_prune():
            return False
        trial.set_user_attr(self.PRUNED, True)
        return True


def search_storage(address: str) -> BaseStorage:
    """Open the storage of an Optuna search.

    Args:
        address: path of a file, or address of a database, such as `postgresql://host/name`. Several processes can write
            to the file, including processes on other machines that share its disk.
    """
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" in address:
        return RDBStorage(re.sub("^postgres(ql)?://", "postgresql+psycopg://", address))
    return JournalStorage(JournalFileBackend(address))
