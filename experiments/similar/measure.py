"""Recall of related films among the ten most similar, by measure: `python experiments/similar/measure.py data=ml-100k`.

Arguments are those of train.py that choose data and metadata. `related.py` says which films are related; a row's recall
is the mean, over the films that have some, of the share of them, at most ten, that is among the ten most similar films.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
from related import related_films
from rich.console import Console
from rich.table import Table

from recsys.config import compose
from recsys.config.splits import prepared_data
from recsys.data.dataset import Dataset
from recsys.models.ease import EASE
from recsys.models.ials import IALS
from recsys.models.similar import SimilarItems
from recsys.models.support import cosines

K = 10
L2 = (200.0, 500.0, 10_000.0)  # of EASE: the last is that of the page
WITHOUT_NAMES = ("genres", "keywords", "tags", "plot")  # neither titles nor people, by which films are related

Measure = Callable[[int], np.ndarray]  # from a film to its similarities to all films


def measures(dataset: Dataset) -> Iterator[tuple[str, Measure]]:
    """Generate the measures with their names."""
    for l2 in L2:
        weights = EASE(l2=l2).fit(dataset).item_weights
        yield f"EASE's weights, l2={l2:g}", weights.__getitem__
    ials = IALS(unobserved_weight=0.3, n_sweeps=8).fit(dataset)
    yield "cosine of iALS vectors", lambda item: cosines(ials, np.array([item]))[0]
    ours = SimilarItems(dataset)
    yield "correlation of ratings", ours.correlations
    yield "cosine of documents", ours.cosines_of_documents
    yield "both, documents without titles and people", SimilarItems(dataset, WITHOUT_NAMES).similarities
    yield "both: recsys.models.similar", ours.similarities


def recall(related: dict[int, set[int]], measure: Measure) -> float:
    """Return the recall at `K`, mean over the films that have related ones.

    Args:
        related: related films by film, as codes.
        measure: function that returns the similarities of a film to all films, (n_items,).
    """
    shares = []
    for item, others in related.items():
        values = np.array(measure(item), np.float64)
        values[item] = -np.inf
        nearest = np.argsort(-values, kind="stable")[:K]
        shares.append(len(others.intersection(nearest.tolist())) / min(K, len(others)))
    return float(np.mean(shares))


def main() -> None:
    """Print a row for each measure."""
    dataset = prepared_data(compose("train", sys.argv[1:])).dataset
    rules = {name: films for name, films in related_films(dataset.item_frame, dataset.item_counts).items() if films}
    anything: dict[int, set[int]] = {}
    for films in rules.values():
        for item, others in films.items():
            anything.setdefault(item, set()).update(others)
    rules["any"] = anything
    headers = [
        f"{name}: {len(films)} films, {sum(map(len, films.values())) // 2} pairs" for name, films in rules.items()
    ]
    table = Table("measure", *headers, title=f"Recall@{K} of related films of {dataset.name}")
    for name, measure in measures(dataset):
        table.add_row(name, *(f"{recall(films, measure):.3f}" for films in rules.values()))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
