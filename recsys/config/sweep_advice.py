"""The message at the end of a sweep: where its runs are, and how to compare them in a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from recsys.counted import counted
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
    """After a plain sweep, prints where its runs are, how many jobs failed, and the command that compares its runs."""

    unfinished: ClassVar[Path | None] = None  # directory of the sweep that this process has begun

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the directory of a plain sweep, since `on_multirun_end` is not called if a job fails."""
        if is_plain_sweep(config.hydra):
            SweepAdvice.unfinished = Path(config.hydra.sweep.dir)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After the last job of a plain sweep, print where its runs are and how to compare them."""
        advise_on_sweep()


def advise_on_sweep() -> None:
    """Print where the runs of this process's sweep are and how to compare them.

    Nothing is printed if there is no plain sweep, or if the message was printed before.
    """
    directory, SweepAdvice.unfinished = SweepAdvice.unfinished, None
    if directory is None:
        return
    from recsys.studies.runs import FAILURE  # imports pandas, which commands without a sweep do not need

    n_failed = len([*directory.glob(f"*/{FAILURE}")])
    failed = f" ({counted(n_failed, 'job')} failed)" if n_failed else ""
    where = short(directory)
    print(f"The runs of the sweep are in {where}{failed}. Compare them: {recsys_command('table', where)}")
