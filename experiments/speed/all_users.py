"""Lists for all users of a large catalogue: `recommend --all`, and implicit's recommend on the same vectors.

    python experiments/speed/all_users.py [--share 20] [--threads 1]

200,948 users and 84,432 films, as many as MovieLens-32M has, with random vectors of MF (64 factors and biases) and 100
random ratings per user; the 50 best unrated films of each user, or of one in `--share`. `recommend --all` also writes
them to Parquet; implicit returns arrays of a thousand users at a time. Each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from recsys.analysis.recommend_to_all import ListMaker, Shard, scores_of, write_lists
from recsys.data.dataset import Dataset
from recsys.models.mf import MF

N_USERS, N_FILMS, RATINGS_PER_USER, K, USERS_PER_CALL = 200_948, 84_432, 100, 50, 1000


def random_data() -> Dataset:
    """Return ratings of which a few popular films have most."""
    rng = np.random.default_rng(0)
    films = (N_FILMS * rng.random(N_USERS * RATINGS_PER_USER) ** 3).astype(np.int64)
    pairs = np.unique(np.repeat(np.arange(N_USERS), RATINGS_PER_USER) * N_FILMS + films)
    return Dataset.from_arrays(pairs // N_FILMS, pairs % N_FILMS, n_users=N_USERS, n_items=N_FILMS)


def random_model() -> MF:
    """Return an untrained MF."""
    torch.manual_seed(0)
    model = MF(embedding_dim=64, init_std=0.1)
    model.module = model.build(N_USERS, N_FILMS).eval()
    return model


def by_command(model: MF, data: Dataset, share: Shard, n_threads: int) -> int:
    """Write the lists as `recommend --all` does, and return the number of users."""
    with tempfile.TemporaryDirectory() as folder:
        return write_lists(ListMaker(data, K, scores_of(model)), Path(folder), share, {})


def by_implicit(model: MF, data: Dataset, share: Shard, n_threads: int) -> int:
    """Compute the lists with implicit, and return the number of users."""
    from implicit.cpu.als import AlternatingLeastSquares

    item_vectors = model.item_vectors()
    library = AlternatingLeastSquares(factors=item_vectors.shape[1], num_threads=n_threads)
    library.user_factors = model.user_vectors(data.query(np.arange(N_USERS)))
    library.item_factors = item_vectors
    n_users, rated = 0, data.matrix()
    for _, users in share.parts(N_USERS):
        for batch in np.array_split(users, range(USERS_PER_CALL, len(users), USERS_PER_CALL)):
            library.recommend(batch, rated[batch], N=K)
        n_users += len(users)
    return n_users


WAYS: dict[str, Callable[[MF, Dataset, Shard, int], int]] = {
    "recommend --all, written": by_command,
    "implicit, not written": by_implicit,
}


def measure(way: str, share: int, n_threads: int) -> dict[str, float]:
    """Time one way in this process."""
    torch.set_num_threads(n_threads)
    model, data = random_model(), random_data()
    blas = n_threads if WAYS[way] is by_command else 1  # implicit's own threads compute products
    with threadpool_limits(blas):
        wall, cpu = time.perf_counter(), time.process_time()
        n_users = WAYS[way](model, data, Shard(1, share), n_threads)
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"users": n_users, "seconds": seconds, "cpu": cpu_seconds, "peak_gb": peak}


def main() -> None:
    """Measure both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=int, default=20, help="one in so many users; 1 for all of them")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # for the child process
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, arguments.share, arguments.threads)))
        return
    table = Table(title=f"{N_FILMS:,} films, k = {K}; threads: {arguments.threads}")
    for column in ("", "users", "seconds", "CPU seconds", "users a second of CPU", "peak GB"):
        table.add_column(column, justify="right" if column else "left")
    for way in WAYS:
        command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
        figures = json.loads(done.stdout.splitlines()[-1])
        rate = figures["users"] / figures["cpu"]
        cells = "{users:,.0f}|{seconds:.1f}|{cpu:.1f}|{rate:,.0f}|{peak_gb:.1f}".format(rate=rate, **figures)
        table.add_row(way, *cells.split("|"))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
