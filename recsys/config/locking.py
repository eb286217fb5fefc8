"""Locks of output directories: a run, sweep, search or study that is at work is not started again beside itself."""

from __future__ import annotations

import contextlib
import errno
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from recsys.config.sentences import one_sentence
from recsys.errors import UserError

LOCK = ".lock"
UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # by some network file systems

_held: list[IO[bytes]] = []  # closing a file gives up its lock, as the end of a process does, however it ends


class OutputLock(Callback):
    """Locks the output directory of a command before Hydra writes to it, and those of a sweep's jobs."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Lock the directory of a run."""
        _hold(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Lock the directory of a sweep, search or study."""
        _hold(Path(config.hydra.sweep.dir))

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Lock the directory of a sweep's job, in the process that runs it."""
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            _hold(Path(config.hydra.runtime.output_dir))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Release the lock of a sweep's job."""
        if HydraConfig.get().mode is RunMode.MULTIRUN and _writes():
            _held.pop().close()


@contextlib.contextmanager
def giving_up_locks() -> Iterator[None]:
    """Give up all locks at the end of a command."""
    try:
        yield
    finally:
        while _held:
            _held.pop().close()


def _hold(directory: Path) -> None:
    """Lock a directory until the command ends; of several processes of one run, the one that writes locks it.

    Hydra ignores exceptions in callbacks, but not the exit of the process.
    """
    if not _writes():
        return
    with one_sentence():
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / LOCK).open("wb")
        _held.append(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{directory} is in use by another process: wait for its end, or choose another directory with "
                "hydra.run.dir=DIR (of a sweep hydra.sweep.dir=DIR)."
            ) from error
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise


def _writes() -> bool:
    """Return whether this is the process of a run that writes to its directory."""
    from recsys.studies.process import reports  # imports NumPy

    return reports()
