"""Cost of evaluation: the time of ranking and metrics relative to torch.topk alone, for given scores.

    python experiments/speed/evaluation.py

A random data set of the size of MovieLens-1M (6,040 users, 3,706 films, a million ratings) with one held-out film per
user and random scores. One thread; the best of five runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.data.splitters import LeaveOneOut
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.protocols import SampledNegatives
from recsys.metrics.accuracy import KS, ranking_metrics
from recsys.metrics.ranking import top_k
from recsys.models.base import FitContext, Recommender

N_USERS, N_ITEMS, N_RATINGS, N_GENRES, N_RUNS = 6_040, 3_706, 1_000_209, 18, 5


class GivenScores(Recommender):
    """A model that returns given scores."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores  # (n_users, n_items)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Do nothing."""

    def _score(self, query: Query) -> np.ndarray:
        """Return a view, since the evaluation requests users in order."""
        return self.scores[query.users[0] : query.users[-1] + 1]


def random_data(rng: np.random.Generator) -> Dataset:
    """Return distinct random ratings, with the attributes that slices and diversity use."""
    pairs = rng.choice(N_USERS * N_ITEMS, N_RATINGS, replace=False)
    data = Dataset.from_arrays(pairs // N_ITEMS, pairs % N_ITEMS, n_users=N_USERS, n_items=N_ITEMS)
    ages, genders = rng.integers(10, 70, N_USERS), rng.choice(["F", "M"], N_USERS)
    genres = [[f"genre {g}" for g in rng.choice(N_GENRES, 2, replace=False)] for _ in range(N_ITEMS)]
    return replace(
        data,
        user_frame=data.user_frame.assign(age=ages, gender=genders),
        item_frame=data.item_frame.assign(year=rng.integers(1930, 2000, N_ITEMS), genres=genres),
    )


def best_seconds(run: Callable[[], object]) -> float:
    """Return the minimum seconds of several runs."""
    seconds = []
    for _ in range(N_RUNS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Measure all functions and print the table."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    holdout = LeaveOneOut()(random_data(rng)).test
    users, scores = holdout.users, rng.standard_normal((N_USERS, N_ITEMS), dtype=np.float32)
    model, tensor, largest = GivenScores(scores), torch.from_numpy(scores), max(KS)
    runs = {
        "torch.topk, k=10": lambda: torch.topk(tensor, 10),
        "top_k, k=10": lambda: top_k(scores, users, 10),
        "ranking_metrics, k=10": lambda: ranking_metrics(scores, holdout, ks=(10,)),
        f"torch.topk, k={largest}": lambda: torch.topk(tensor, largest),
        f"top_k, k={largest}": lambda: top_k(scores, users, largest),
        f"ranking_metrics, k={KS}": lambda: ranking_metrics(scores, holdout),
        "evaluate, all metrics and slices": lambda: evaluate(model, holdout),
        "evaluate, sampled99": lambda: evaluate(model, holdout, SampledNegatives()),
    }
    table = Table(title=f"{N_USERS:,} users x {N_ITEMS:,} films, {torch.get_num_threads()} thread")
    for column in ("", "milliseconds", "times topk", "users a second"):
        table.add_column(column, justify="right" if column else "left")
    for name, run in runs.items():
        seconds = best_seconds(run)
        if name.startswith("torch"):
            topk = seconds
        table.add_row(name, f"{seconds * 1000:.0f}", f"{seconds / topk:.2f}", f"{N_USERS / seconds:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
