"""Cost of an epoch of the two-tower model as the catalogue grows: full softmax against sampled softmax.

    python experiments/scale/catalogue.py [--films 10000 30000 100000] [--negatives 1000 4000]

The films are synthetic; their words and ratings follow power laws, and each film has at least one rating, since films
without ratings take no part in training. The numbers of users and ratings are about the same for every catalogue. Each
cell runs in a process of its own; the second of two epochs is measured, without validation.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import resource
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from recsys.data.dataset import Dataset
from recsys.models.neural.sampling import Draw, Interactions, shared_candidates
from recsys.models.two_tower import TwoTower

N_USERS, FILMS_PER_USER = 4_000, 100
BATCH_SIZE = 64
N_WORDS, WORDS_PER_FILM = 5_000, 15
ENCODER = {"_target_": "recsys.data.text.TfidfEncoder", "n_components": 64}


def synthetic_dataset(n_films: int, seed: int = 0) -> Dataset:
    """Return ratings of a catalogue: a few popular films have most of them, and every film has at least one."""
    rng = np.random.default_rng(seed)
    users = rng.permutation(np.repeat(np.arange(N_USERS), FILMS_PER_USER))
    items = np.concatenate([np.arange(n_films), power_law(rng, n_films, len(users) - n_films)])
    pairs = pd.DataFrame({"user": users, "item": items}).drop_duplicates()
    dataset = Dataset.from_arrays(pairs["user"], pairs["item"], n_users=N_USERS, n_items=n_films)
    words = power_law(rng, N_WORDS, n_films * WORDS_PER_FILM).reshape(n_films, WORDS_PER_FILM)
    dataset.item_frame["plot"] = [" ".join(f"word{word}" for word in film) for film in words]
    dataset.item_frame["genres"] = [[f"genre{word % 18}"] for word in words[:, 0]]
    return dataset


def power_law(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Draw numbers i below n with probabilities proportional to 1 / (i + 10)."""
    weights = 1 / (np.arange(n) + 10.0)
    return rng.choice(n, size, p=weights / weights.sum())


def measure(n_films: int, n_negatives: int) -> dict[str, float]:
    """Train two epochs in this process; zero negatives mean the full softmax.

    Returns:
        `films` scored in a step, `seconds` of the second epoch, and the process's peak memory `peak_gb` in GiB.
    """
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    loss = {"loss": "sampled_softmax", "n_negatives": n_negatives} if n_negatives else {"loss": "softmax"}
    dataset = synthetic_dataset(n_films)
    model = TwoTower(ENCODER, batch_size=BATCH_SIZE, max_epochs=2, **loss).fit(dataset)
    return {
        "films": films_per_step(dataset, model, n_negatives) if n_negatives else n_films,
        "seconds": model.fit_report.epoch_seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def films_per_step(dataset: Dataset, model: TwoTower, n_negatives: int) -> float:
    """Return the mean number of films that a sampled step embeds and scores."""
    interactions = Interactions(dataset, torch.device("cpu"))
    objective = model.objective()
    objective.bind(interactions)
    counts, draw = interactions.item_counts, objective.draw
    batches = objective.epoch(interactions, Draw(BATCH_SIZE, seed=0))
    return float(np.mean([len(shared_candidates(b, counts, draw, N_USERS, n_negatives)[0]) for b in batches]))


def main() -> None:
    """Measure every cell in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--negatives", type=int, nargs="+", default=[1_000, 4_000])
    parser.add_argument("--row", type=int, nargs=2, help=argparse.SUPPRESS)  # for the child process
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(measure(*arguments.row)))
        return
    processor = platform.processor() or platform.machine()
    table = Table(title=f"Films scored per step: time of an epoch, peak memory; one thread of {processor}")
    for column in ("loss", *(f"{n_films:,} films" for n_films in arguments.films)):
        table.add_column(column, justify="left" if column == "loss" else "right")
    for n_negatives in (0, *arguments.negatives):
        cells = []
        for n_films in arguments.films:
            command = [sys.executable, __file__, "--row", str(n_films), str(n_negatives)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
            figures = json.loads(done.stdout.splitlines()[-1])
            cells.append("{films:,.0f}: {seconds:.1f} s, {peak_gb:.1f} GB".format(**figures))
        table.add_row(f"{n_negatives:,} sampled" if n_negatives else "softmax over all", *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
