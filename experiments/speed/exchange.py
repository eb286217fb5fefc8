"""Exchange of jobs and results between peers.py and the scripts that it starts, as files of one folder.

peers.py writes `job.json` (task and settings) and `data.npz` (ratings as codes); the script writes `result.json` and
its scores, `scores-0.npy` and so on. A script runs in its peer's environment, so this module needs only NumPy.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

STATUS = Path("/proc/self/status")


class Job:
    """One task of a script: its settings and data, and a timer for its training.

    Attributes:
        task: name of the task.
        settings: settings of the model, in the terms of the script's library.
        seed: random seed.
        data: arrays by name: `train.users` and `train.items`, int64 (n,), and `train.ratings`, float32 (n,); the same
            for `valid` and `test`; `n_users` and `n_items`; for evaluation tasks, `scores`, float32 (n_users, n_items).
        metrics: test metrics by name, if the task is an evaluation.
    """

    def __init__(self, folder: Path) -> None:
        described = json.loads((folder / "job.json").read_text())
        self.folder = folder
        self.task: str = described["task"]
        self.settings: dict[str, Any] = described["settings"]
        self.seed: int = described["seed"]
        with np.load(folder / "data.npz", allow_pickle=False) as arrays:
            self.data: dict[str, np.ndarray] = dict(arrays)
        self.n_users, self.n_items = int(self.data["n_users"]), int(self.data["n_items"])
        self.seconds = 0.0
        self.recorded_at: list[float] = []  # seconds
        self.metrics: dict[str, float] = {}

    def part(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return users, items and ratings, each (n,), of `train`, `valid` or `test`."""
        return self.data[f"{name}.users"], self.data[f"{name}.items"], self.data[f"{name}.ratings"]

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure CPU seconds; imports, reading and conversion to a library's data structures belong outside."""
        self.mb_before = peak_mb()
        self._started = time.process_time()
        yield
        self.seconds += time.process_time() - self._started
        self.mb = peak_mb()

    def record_scores(self, scores: Callable[[], np.ndarray]) -> None:
        """Store the model's current scores while the timer is paused; must be called within `timed`.

        Args:
            scores: returns float32 (n_users, n_items), or the predictions of the test ratings (n,).
        """
        stopped = time.process_time()
        self.recorded_at.append(self.seconds + stopped - self._started)
        np.save(self.folder / f"scores-{len(self.recorded_at) - 1}.npy", np.asarray(scores(), np.float32))
        self._started += time.process_time() - stopped

    def finish(self) -> None:
        """Write the measurements."""
        result = {"seconds": self.seconds, "mb": self.mb, "mb_before": self.mb_before}
        result |= {"recorded_at": self.recorded_at, "metrics": self.metrics}
        (self.folder / "result.json").write_text(json.dumps(result))


def peak_mb() -> float:
    """Return the peak memory of this process in MiB; on Linux, ru_maxrss would include that of its parent."""
    if STATUS.is_file():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields["VmHWM"].removesuffix("kB")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes, on macOS


def run(tasks: dict[str, Callable[[Job], None]]) -> None:
    """Run the task whose folder is named on the command line."""
    job = Job(Path(sys.argv[1]))
    tasks[job.task](job)
    job.finish()
