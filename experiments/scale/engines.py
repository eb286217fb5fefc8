"""Seconds and peak memory of preparing the same ratings by DuckDB and by Spark, to equal tables.

    python experiments/scale/engines.py [--ratings 32000204] [--master local[2]] [--driver-memory 4g]

The table has the shape of MovieLens-32M (`synthetic.py`). Each engine runs in a process of its own with an empty cache,
and memory and CPU seconds are of this process and of Java's together, sampled twice a second. Needs `pip install
'recsys[spark]'`, Java 17 and Linux.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from synthetic import RATING_COLUMNS, write_films, write_ratings

from recsys.data.engines import DuckDB, Engine
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.data.sources import Files
from recsys.data.spark import Spark

_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass
class Costs:
    """Costs of a preparation.

    Attributes:
        seconds: wall-clock time.
        cpu_seconds: of this process and of those that it started.
        peak: memory of these processes together in GiB, at the fullest sample.
        buckets: number of files of ratings.
    """

    seconds: float
    cpu_seconds: float
    peak: float
    buckets: int


class Monitor(threading.Thread):
    """Samples the memory and CPU time of this process and of those that it started, until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = self.cpu_seconds = 0.0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Sample twice a second."""
        while not self.stopped.wait(0.5):
            states = _states()
            family = [state for process, state in states.items() if _is_of(process, os.getpid(), states)]
            self.peak = max(self.peak, sum(state.n_pages for state in family) * _PAGE / 2**30)
            self.cpu_seconds = max(self.cpu_seconds, sum(state.ticks for state in family) / _TICKS)


class State(NamedTuple):
    """State of a process: which one started it, its CPU time, and its memory."""

    parent: int
    ticks: int
    n_pages: int


def _states() -> dict[int, State]:
    """Return the states of all processes, by the fields of /proc/PID/stat behind the name of the program."""
    states = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        states[int(file.parent.name)] = State(int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[21]))
    return states


def _is_of(process: int, ancestor: int, states: Mapping[int, State]) -> bool:
    while process != ancestor and process in states:
        process = states[process].parent
    return process == ancestor


def measure(folder: Path, name: str, engine: Engine) -> Costs:
    """Prepare the tables of a folder in this process, with a cache named after the engine, and return the costs."""
    monitor = Monitor()
    monitor.start()
    started = time.perf_counter()
    prepared = _prepared(folder, name, engine)
    seconds = time.perf_counter() - started
    monitor.stopped.set()
    monitor.join()
    place = prepared.tables["ratings"]
    return Costs(seconds, monitor.cpu_seconds, monitor.peak, len([*place.iterdir()]) if place.is_dir() else 1)


def _prepared(folder: Path, name: str, engine: Engine) -> Prepared:
    source = Files(str(folder / "ratings.csv"), RATING_COLUMNS, films_path=str(folder / "films.csv"))
    return prepare(source, folder / name, engine=engine)


def check_equal(folder: Path, names: list[str]) -> None:
    """Check that the tables that the engines prepared are equal."""
    one, other = (_prepared(folder, name, DuckDB()) for name in names)
    assert asdict(one.report) == asdict(other.report)  # noqa: S101
    for column in ("users", "items", "ratings", "times"):
        np.testing.assert_array_equal(getattr(one.dataset, column), getattr(other.dataset, column))


def main() -> None:
    """Measure both engines, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=32_000_204)
    parser.add_argument("--master", default="local[2]", help="of Spark")
    parser.add_argument("--driver-memory", default="4g", help="of Spark's process on this machine")
    parser.add_argument("--directory", type=Path, help="default: the directory of temporary files")
    arguments = parser.parse_args()
    options = {"spark.driver.memory": arguments.driver_memory, "spark.ui.enabled": "false"}
    engines = {"DuckDB": DuckDB(), f"Spark, {arguments.master}": Spark(arguments.master, options=options)}
    table = Table(box=box.MARKDOWN)
    for heading in (f"{arguments.ratings:,} ratings", "seconds", "CPU seconds", "peak memory", "files of ratings"):
        table.add_column(heading, justify="right" if table.columns else "left")
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        folder = Path(name)
        write_ratings(folder / "ratings.csv", arguments.ratings)
        write_films(folder / "films.csv")
        for label, engine in engines.items():
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                costs = pool.submit(measure, folder, label, engine).result()
            cells = f"{costs.seconds:.0f}", f"{costs.cpu_seconds:.0f}", f"{costs.peak:.2f} GiB", f"{costs.buckets}"
            table.add_row(label, *cells)
            print(label, *cells, flush=True)
        check_equal(folder, [*engines])
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
