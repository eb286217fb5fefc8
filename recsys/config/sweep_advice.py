"""The message at the end of a sweep: where its runs are, and how to compare them in a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from recsys.files import short
from recsys.invocation import recsys_command

PLAIN = "BasicSweeper"  # of Hydra; searches and studies end with results of their own


def is_plain_sweep(hydra: Any) -> bool:
    """Return whether a multirun is a plain sweep (with Hydra's default sweeper) rather than a search or a study.

    Args:
        hydra: Hydra's own config.
    """
    return str(hydra.sweeper._target_).endswith(PLAIN)


def is_job_of_sweep() -> bool:
    """Return whether this process executes a job of a sweep, a search or a study."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


class SweepAdvice(Callback):
    """After a plain sweep, prints the command that compares its runs in a table."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the command that compares the runs, after the last job of a plain sweep."""
        if is_plain_sweep(config.hydra):
            directory = short(Path(config.hydra.sweep.dir))
            print(f"The runs of the sweep are in {directory}. Compare them: {recsys_command('table', directory)}")
