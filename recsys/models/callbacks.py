"""What a training shows while it runs, in the terminal and the logger; and when a search ends it early."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

if TYPE_CHECKING:
    from recsys.models.neural import Epochs

LOG_EVERY_N_STEPS = 50


class TrainingBar(Callback):
    """One line for the whole training: the epoch, its steps, and what validation says."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the steps of all epochs; early stopping may leave some of them out."""
        self.bar = tqdm(
            total=cast(int, trainer.max_epochs) * int(trainer.num_training_batches),
            initial=trainer.global_step,
            unit=" steps",
            dynamic_ncols=True,
            disable=None if trainer.is_global_zero else True,  # None: only where there is a terminal
        )

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Name the epoch."""
        self.bar.set_description(f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}", refresh=False)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Count the step."""
        self.bar.update()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show what early stopping looks at."""
        monitor = f"valid/{_epochs(trainer).settings.watched.monitor}"
        self.bar.set_postfix({monitor: f"{trainer.callback_metrics[monitor]:.4f}"}, refresh=False)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Leave the line as it stands."""
        self.bar.close()


class TrainingCurves(Callback):
    """Log loss and learning rate by step, validation metrics, and the speed of each epoch (validation apart).

    Straight to the logger: through `self.log`, it would cost as much as a small step.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Log what the step did, every so often and at the end of an epoch."""
        ends_epoch = batch_index + 1 == trainer.num_training_batches
        if not (ends_epoch or trainer.global_step % LOG_EVERY_N_STEPS == 0):
            return
        loss = outputs["loss"].item()  # waits for the device
        values = {"train/loss": loss, "train/lr": trainer.optimizers[0].param_groups[0]["lr"]}
        if ends_epoch:
            epochs = _epochs(trainer)
            seconds = time.perf_counter() - epochs.epoch_started
            interactions = len(epochs.positives)
            speed = {
                "train/epoch_seconds": seconds,
                "train/interactions_per_second": interactions / seconds,
                "train/samples_per_second": interactions * epochs.settings.samples_per_interaction / seconds,
            }
            module.log_dict(speed, logger=False)
            values |= {"train/epoch": trainer.current_epoch, **speed}
        if trainer.logger:
            trainer.logger.log_metrics(values, trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log what validation measured."""
        if trainer.logger:
            names = [f"valid/{name}" for name in _epochs(trainer).settings.watched.names]
            measured = {name: trainer.callback_metrics[name].item() for name in names}
            trainer.logger.log_metrics(measured, trainer.global_step)


class Pruning(Callback):
    """Ends the training of a trial that is behind half of the search's complete ones after as many epochs.

    Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2: the median stopping
    rule. What is compared is the best epoch so far, since the weights of the best epoch are what a training gives. The
    trial is reached through Optuna's journal, so it may run in any process that sees the file. A run that ends so is
    whole otherwise; its trial is marked with `PRUNED`.

    Args:
        journal: the file that Optuna keeps the search in.
        trial: its number.
        metric: what the search optimises; nothing is pruned where validation does not measure it at every epoch.
        after: epochs that every trial has.
    """

    PRUNED = "pruned"
    N_UNPRUNED = 5  # complete trials before any is pruned: a median of fewer says little

    def __init__(self, journal: str, trial: int, metric: str, after: int) -> None:
        self.journal = journal
        self.number = trial
        self.metric = metric
        self.after = after
        self.best = -math.inf

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Report the epoch, and stop all processes of the training where it is of no use."""
        measured = trainer.callback_metrics.get(f"valid/{self.metric}")
        if measured is None:
            return
        sign = 1 if _epochs(trainer).settings.watched.mode == "max" else -1
        self.best = max(self.best, sign * measured.item())
        is_behind = trainer.is_global_zero and self._is_behind(trainer.current_epoch)
        trainer.should_stop |= trainer.strategy.broadcast(is_behind)

    def _is_behind(self, epoch: int) -> bool:
        import optuna  # an extra, which only searches need
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        storage = JournalStorage(JournalFileBackend(self.journal))
        pruner = optuna.pruners.MedianPruner(self.N_UNPRUNED, n_warmup_steps=self.after - 1)
        [search] = storage.get_all_studies()
        study = optuna.load_study(study_name=search.study_name, storage=storage, pruner=pruner)
        trial = optuna.Trial(study, storage.get_trial_id_from_study_id_trial_number(search._study_id, self.number))
        trial.report(self.best, epoch)
        if not trial.should_prune():
            return False
        trial.set_user_attr(self.PRUNED, True)
        return True


def _epochs(trainer: pl.Trainer) -> Epochs:
    """What the training passes over."""
    return trainer.datamodule  # type: ignore[attr-defined]
