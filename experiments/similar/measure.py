"""Recall of related films among the ten most similar, by measure: `python experiments/similar/measure.py data=ml-100k`.

Arguments are those of train.py that choose data and metadata. `related.py` says which films are related; a row's recall
is the mean, over the films that have some, of the share of them, at most ten, that is among the ten most similar films.
Intervals of differences resample groups of films that are related to each other, directly or through other films.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from related import related_films
from rich.console import Console
from rich.table import Table
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from recsys.config import compose
from recsys.config.splits import prepared_data
from recsys.data.dataset import Dataset
from recsys.evaluation.intervals import Interval, bootstrap_ratio
from recsys.models.ease import EASE
from recsys.models.ials import IALS
from recsys.models.similar import SimilarItems
from recsys.models.support import cosines

K = 10
L2 = (200.0, 500.0, 10_000.0)  # of EASE: the last is that of the page
WITHOUT_NAMES = ("genres", "keywords", "tags", "plot")  # neither titles nor people, by which films are related

EASE_NAMES = [f"EASE's weights, l2={l2:g}" for l2 in L2]
OURS = "both: recsys.models.similar"
NAMELESS = "both, documents without titles and people"
IALS_NAME, RATINGS, DOCUMENTS = "cosine of iALS vectors", "correlation of ratings", "cosine of documents"
PAIRS = (  # of measures whose recalls are compared
    (OURS, EASE_NAMES[2]),
    (OURS, EASE_NAMES[1]),
    (OURS, EASE_NAMES[0]),
    (OURS, DOCUMENTS),
    (NAMELESS, EASE_NAMES[0]),
    (EASE_NAMES[1], IALS_NAME),
    (EASE_NAMES[1], RATINGS),
)

Measure = Callable[[int], np.ndarray]  # from a film to its similarities to all films


def measures(dataset: Dataset) -> Iterator[tuple[str, Measure]]:
    """Generate the measures with their names."""
    for name, l2 in zip(EASE_NAMES, L2, strict=True):
        yield name, EASE(l2=l2).fit(dataset).item_weights.__getitem__
    ials = IALS(unobserved_weight=0.3, n_sweeps=8).fit(dataset)
    yield IALS_NAME, lambda item: cosines(ials, np.array([item]))[0]
    ours = SimilarItems(dataset)
    yield RATINGS, ours.correlations
    yield DOCUMENTS, ours.cosines_of_documents
    yield NAMELESS, SimilarItems(dataset, WITHOUT_NAMES).similarities
    yield OURS, ours.similarities


def recalls(related: Mapping[int, set[int]], measure: Measure) -> np.ndarray:
    """Return the recall at `K` of each film that has related ones, float64 (n,).

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
    return np.array(shares)


def groups(related: Mapping[int, set[int]], n_items: int) -> np.ndarray:
    """Return the group of each film that has related ones, int (n,), numbered from 0."""
    pairs = np.array([(item, other) for item, others in related.items() for other in others])
    graph = coo_matrix((np.ones(len(pairs), bool), tuple(pairs.T)), (n_items, n_items))
    labels = connected_components(graph, directed=False)[1]
    return np.unique(labels[list(related)], return_inverse=True)[1]


def difference(one: np.ndarray, other: np.ndarray, group: np.ndarray) -> Interval:
    """Return the difference of two mean recalls, with the interval of a bootstrap over groups of films."""
    return bootstrap_ratio(np.bincount(group, one - other), np.bincount(group))


def print_differences(found: Mapping[str, Sequence[np.ndarray]], rules: Mapping[str, dict], n_items: int) -> None:
    """Print the differences of recall of `PAIRS`.

    Args:
        found: recalls of the films of each rule, by measure.
        rules: related films by film, by the name of the rule.
        n_items: number of all films.
    """
    by_rule = [groups(films, n_items) for films in rules.values()]
    headers = [f"{name}: {group.max() + 1} groups" for name, group in zip(rules, by_rule, strict=True)]
    table = Table("difference of recall", *headers)
    for one, other in PAIRS:
        cells = map(difference, found[one], found[other], by_rule)
        table.add_row(f"{one} - {other}", *(f"{own.mean:.3f} [{own.low:.3f}, {own.high:.3f}]" for own in cells))
    Console(width=180).print(table)


def main() -> None:
    """Print a row for each measure, and differences between measures."""
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
    found = {name: [recalls(films, measure) for films in rules.values()] for name, measure in measures(dataset)}
    for name, own in found.items():
        table.add_row(name, *(f"{shares.mean():.3f}" for shares in own))
    Console(width=140).print(table)
    print_differences(found, rules, dataset.n_items)


if __name__ == "__main__":
    main()
