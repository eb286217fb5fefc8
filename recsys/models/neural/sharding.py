"""Training sharded by user: each process has the ratings, embeddings and optimiser state of its own users only.

The users of a process have consecutive codes, and all processes have about equally many ratings. Each process draws
positives and negatives for its own users only. In a step of n processes,

- the gradients of all weights except the tables of users are averaged over the processes, as in any distributed
  training;
- a row of a table of users has a gradient only in the process of its user. This gradient is divided by n, so that the
  vectors of users and items are updated as if one process had computed the loss of all samples of the step.

The initial weights do not depend on the number of processes, see `recsys.models.neural.embeddings.only_rows_of`.
Checkpoints contain the tables of all users, which the first process collects. A training can therefore be resumed with
another number of processes, and a single process can evaluate the model.

With `pl.Trainer(strategy="sharded")`, torchrun, Slurm or Lightning starts the processes; Lightning runs the command
again in each of them. `sharded_spawn` and `sharded_fork` start processes for the fit only, unless torchrun or Slurm has
started them already. If the training data have a `Dataset.shard`, each process was given the ratings of its own users
only; otherwise each process starts with all ratings and selects those of its users.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.plugins.environments import ClusterEnvironment
from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from recsys.data.dataset import Dataset
from recsys.data.query import row_pointers
from recsys.errors import UserError
from recsys.models.neural.embeddings import UserTable, rows_of_users, user_tables
from recsys.models.neural.processes import joined, of_each, summed
from recsys.models.neural.sampling import Share

START_METHODS = {"sharded": "popen", "sharded_spawn": "spawn", "sharded_fork": "fork"}


def is_sharded(strategy: object) -> bool:
    """Return whether a strategy of Lightning, given as an object or by name, shards the training by user."""
    return isinstance(strategy, ShardedByUser) or (isinstance(strategy, str) and strategy in START_METHODS)


def shards(user_counts: np.ndarray, n_processes: int) -> list[range]:
    """Divide users into consecutive groups with about equally many training ratings, one for each process.

    Args:
        user_counts: int64 (n_users,) number of ratings of each user.
        n_processes: number of processes.

    Returns:
        The user codes of each process, in order.

    Raises:
        UserError: a process would have no ratings: there are too few users, or one user has too many of the ratings.
    """
    indptr = row_pointers(user_counts)
    targets = np.arange(1, n_processes) * indptr[-1] / n_processes
    after = np.searchsorted(indptr, targets)  # the first boundary between users that is not before the target
    before = np.maximum(after - 1, 0)
    is_nearer = targets - indptr[before] < indptr[after] - targets
    stops = [0, *np.where(is_nearer, before, after).tolist(), len(user_counts)]
    if not np.diff(indptr[stops]).all():
        raise _too_few(n_processes)
    return [range(start, stop) for start, stop in pairwise(stops)]


def _too_few(n_processes: int) -> UserError:
    return UserError(
        f"Each of {n_processes} processes must have users with training ratings (got too few users, or one with too "
        "large a share of the ratings): lower trainer.devices."
    )


@dataclass(frozen=True, kw_only=True)
class OwnUsers(Share):
    """The users of one process, which draws its batches from the training interactions of these users.

    The class implements `recsys.data.dataset.Shard`. Its methods that exchange arrays are collective operations: all
    processes must call them in the same order.

    An epoch has the same number of steps in every process, about as many as if a single process had all users. Each
    process divides its samples evenly among the steps.

    Attributes:
        users: for each process, the range of its user codes; the ranges are in ascending order.
        device: device of the training.
    """

    users: tuple[range, ...]
    device: torch.device

    @property
    def own(self) -> range:
        """Return the codes of the users of this process."""
        return self.users[self.rank]

    def total(self, values: np.ndarray) -> np.ndarray:
        """See `Shard.total`."""
        return summed(torch.from_numpy(values).to(self.device)).cpu().numpy()

    def joined(self, rows: np.ndarray) -> np.ndarray:
        """See `Shard.joined`."""
        parts: list[Any] | None = [None] * self.n_processes if self.rank == 0 else None
        dist.gather_object(rows, parts)
        return rows if parts is None else np.concatenate(parts)

    def of_each(self, value: Any) -> list[Any]:
        """See `Shard.of_each`."""
        values: list[Any] = [None] * self.n_processes
        dist.all_gather_object(values, value)
        return values

    def whole(self, rows: Tensor) -> Tensor:
        """Return the rows of all users and of the unknown user in the first process, and the given rows in the others.

        The result is on the CPU. All processes must call this together.

        Args:
            rows: (m + 1, ...) rows of the m users of this process and of the unknown user.
        """
        return torch.cat([joined(rows[:-1], self.users, self.device), rows[-1:].cpu()])

    def complete(self, module: nn.Module) -> None:
        """In the first process, fill a module's tables of users with the rows of all users.

        All processes must call this together.
        """
        for table in user_tables(module).values():
            rows = self.whole(table.weight.detach())
            if self.rank == 0:
                table.restore(rows.to(table.weight.device))

    @property
    def stream(self) -> int:
        """See `Share.stream`; returns `rank`, so that each process draws different random numbers."""
        return self.rank

    def bounds(self, n_rows: int, batch_size: int) -> np.ndarray:
        """See `Share.bounds`; no rows are left out. All processes must call this together.

        Args:
            n_rows: number of rows of this process.
            batch_size: number of rows in a batch of all processes together.

        Raises:
            UserError: a process has no rows.
        """
        of_all = of_each(torch.tensor([n_rows], device=self.device))
        if not of_all.all():
            raise _too_few(self.n_processes)
        n_steps = min(ceil(int(of_all.sum()) / self.fair(batch_size)), int(of_all.min()))  # no batch is empty
        return np.arange(n_steps + 1) * n_rows // n_steps

    def rows(self, start: int, stop: int) -> slice:
        """See `Share.rows`; returns all rows from `start` to `stop`, since all of them belong to this process."""
        return slice(start, stop)


class ShardedByUser(DDPStrategy):
    """A strategy of Lightning that shards a training by user, as the docstring of this module describes.

    Args:
        **options: see `DDPStrategy`.
    """

    share: OwnUsers

    def assign(self, train: Dataset) -> OwnUsers:
        """Assign users to processes, and return the users of this process.

        The processes must be connected already. The result is also stored as `share`, which other methods use.

        Args:
            train: training interactions of all users, or of this process's users only. In the second case,
                `Dataset.shard` already holds the assignment.

        Raises:
            UserError: a process would have no ratings: there are too few users, or one user has too many of the
                ratings.
        """
        self.share = self.divide(train.user_counts) if train.shard is None else cast(OwnUsers, train.shard)
        return self.share

    def divide(self, user_counts: np.ndarray) -> OwnUsers:
        """Divide users among processes by their numbers of ratings, (n_users,), and return this process's users."""
        users = shards(user_counts, self.world_size)
        return OwnUsers(self.global_rank, self.world_size, users=tuple(users), device=self.root_device)

    def own(self, data: Dataset) -> Dataset:
        """Return the ratings of this process's users; data that contain only these are returned unchanged."""
        return data if data.shard is not None else replace(data.of_users(self.share.own), shard=self.share)

    def setup(self, trainer: pl.Trainer) -> None:
        """Reduce the tables of user embeddings to the rows of this process, then set up as `DDPStrategy` does.

        Raises:
            UserError: the module, gradient clipping or the precision does not allow sharding.
        """
        module = cast(pl.LightningModule, self.lightning_module)
        check_sharding(type(module), type(module).__name__, trainer.gradient_clip_val, trainer.precision)
        for table in self._tables().values():
            table.hold(self.share.own)
        super().setup(trainer)

    def _setup_model(self, model: nn.Module) -> DistributedDataParallel:
        """Exclude the tables of users from the synchronisation of weights and gradients."""
        own = []
        for name, table in self._tables().items():
            table.weight.register_hook(lambda gradient: gradient / self.world_size)
            own += [name, f"{name.removesuffix('weight')}trained"]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, own)
        return super()._setup_model(model)

    def on_exception(self, exception: BaseException) -> None:
        """Let SIGTERM silently end a process that was started for the fit.

        The first error has already been reported.
        """
        super().on_exception(exception)
        if self._start_method != "popen" and multiprocessing.parent_process() is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the weights for a checkpoint; in the first process, the tables of users have the rows of all users."""
        state = super().lightning_module_state_dict()
        return state | {name: self._whole(state[name]) for name in self._tables()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the optimiser's state; in the first process, it has the rows of all users."""
        state: dict[str, Any] = super().optimizer_state(optimizer)
        return state | {"state": state["state"] | dict(self._states(optimizer, state, self._whole))}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Load the optimiser's state, but only the rows of this process's users."""
        own = []
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            own.append(state | {"state": state["state"] | dict(self._states(optimizer, state, self._cut))})
        super().load_optimizer_state_dict({**checkpoint, "optimizer_states": own})

    def restore_tables(self) -> None:
        """If processes were started for the fit only, collect the rows of all users in the first of them.

        Lightning returns the weights of this first process to the process that called `fit`.
        """
        if self._start_method != "popen":
            self.share.complete(cast(pl.LightningModule, self.lightning_module))

    def _configure_launcher(self) -> None:
        """Start no processes if torchrun or Slurm has started them already."""
        if cast(ClusterEnvironment, self.cluster_environment).creates_processes_externally:
            self._start_method = "popen"
        super()._configure_launcher()

    def _tables(self) -> dict[str, UserTable]:
        """Return the module's tables of users, by the names of their weights."""
        return user_tables(cast(pl.LightningModule, self.lightning_module))

    def _states(self, optimizer: Optimizer, state: Mapping[str, Any], change: Any) -> Iterator[tuple[int, Any]]:
        """For each table of users, yield its index in the optimiser's weights and its state with `change` applied."""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        tables = {id(table.weight) for table in self._tables().values()}
        for number, weight in enumerate(weights):
            if id(weight) in tables and number in state["state"]:
                values = copy(state["state"][number])
                yield number, {n: change(value) if has_rows(value) else value for n, value in values.items()}

    def _whole(self, rows: Tensor) -> Tensor:
        """See `OwnUsers.whole`."""
        return self.share.whole(rows)

    def _cut(self, rows: Tensor) -> Tensor:
        """Select the rows of this process's users and of the unknown user."""
        return rows_of_users(rows, self.share.own)


