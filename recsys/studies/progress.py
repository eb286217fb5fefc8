"""How far a study is: runs done, running and left, and about how long these will take."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from recsys.studies.runs import is_finished, read_failure, read_run

EVERY = 2.0  # seconds between looks at the directories

log = logging.getLogger(__name__)


class Progress:
    """Says so whenever a run ends, whichever process it is made in, by what stands in its directory.

    Args:
        name: of the study.
        n_done: runs that were there before.
        left: of which row each run is that has to be made, by directory.
    """

    def __init__(self, name: str, n_done: int, left: Mapping[Path, str]) -> None:
        self.name = name
        self.n_done = n_done
        self.took: dict[str, list[float]] = {}  # seconds of each run of a row
        self.left = dict(left)
        self.worked = 0.0  # seconds of all processes together
        self.started = time.time()

    @contextmanager
    def watching(self, directories: Sequence[Path]) -> Iterator[None]:
        """Look at some directories for as long as their runs are made."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(EVERY):
                self.look(directories)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            self.look(directories)

    def look(self, directories: Sequence[Path]) -> None:
        """Tell of runs that ended since the last look."""
        ended = [directory for directory in directories if directory in self.left and _ended(directory)]
        for directory in ended:
            row = self.left.pop(directory)
            self.n_done += 1
            if is_finished(directory):
                seconds = sum(read_run(directory).manifest["seconds"].values())
                self.took.setdefault(row, []).append(seconds)
                self.worked += seconds
        if ended:
            running = sum((directory / "config.yaml").is_file() for directory in directories if directory in self.left)
            log.info("%s", self.sentence(running))

    def sentence(self, n_running: int) -> str:
        """`ncf_revisited: 12 of 90 runs done, 1 running, 77 left, about 0:34:00`."""
        told = f"{self.name}: {self.n_done} of {self.n_done + len(self.left)} runs done, {n_running} running"
        told += f", {len(self.left) - n_running} left"
        return f"{told}, about {timedelta(seconds=round(self.remaining()))}" if self.left and self.took else told

    def remaining(self) -> float:
        """Seconds: what runs of a row take, in the mean, over how many are made at a time."""
        means = {row: sum(took) / len(took) for row, took in self.took.items()}
        usual = sum(means.values()) / len(means)
        at_a_time = max(self.worked / (time.time() - self.started), 1.0)
        return sum(means.get(row, usual) for row in self.left.values()) / at_a_time


def _ended(directory: Path) -> bool:
    return is_finished(directory) or read_failure(directory) is not None
