"""Pairs of films that are related by their metadata, whoever rated them: the ground truth of `measure.py`.

Two rules, each on films with at least ten ratings:

- series: the titles differ, but name one series. The name of a title is what precedes its first colon, without numbers
  and "Part" at its end: "Alien 3" and "Alien: Resurrection", "The Godfather" and "The Godfather: Part II".
- director: the films have a director and a genre in common.

The rules were committed before anything was measured by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd

MIN_RATINGS = 10
SHORTEST_NAME = 4  # characters of the name of a series
NUMBERS_AT_THE_END = re.compile(r"([\s,&-]+(\d{1,2}(-d)?|[ivx]+|part|two|three))+$")
ARTICLE = re.compile(r"^(the|a|an)\s+")


def series_name(title: str) -> str:
    """Return the name of the series to which a title may belong, in lower case: "Star Trek III: ..." -> "star trek"."""
    return NUMBERS_AT_THE_END.sub("", without_article(title).partition(":")[0].strip())


def without_article(title: str) -> str:
    """Return a title in lower case, without an article at its beginning."""
    return ARTICLE.sub("", title.lower())


def related_films(items: pd.DataFrame, n_ratings: np.ndarray) -> dict[str, dict[int, set[int]]]:
    """Return the related films of each film that has some, by rule; films are given by their rows in `items`.

    Args:
        items: a row for each film, as in `Dataset.item_frame`.
        n_ratings: int (n_items,) number of ratings of each film.
    """
    rated = items.reset_index(drop=True)[n_ratings >= MIN_RATINGS]
    return {"series": _of_series(rated), "director": _of_directors(rated)}


def _of_series(items: pd.DataFrame) -> dict[int, set[int]]:
    titles = items["title"].dropna().map(without_article)
    names = titles.map(series_name)
    groups = names[names.str.len() >= SHORTEST_NAME].groupby(names).groups.values()
    return _by_film(pair for group in groups for pair in combinations(group, 2) if titles[pair[0]] != titles[pair[1]])


def _of_directors(items: pd.DataFrame) -> dict[int, set[int]]:
    if "directors" not in items:
        return {}
    genres = items["genres"].map(set)
    groups = items["directors"].explode().dropna().reset_index().groupby("directors")["index"].unique()
    return _by_film(pair for group in groups for pair in combinations(group, 2) if genres[pair[0]] & genres[pair[1]])


def _by_film(pairs: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    related: dict[int, set[int]] = {}
    for one, other in pairs:
        related.setdefault(int(one), set()).add(int(other))
        related.setdefault(int(other), set()).add(int(one))
    return related
