"""A server for measurements: `python -m recsys serve` in another process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")  # a second


@contextmanager
def serving(
    run: Path, store: Path | str, *overrides: str, workers: int = 1
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server; yield its process and address as soon as it answers, and end it after the `with` statement.

    Args:
        run: the run to serve.
        store: SQLite file or address of the store of feedback.
        *overrides: overrides of configs/serve.yaml.
        workers: number of processes that answer requests.
    """
    command = [sys.executable, "-u", "-m", "recsys", "serve", str(run), "port=0", *overrides, "--store", str(store)]
    command += ["--workers", str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        for line in process.stdout or ():
            if found := re.search(r"Serving .* at (http://\S+)", line):
                yield process, found[1]
                return
        raise SystemExit(f"the server did not start: {' '.join(command)}")
    finally:
        process.terminate()
        process.wait(30)


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """Return the CPU time that a process and its children have used, in all their threads, in seconds; on Linux."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in (process.pid, *children))
    return sum(int(ticks) for stat in stats for ticks in stat[11:13]) / CLOCK_TICKS
