"""Training data for Lightning: epochs whose batches are already on the training device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import ceil
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl

from recsys.data.dataset import Dataset
from recsys.models.neural.objectives import Epoch, Objective
from recsys.models.neural.sampling import Draw, Interactions, Share
from recsys.models.neural.sharding import ShardedByUser


class TrainingData(pl.LightningDataModule):
    """A Lightning data module that draws the training epochs of an objective.

    The samples depend only on the interactions, the seed and the number of the epoch. In a distributed run all
    processes draw the same epoch, and each takes its share of every batch. In a run sharded by user
    (`recsys.models.neural.sharding`), each process draws an epoch of the interactions of its own users.

    Args:
        train: training interactions of all users, or of this process's users only (`Dataset.shard`).
        objective: training objective of the module.
        batch_size: number of samples in a step; the objective defines what a sample is.
        seed: seed of the draws.
        steps_per_call: number of batches passed to one call of `training_step`, which takes an optimisation step on
            each. It must be 1 for a module with automatic optimisation.
    """

    def __init__(
        self,
        train: Dataset,
        objective: Objective,
        batch_size: int = 256,
        seed: int = 0,
        steps_per_call: int = 1,
    ) -> None:
        super().__init__()
        self.train = train
        self.objective = objective
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_call = steps_per_call

    def setup(self, stage: str) -> None:
        """Copy this process's interactions to the device, and bind the objective to them, before the first epoch."""
        trainer = cast(pl.Trainer, self.trainer)
        device = trainer.strategy.root_device
        if isinstance(trainer.strategy, ShardedByUser):
            self.share: Share = trainer.strategy.assign(self.train)
            self.train = trainer.strategy.own(self.train)
        else:
            self.share = Share(trainer.global_rank, trainer.world_size)
        self.interactions = Interactions(self.train, device)
        self.objective.bind(self.interactions)

    def teardown(self, stage: str) -> None:
        """After a fit sharded by user, complete the tables of users; see `ShardedByUser.restore_tables`."""
        strategy = cast(pl.Trainer, self.trainer).strategy
        if isinstance(strategy, ShardedByUser):
            strategy.restore_tables()

    def train_dataloader(self) -> EpochLoader:
        """Return an iterable that draws the trainer's current epoch each time it is iterated over."""
        return EpochLoader(self)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return the batch unchanged: it is on the device already."""
        return batch

    def epoch(self) -> Epoch:
        """Draw the trainer's current epoch or, if the trainer's `overfit_batches` is set, always the first epoch."""
        trainer = cast(pl.Trainer, self.trainer)
        number = 0 if trainer.overfit_batches else trainer.current_epoch  # type: ignore[attr-defined]
        seed = epoch_seed(self.seed, number, self.share.stream)
        return self.objective.epoch(self.interactions, Draw(self.batch_size, seed, self.share))


class EpochLoader:
    """Iterates over the batches of the trainer's current epoch or, if `steps_per_call` is above 1, over lists of them.

    Each list has `steps_per_call` batches; the last one can be shorter. The length of the loader is the number of
    batches, or of lists.

    Args:
        data: the training data, whose `epoch` draws the batches.

    Attributes:
        n_steps: number of batches in an epoch.
    """

    def __init__(self, data: TrainingData) -> None:
        self.data = data
        self.n_steps = len(data.epoch())

    def __len__(self) -> int:
        return ceil(self.n_steps / self.data.steps_per_call)

    def __iter__(self) -> Iterator[Any]:
        batches, size = iter(self.data.epoch()), self.data.steps_per_call
        if size == 1:
            yield from batches
        while group := list(islice(batches, size)):
            yield group


def epoch_seed(*numbers: int) -> int:
    """Hash a run's seed, the number of an epoch and, optionally, the number of a process to one seed for the epoch.

    The result is from 0 to 2**32 - 1. Runs with neighbouring seeds do not share the seeds of epochs, as they would if
    the numbers were added. A last number of zero does not change the result.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
