"""Locks on output directories, so that no two commands work on the same run, sweep, search or study at once."""

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
UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # errors of network file systems without locks

_held: list[IO[bytes]] = []  # closing a file releases its lock; so does the end of the process


class OutputLock(Callback):
    """Hydra callback that locks the output directories of commands and of jobs before Hydra writes to them."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Lock the directory of a run."""
        _hold(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Lock the directory of a sweep, search or study."""
        _hold(Path(config.hydra.sweep.dir))

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """If the job belongs to a sweep, lock the job's directory, in the process that executes the job."""
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            _hold(Path(config.hydra.runtime.output_dir))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """If the job belongs to a sweep, release the lock on the job's directory."""
        if HydraConfig.get().mode is RunMode.MULTIRUN and _writes():
            _held.pop().close()


@contextlib.contextmanager
def giving_up_locks() -> Iterator[None]:
    """At the end of the `with` block, release all locks that this process holds."""
    try:
        yield
    finally:
        while _held:
            _held.pop().close()


def _hold(directory: Path) -> None:
    """Create a directory, and lock it.

    If a run has several processes, only the one that writes takes the lock. If another command has locked the
    directory, this process exits with status 2 instead of raising an error, since Hydra ignores exceptions in
    callbacks. On file systems without locks, nothing is locked.
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
                f"{directory} is in use by another process: wait until that process ends, or choose another directory "
                "with hydra.run.dir=DIR (for a sweep, hydra.sweep.dir=DIR)."
            ) from error
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise


def _writes() -> bool:
    """Return whether this process writes to the run's directory; of several processes, only the first does."""
    from recsys.studies.process import reports  # imports NumPy

    return reports()