def check_sharding(module: type[nn.Module], name: str, gradient_clip_val: float | None, precision: object) -> None:
    """Check that a module can be trained sharded by user.

    Args:
        module: class of the module.
        name: name of the model in messages.
        gradient_clip_val: setting of the trainer.
        precision: setting of the trainer, such as `bf16-mixed`; None for its default, 32 bits.

    Raises:
        UserError: a training step needs rows of users outside its batch, or a setting would make the processes update
            their shared weights with different gradients.
    """
    if not getattr(module, "shards_users", False):
        raise UserError(
            f"{name} cannot be trained sharded by user, as it does not declare that a step needs only the users of "
            "its batch: use trainer=ddp."
        )
    if gradient_clip_val is not None or str(precision).startswith("16"):
        raise UserError(
            "A training sharded by user must have neither trainer.gradient_clip_val nor a precision of 16 bits with "
            "scaled gradients, since no process knows the gradients of all users: leave them out, or use "
            "trainer.precision=bf16-mixed."
        )


def has_rows(value: Any) -> bool:
    """Return whether a value in the optimiser's state of a table has one row for each row of the table."""
    return isinstance(value, Tensor) and value.dim() > 0


for _name, _start_method in START_METHODS.items():
    StrategyRegistry.register(_name, ShardedByUser, "Sharded by user", start_method=_start_method)
