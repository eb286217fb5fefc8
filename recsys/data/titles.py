"""Search for items by title, tolerant of differences in case, accents and articles, and of typing errors.

Titles are normalised as for the matching of metadata (`title_keys` in `sql/clean/macros.sql`): case, accents,
punctuation, spaces and articles are ignored, and an alternative title in brackets counts as a title too. The best match
is an equal title; if several titles differ only by the article, the one with the query's article is best. Next come
titles that contain the query, then titles by increasing edit distance. For suggestions while a title is being typed,
the query is also compared with the beginnings of titles.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import duckdb
import numpy as np
import pandas as pd
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from recsys.counted import counted
from recsys.data.clean import SQL
from recsys.data.dataset import Dataset
from recsys.errors import UserError

MATCH = 0.75  # lowest similarity at which a title can be a misspelling of the query
TOLERANCE = 0.05  # titles this close to the best match are ambiguous
RELATED = 0.6  # lowest similarity at which a title is suggested
SHOWN = 5
EQUAL, CONTAINED = 3.0, 2.0  # similarities of an equal title, and of one that contains the query
SHORTEST_PART = 3  # minimum length of a query that is searched for inside titles
N_NORMALIZED = 10_000  # number of queries whose normalised form is cached


@dataclass(frozen=True)
class TitleMatches:
    """All items with a title, from the most to the least similar to a query; among equals, the most rated comes first.

    Attributes:
        items: int64 (n,) item codes.
        similarity: float64 (n,) `EQUAL` if the title equals the query, `CONTAINED` if it contains the query, otherwise
            one minus the edit distance (optimal string alignment) divided by the length of the longer text. Values
            below `RELATED` are not exact.
        prefix_similarity: float64 (n,) one minus d / n, where n is the length of the query, and d the edit distance
            between the query and the first n characters of the title. Values below `RELATED` are not exact.
        same_year: bool (n,) False if the query names a year and the item has a different year or none.
    """

    items: np.ndarray
    similarity: np.ndarray
    prefix_similarity: np.ndarray
    same_year: np.ndarray


class TitleSearch:
    """Searches the titles of a data set's items; several threads can use a search at the same time.

    Args:
        dataset: the data set whose items are searched.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.item_frame = dataset.item_frame
        self._connection = _connection_with_macros()
        self._in_use = Lock()  # a connection serves one thread at a time
        self._normalized = lru_cache(N_NORMALIZED)(self._normalize)  # prefixes recur while titles are typed
        titles = dataset.item_frame["title"].astype(object)
        frame = pd.DataFrame({"item": np.arange(dataset.n_items), "title": titles.to_numpy()}).dropna()
        self._connection.register("titles", frame)
        sql = "SELECT item, unnest(title_keys(title)) AS key FROM titles ORDER BY item"
        keyed = self._connection.execute(sql).df()
        self._connection.unregister("titles")
        self._keys: list[str] = keyed["key"].tolist()
        self._key_items = keyed["item"].to_numpy(np.int64)  # in ascending order
        self._items, self._starts = np.unique(self._key_items, return_index=True)
        self._n_ratings = np.asarray(dataset.item_counts)[self._items]

    def match(self, query: str) -> TitleMatches:
        """Compare a query, such as "heat" or "heat (1995)", with the title of every item that has one."""
        title, year = _title_and_year(query)
        similarity, prefix_similarity = np.zeros(len(self._keys)), np.zeros(len(self._keys))
        for key in self._normalized(title):
            similarity = np.maximum(similarity, self._similarities(key))
            beginnings = [other[: len(key)] for other in self._keys]
            prefix_similarity = np.maximum(prefix_similarity, _edit_similarities(key, beginnings, len(key)))
        if not len(self._items):
            return TitleMatches(self._items, similarity, prefix_similarity, np.ones(0, bool))
        similarity, prefix_similarity = (
            np.maximum.reduceat(values, self._starts) for values in (similarity, prefix_similarity)
        )
        order = np.lexsort((self._items, -self._n_ratings, -similarity))
        items = self._items[order]
        same_year = np.ones(len(items), bool)
        if year is not None and "year" in self.item_frame:
            same_year = (self.item_frame["year"].iloc[items] == year).fillna(False).to_numpy(bool)
        return TitleMatches(items, similarity[order], prefix_similarity[order], same_year)

    def suggest(self, typed: str, k: int) -> np.ndarray:
        """Return the codes of up to k items whose titles match the text typed so far, int64 (m,), best match first."""
        matches = self.match(typed)
        similarity = np.maximum(matches.similarity, matches.prefix_similarity)
        similarity[~matches.same_year] = 0.0
        best = np.argsort(-similarity, kind="stable")[:k]
        return matches.items[best[similarity[best] >= RELATED]]

    def _normalize(self, title: str) -> list[str]:
        with self._in_use:
            [(keys,)] = self._connection.execute("SELECT title_keys($title)", {"title": title}).fetchall()
        return keys

    def _similarities(self, key: str) -> np.ndarray:
        similarity = _edit_similarities(key, self._keys, None)
        is_equal = similarity == 1.0
        if len(key) >= SHORTEST_PART:
            similarity[[key in other for other in self._keys]] = CONTAINED
        similarity[is_equal] = EQUAL
        return similarity


