"""Runs that are sharded by user: each process executes the whole run, but with the ratings of its own users only.

The processes are started by torchrun, by Slurm, or by the command itself, which then only waits for them.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import redirect_stdout
from functools import partial
from multiprocessing import SimpleQueue, get_context
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from omegaconf import DictConfig
from pytorch_lightning.plugins.environments import ClusterEnvironment
from torch.multiprocessing.spawn import start_processes

from recsys.config.nodes import instantiate
from recsys.config.splits import Divide, engine_of
from recsys.data.prepare import count_ratings
from recsys.errors import UserError
from recsys.invocation import recsys_command
from recsys.models.base import Recommender
from recsys.models.neural import NeuralRecommender
from recsys.models.neural.processes import lost_processes_explained
from recsys.models.neural.sharding import ShardedByUser, is_sharded
from recsys.places import TRAIN

START_METHOD = "spawn"
NOT_SHARDED = {  # settings that need the ratings of all users in one process, and what to do instead
    "warm_from": "leave it out",
    "find_segments": f"find them afterwards, with {recsys_command('segments', 'RUN')}",
    "model.popularity_half_life": "leave it out",
}


def sharded_run(cfg: DictConfig, model: Recommender, trainer: partial[Any] | None) -> ShardedRun | None:
    """Return the `ShardedRun` that a config describes, or None if the run is not sharded by user.

    A run is sharded if its model is neural and the trainer's strategy shards by user. A run of a closed-form model is
    never sharded, and neither is a run of an ensemble, since only the base models of an ensemble use the trainer.

    Raises:
        UserError: the model or a setting needs the ratings of all users in one process.
    """
    if trainer is None or not is_sharded(trainer.keywords.get("strategy")) or not isinstance(model, NeuralRecommender):
        return None
    model.check_sharding(trainer.keywords)
    settings = {"warm_from": cfg.warm_from, "find_segments": cfg.find_segments}
    settings["model.popularity_half_life"] = getattr(model, "popularity_half_life", None)
    for name, value in settings.items():
        if value:
            raise UserError(
                f"{name} needs the ratings of all users in one process (got trainer=sharded): {NOT_SHARDED[name]}, or "
                "use trainer=ddp."
            )
    return ShardedRun(trainer(logger=False, callbacks=[]).strategy)


class ShardedRun:
    """A run in several processes, which are started by a launcher such as torchrun or, without one, by `start`.

    Args:
        strategy: Lightning strategy that connects the processes and divides the users among them.
    """

    def __init__(self, strategy: ShardedByUser) -> None:
        self.strategy = strategy

    @property
    def is_started(self) -> bool:
        """Return whether the processes of the run have been started; if so, the current process is one of them."""
        return cast(ClusterEnvironment, self.strategy.cluster_environment).creates_processes_externally

    def start(self, cfg: DictConfig) -> dict[str, float]:
        """Start the processes on this machine, wait until they have executed the run, and return its metrics.

        Raises:
            UserError: a process raised a `UserError`, or ended unexpectedly.
        """
        answers = get_context(START_METHOD).SimpleQueue()
        arguments = (self.strategy.num_processes, find_free_network_port(), cfg, HydraConfig.instance().cfg, answers)
        processes = start_processes(_run, arguments, arguments[0], join=False, start_method=START_METHOD)
        try:
            with lost_processes_explained():
                while not processes.join():
                    pass
        except UserError:
            if not answers.empty() and isinstance(error := answers.get(), UserError):
                raise error from None
            raise
        finally:
            for process in processes.processes:
                process.terminate()
        return answers.get()

    def connect(self, cfg: DictConfig) -> Divide:
        """Connect this process to the others of the run, and return the function that divides the users among them.

        The first process prepares the data; the others wait until the data are in the cache.

        Raises:
            UserError: the data cannot be prepared.
        """
        self.strategy.setup_environment()
        if self.strategy.is_global_zero:
            count_ratings(instantiate(cfg.data), Path(cfg.cache_dir), engine_of(cfg))
        self.strategy.barrier()
        return self.strategy.divide


def _run(rank: int, n_processes: int, port: int, cfg: DictConfig, hydra: DictConfig, answers: SimpleQueue[Any]) -> None:
    """Execute a run as one of its processes, with the environment variables that torchrun sets.

    Only the first process logs and prints. It puts the metrics into the queue `answers`; any process that raises a
    `UserError` puts this error there.
    """
    os.environ |= {"TORCHELASTIC_RUN_ID": "recsys", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(n_processes)}
    setup_globals()
    HydraConfig.instance().cfg = hydra  # type: ignore[assignment] # Hydra itself stores a DictConfig
    if rank == 0:
        configure_log(cast(DictConfig, HydraConfig.get().job_logging), HydraConfig.get().verbose)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere if rank else sys.stdout):
        try:
            with lost_processes_explained():
                metrics = runpy.run_path(str(TRAIN))["train"](cfg)
        except UserError as error:
            answers.put(error)
            sys.exit(2)
    if rank == 0:
        answers.put(metrics)
