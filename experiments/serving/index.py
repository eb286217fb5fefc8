"""What an index of a large catalogue costs and finds: `python experiments/serving/index.py --films 250000`.

Films and ratings are made up (`made_up` of experiments/scale/catalogue.py), iALS learns their vectors. Recall is the
share of the exact ten best films of 200 users that the index finds; seconds are of one user's scores and ten best, on
one thread, exactly and by the index.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import top_k
from recsys.models.ials import IALS
from recsys.web.index import FilmIndex, IndexSettings

sys.path.append(str(Path(__file__).parents[1] / "scale"))
from catalogue import made_up

EXPANSIONS = (64, 128, 256, 512)


def milliseconds(dataset: Dataset, score: Callable[..., np.ndarray], n: int = 100) -> float:
    """The median of what one user's ten best films take."""
    taken = []
    for user in np.random.default_rng(1).choice(dataset.n_users, (n, 1)):
        history = dataset.history(user)
        started = time.perf_counter()
        top_k(score(user, history), user, 10)
        taken.append(1000 * (time.perf_counter() - started))
    return float(np.median(taken))


def main() -> None:
    """Fit, index, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=250_000)
    parser.add_argument("--dim", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = made_up(arguments.films)
    model = IALS(arguments.dim, n_sweeps=4).fit(dataset)
    table = Table("expansion", "seconds to build", "recall of ten best", "ms by the index", "ms exactly")
    for column in table.columns:
        column.justify = "right"
    exactly = milliseconds(dataset, model.score)
    for expansion in EXPANSIONS:
        started = time.perf_counter()
        index = FilmIndex(model, IndexSettings(expansion=expansion))
        built = time.perf_counter() - started
        by_index = milliseconds(dataset, lambda users, history, index=index: index.scores(users, history, 100))
        row = (f"{built:.0f}", f"{index.recall(dataset):.1%}", f"{by_index:.1f}", f"{exactly:.1f}")
        table.add_row(str(expansion), *row)
    Console().print(table)


if __name__ == "__main__":
    main()
