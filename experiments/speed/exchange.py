"""What peers.py and the scripts that it starts say to each other, in the files of one folder.

peers.py writes `job.json` (what to do, and how) and `data.npz` (ratings as codes); the script writes `result.json` and
what it scored, `scores-0.npy` and so on. A script runs in its peer's environment, so that only numpy is needed here.
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
    """One task of a script: its settings, its data, and the clock that its training runs on.

    Attributes:
        task: what to do.
        settings: how; the script knows what they mean.
        seed: of all that is random.
        data: arrays by name. `train.users`, `train.items` int64 and `train.ratings`, float32 (n,), the same of `valid`
            and `test`; `n_users` and `n_items`; for the task of evaluating, `scores` float32 (n_users, n_items).
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
        self.kept_at: list[float] = []  # seconds
        self.told: dict[str, float] = {}

    def part(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Users, films and stars of `train`, `valid` or `test`."""
        return self.data[f"{name}.users"], self.data[f"{name}.items"], self.data[f"{name}.ratings"]

    @contextmanager
    def on_the_clock(self) -> Iterator[None]:
        """What happens within counts, in CPU seconds; imports, reading and a library's own tables belong outside."""
        self.mb_before = peak_mb()
        self._started = time.process_time()
        yield
        self.seconds += time.process_time() - self._started
        self.mb = peak_mb()

    def keep(self, scores: Callable[[], np.ndarray]) -> None:
        """Keep what the model says now, while the clock stands still; to be called while it runs.

        Args:
            scores: gives float32 (n_users, n_items), or the predicted stars of the test ratings.
        """
        stopped = time.process_time()
        self.kept_at.append(self.seconds + stopped - self._started)
        np.save(self.folder / f"scores-{len(self.kept_at) - 1}.npy", np.asarray(scores(), np.float32))
        self._started += time.process_time() - stopped

    def finish(self) -> None:
        """Tell what was measured."""
        result = {"seconds": self.seconds, "mb": self.mb, "mb_before": self.mb_before}
        result |= {"kept_at": self.kept_at, "told": self.told}
        (self.folder / "result.json").write_text(json.dumps(result))


def peak_mb() -> float:
    """The most memory that this process has held; Linux counts its parent's in ru_maxrss, too."""
    if STATUS.is_file():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields["VmHWM"].removesuffix("kB")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes, on macOS


def run(tasks: dict[str, Callable[[Job], None]]) -> None:
    """Do the task of the folder in the command line."""
    job = Job(Path(sys.argv[1]))
    tasks[job.task](job)
    job.finish()
