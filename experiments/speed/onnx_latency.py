"""Latency of exported models on one thread: onnxruntime beside the model itself, for one user and for 64.

    python experiments/speed/onnx_latency.py RUN [RUN ...]

The users are drawn from the data of each run, with their whole histories. Milliseconds for a batch, the median of a
hundred batches or ten; and the largest difference between the scores of both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from recsys.commands.run_data import model_and_data
from recsys.data.query import Query
from recsys.export.exported import load_export
from recsys.export.folder import export
from recsys.export.layout import FILES, OUTPUTS
from recsys.models.base import Recommender

BATCHES = {1: 100, 64: 10}  # users in a batch, and number of batches


def milliseconds(score: Callable[[Query], np.ndarray], queries: list[Query]) -> float:
    """Return the median time of a batch."""
    score(queries[0])
    times = []
    for query in queries:
        start = time.perf_counter()
        score(query)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def one_thread(file: Path) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Open an ONNX file on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run([OUTPUTS[0]], inputs)[0]


def measure(run: Path) -> Iterator[tuple[str, ...]]:
    """Export a run, and yield the cells of a row for each size of batches."""
    model, data = model_and_data(run, trusted=False)
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
        folder = Path(scratch) / "export"
        export(cast(Recommender, model), data, folder)
        exported, compute = load_export(folder), one_thread(folder / FILES["onnx"])

        def score(query: Query) -> np.ndarray:
            return compute(exported.inputs_of(query))

        for size, n_batches in BATCHES.items():
            rng = np.random.default_rng(0)
            queries = [data.query(rng.integers(0, data.n_users, size)) for _ in range(n_batches)]
            difference = max(np.abs(score(query) - model.score(query)).max() for query in queries[:10])
            times = [milliseconds(scorer, queries) for scorer in (model.score, score)]
            cells = (f"{number:.2f}" for number in times)
            yield type(model).__name__, f"{data.n_items:,}", str(size), *cells, f"{difference:.0e}"


def main() -> None:
    """Export each run, measure it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(title="Milliseconds of a batch on one thread")
    for column in ("", "films", "users", "eager", "onnxruntime", "largest difference"):
        table.add_column(column, justify="right" if column else "left")
    for run in arguments.runs:
        for cells in measure(run):
            table.add_row(*cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
