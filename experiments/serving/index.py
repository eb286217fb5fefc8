"""Cost and recall of the index of a large catalogue: `python experiments/serving/index.py --films 250000`.

Films and ratings are synthetic (experiments/scale/catalogue.py). Their vectors are learned by iALS, or
drawn at random, which is the worst case for an index because there are no neighbourhoods. Recall is the share of the
exact ten best films of 200 users that the index finds. Times are those of one user's scores and ten best films on one
thread, exactly and by the index.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from recsys.data.dataset import Dataset
from recsys.data.query import Query
from recsys.metrics.ranking import top_k
from recsys.models.ials import IALS
from recsys.web.index import FilmIndex, IndexSettings

sys.path.append(str(Path(__file__).parents[1] / "scale"))
from catalogue import synthetic_dataset

EXPANSIONS = (64, 256)


def milliseconds(dataset: Dataset, score: Callable[[Query], np.ndarray], n: int = 100) -> float:
    """Return the median milliseconds to find the ten best films of one of n random users.

    Args:
        dataset: the data set.
        score: function that returns the scores of all films for a query, (1, n_items).
        n: number of users, drawn with replacement.
    """
    times = []
    for user in np.random.default_rng(1).choice(dataset.n_users, (n, 1)):
        query = dataset.query(user)
        started = time.perf_counter()
        top_k(score(query), user, 10)
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


def main() -> None:
    """Fit the models, build and measure the indexes, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=250_000)
    parser.add_argument("--dim", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = synthetic_dataset(arguments.films)
    learned = IALS(arguments.dim, n_sweeps=4).fit(dataset)
    drawn = IALS(arguments.dim)
    drawn.item_factors = np.random.default_rng(2).normal(size=learned.item_factors.shape).astype(np.float32)
    table = Table("vectors", "expansion", "seconds to build", "recall of ten best", "ms by the index", "ms exactly")
    for column in table.columns[1:]:
        column.justify = "right"
    for (name, model), expansion in product({"learned": learned, "random": drawn}.items(), EXPANSIONS):
        started = time.perf_counter()
        index = FilmIndex(model, IndexSettings(expansion=expansion))
        built = time.perf_counter() - started
        by_index = milliseconds(dataset, lambda query, index=index: index.scores(query, 100))
        exactly = milliseconds(dataset, model.score)
        row = (str(expansion), f"{built:.0f}", f"{index.recall(dataset):.1%}", f"{by_index:.1f}", f"{exactly:.1f}")
        table.add_row(name, *row)
    Console().print(table)


if __name__ == "__main__":
    main()