def _edit_similarities(key: str, others: list[str], length: int | None) -> np.ndarray:
    """Return the similarity of a text to each of several others, float64 (n,): 1 - (edit distance / length).

    The length is `length` or, if that is None, the length of the longer text. Similarities below `RELATED` are not
    exact, because the computation stops early for texts that differ so much.
    """
    if length is None:
        return cdist([key], others, scorer=OSA.normalized_similarity, dtype=np.float64, score_cutoff=RELATED)[0]
    largest = math.floor((1 - RELATED) * length + 1e-9)
    return 1 - cdist([key], others, scorer=OSA.distance, dtype=np.int32, score_cutoff=largest)[0] / length


def title_keys(titles: Sequence[str]) -> list[list[str]]:
    """Return for each title its keys, the normalised texts that are compared.

    The keys are the normalised title itself and any alternative titles in brackets, also normalised.
    """
    with _connection_with_macros() as connection:
        connection.register("titles", pd.DataFrame({"title": pd.Series(titles, dtype=object)}).reset_index())
        return [
            keys for (keys,) in connection.execute("SELECT title_keys(title) FROM titles ORDER BY index").fetchall()
        ]


def find_items(dataset: Dataset, queries: Iterable[str]) -> list[int]:
    """Return the code of the item that each query names, by a title or by title and year such as "heat (1995)".

    Raises:
        UserError: a query matches no item, or it matches items with different names; the message lists the closest
            ones.
    """
    search = TitleSearch(dataset)  # normalises all titles of the data set
    return [_found(dataset, query, search.match(query)) for query in queries]


def find_item(dataset: Dataset, query: str) -> int:
    """Return the code of the item that a query names; see `find_items`.

    Raises:
        UserError: the query matches no item, or it matches items with different names.
    """
    [item] = find_items(dataset, [query])
    return item


def _found(dataset: Dataset, query: str, matches: TitleMatches) -> int:
    names = dataset.item_names[matches.items]
    best = _best_matches(np.where(matches.same_year, matches.similarity, 0.0))
    title = _title_and_year(query)[0].casefold()
    as_written = [position for position in best if _title_and_year(names[position])[0].casefold() == title]
    best = np.array(as_written, np.int64) if as_written else best  # "Heat" is not "The Heat" where both exist
    if len(set(names[best])) == 1:  # of several items with one name, the most rated
        return int(matches.items[best[0]])
    if len(best):
        more = f", and {counted(len(best) - SHOWN, 'film')} more" if len(best) > SHOWN else ""
        shown = _joined(names[best[:SHOWN]])
        raise UserError(f"'{query}' may be {shown}{more}: give the title of one, with its year in brackets.")
    of_other_years = _best_matches(matches.similarity)
    near = of_other_years if len(of_other_years) else np.flatnonzero(matches.similarity >= RELATED)
    hint = f"did you mean {_joined(names[near[:SHOWN]])}?" if len(near) else "try another part of its title."
    raise UserError(f"There is no film '{query}' in {dataset.name}: {hint}")


def _connection_with_macros() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute((SQL / "clean" / "macros.sql").read_text(encoding="utf-8"))
    return connection


def _title_and_year(query: str) -> tuple[str, int | None]:
    """Split a title such as "Matrix, The (1999)" into "The Matrix", with the article in front, and the year or None."""
    title, year = re.fullmatch(r"\s*(.*?)\s*(?:\((\d{4})\))?\s*", query, re.DOTALL).groups()  # type: ignore[union-attr]
    return re.sub(r"^(.*), (the|an|a)$", r"\2 \1", title, flags=re.IGNORECASE), int(year) if year else None


def _best_matches(similarity: np.ndarray) -> np.ndarray:
    """Return the positions of all similarities that are at least `MATCH`, and at most `TOLERANCE` below the largest."""
    best = similarity.max(initial=0.0)
    return np.flatnonzero(similarity >= max(best - TOLERANCE, MATCH))


def _joined(names: np.ndarray) -> str:
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} or {last}" if first else str(last)
