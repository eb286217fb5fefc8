"""Progress of a study: the numbers of finished and running runs, and the time that the remaining runs will take."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from recsys.progress import repeated
from recsys.studies.runs import is_finished, read_failure

POLL_SECONDS = 2.0
LINE = "{desc}: {n_fmt} of {total_fmt} runs done{postfix}, {elapsed} elapsed, {remaining} remaining"

log = logging.getLogger(__name__)


class Progress:
    """Logs a line whenever a run of a study ends, whichever process or machine executes it.

    A launcher returns only when all of its runs have ended, so the run directories are polled. Lines are logged in
    place of a progress bar, because runs may write to the same terminal, or there may be no terminal.

    Args:
        name: name of the study.
        n_finished: number of the study's runs that had already finished.
        missing: directories of the runs that have to be executed.
    """

    def __init__(self, name: str, n_finished: int, missing: Collection[Path]) -> None:
        self.name = name
        self.n_finished = n_finished
        self.n_runs = n_finished + len(missing)
        self.missing = set(missing)
        self.started = time.monotonic()

    @contextmanager
    def polling(self, directories: Collection[Path]) -> Iterator[None]:
        """Poll run directories during the `with` block, in which the runs are executed."""
        try:
            with repeated(lambda: self.update(directories), POLL_SECONDS):
                yield
        finally:
            self.update(directories)

    def update(self, directories: Collection[Path]) -> None:
        """Log a line if a run in one of the given directories has ended since the last update."""
        ended = {directory for directory in directories if directory in self.missing and _has_ended(directory)}
        if ended:
            self.missing -= ended
            running = [path for path in directories if path in self.missing and (path / "config.yaml").is_file()]
            log.info("%s", self.line(len(running)))

    def line(self, n_running: int) -> str:
        """Return a line such as `ncf_revisited: 12 of 90 runs done, 1 running, 04:10 elapsed, 34:00 remaining`."""
        return tqdm.format_meter(
            self.n_runs - len(self.missing),
            self.n_runs,
            elapsed=time.monotonic() - self.started,
            initial=self.n_finished,
            prefix=self.name,
            postfix=f"{n_running} running",
            bar_format=LINE,
        )


def _has_ended(directory: Path) -> bool:
    return is_finished(directory) or read_failure(directory) is not None
