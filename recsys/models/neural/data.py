"""Training data for Lightning: epochs of batches on the device of the run."""

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


class TrainingData(pl.LightningDataModule):
    """Draws the training epochs of an objective.

    An epoch depends on the seed and its number alone. In a distributed run all processes draw the same epoch, and each
    takes its share of every batch.

    Args:
        train: training interactions.
        objective: of the module.
        batch_size: samples in a step; what a sample is, the objective says.
        seed: of the draws.
        steps_per_call: batches that one call of `training_step` gets, which steps on each; only for modules without
            automatic optimisation.
    """

    def __init__(
        self, train: Dataset, objective: Objective, batch_size: int = 256, seed: int = 0, steps_per_call: int = 1
    ) -> None:
        super().__init__()
        self.train = train
        self.objective = objective
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_call = steps_per_call

    def setup(self, stage: str) -> None:
        """Copy the interactions to the device, once."""
        trainer = cast(pl.Trainer, self.trainer)
        self.interactions = Interactions(self.train, trainer.strategy.root_device)
        self.objective.bind(self.interactions)
        self.share = Share(trainer.global_rank, trainer.world_size)

    def train_dataloader(self) -> EpochLoader:
        """Return an iterable that draws the trainer's current epoch each time."""
        return EpochLoader(self)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return a batch as it is: it is on the device already."""
        return batch

    def epoch(self) -> Epoch:
        """Draw the trainer's current epoch; the first one each time while a few batches are to be overfitted."""
        trainer = cast(pl.Trainer, self.trainer)
        number = 0 if trainer.overfit_batches else trainer.current_epoch  # type: ignore[attr-defined]
        return self.objective.epoch(self.interactions, Draw(self.batch_size, epoch_seed(self.seed, number), self.share))


class EpochLoader:
    """Yields the batches of the current epoch of some training data, or lists of `steps_per_call` batches.

    Attributes:
        n_steps: batches in an epoch.
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
    """Return a seed that differs between the epochs of one run and between runs of neighbouring seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
