"""Seconds and peak memory of preparing and loading a synthetic table in the shape of MovieLens-32M.

    python experiments/scale/prepare_32m.py [--ratings 32000204] [--format csv] [--directory DIR]

Films are rated by a power law, users by a log-normal one; ratings are half stars, a user's times follow one another.
Each stage runs in a process of its own, so that a peak is the stage's. The table and the cache take about 3 GB under
the directory and are removed at the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from recsys.data.prepare import prepare, print_report
from recsys.data.sources import Files

N_USERS, N_ITEMS = 200_948, 84_432


def write(file: Path, n_ratings: int) -> None:
    """Write a table of `n_ratings` distinct (user, film) pairs, sorted by user and film as the release is."""
    rng = np.random.default_rng(0)
    activity = rng.lognormal(0, 1.1, N_USERS)
    popularity = 1 / (np.arange(N_ITEMS) + 50) ** 1.1
    pairs = np.empty(0, np.int64)
    while len(pairs) < n_ratings:
        users, films = _draw(rng, activity, n_ratings), _draw(rng, popularity, n_ratings)
        pairs = np.unique(np.concatenate((pairs, users * N_ITEMS + films)))
    pairs = pairs[np.sort(rng.permutation(len(pairs))[:n_ratings])]
    users, films = np.divmod(pairs, N_ITEMS)
    started = rng.integers(820_000_000, 1_690_000_000, N_USERS)
    ratings = pd.DataFrame(
        {
            "userId": (users + 1).astype(np.int32),
            "movieId": (films + 1).astype(np.int32),
            "rating": (rng.integers(1, 11, n_ratings) / 2).astype(np.float32),
            "timestamp": started[users] + rng.integers(0, 5_000_000, n_ratings),
        }
    )
    duckdb.execute("SET enable_progress_bar = false")
    table = duckdb.from_df(ratings)
    {".csv": table.to_csv, ".parquet": table.to_parquet}[file.suffix](str(file))


def load(file: Path) -> None:
    """Prepare the table, or load it where it is prepared."""
    columns = {"user_id": "userId", "movie_id": "movieId", "rating": "rating", "time": "timestamp"}
    prepared = prepare(Files(str(file), columns), file.parent / "cache")
    dataset = prepared.dataset
    arrays = (dataset.users, dataset.items, dataset.ratings, dataset.times)
    print_report(prepared)
    print(f"the data set's arrays: {sum(array.nbytes for array in arrays if array is not None) / 2**30:.2f} GiB")


def _draw(rng: np.random.Generator, weights: np.ndarray, n: int) -> np.ndarray:
    """Positions (n,), drawn with replacement in proportion to weights."""
    return np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(n)).clip(max=len(weights) - 1)


def _measured(queue: multiprocessing.Queue, stage: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    start = time.perf_counter()
    stage(*arguments)
    seconds = time.perf_counter() - start
    queue.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))


def measure(name: str, stage: Callable[..., None], *arguments: Any) -> None:
    """Run a stage in a process of its own and print its seconds and peak memory."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(queue, stage, arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{name} failed")
    seconds, peak = queue.get()
    print(f"{name}: {seconds:.1f} s, peak {peak:.2f} GiB", flush=True)


def main() -> None:
    """Write, prepare, load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=32_000_204)
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--directory", type=Path, help="by default where temporary files go")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        file = Path(directory) / f"ratings.{arguments.format}"
        measure("write the table", write, file, arguments.ratings)
        print(f"{file.name}: {file.stat().st_size / 2**30:.2f} GiB")
        measure("imports alone", print)
        measure("first run: read, clean, cache, load", load, file)
        measure("second run: load", load, file)


if __name__ == "__main__":
    main()
