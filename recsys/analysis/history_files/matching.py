"""Matches the films of a history with those of a data set: by id, else by title and year.

A film of a history is matched with at most one film of the data. If several films of the data match it equally well, it
is ambiguous and stays unmatched. Films that have different ids in the same database, such as IMDb, are never matched,
whatever their titles are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.analysis.history_files.entries import Entry, HistoryFile, number_of_id
from recsys.analysis.history_files.title_index import TITLE_AND_YEAR, TitleIndex, TitleKeys, keys_of
from recsys.data.dataset import Dataset
from recsys.data.item_names import item_names
from recsys.data.rating_scale import rating_values
from recsys.data.sources.movielens import RELEASES
from recsys.errors import UserError

MAX_FILMS = 20_000  # largest number of different films and episodes in a file
SHOWN = 3  # largest number of films that a reason names
IDS = {"imdb_id": "IMDb id", "tmdb_id": "TMDb id", "movie_id": "MovieLens id"}  # names by field, in order of precedence
CERTAIN = (*IDS.values(), TITLE_AND_YEAR)  # certain ways of matching
WITH_MOVIELENS_IDS = RELEASES.keys() - {"ml-100k"}  # ml-100k numbers its films differently


@dataclass(frozen=True)
class MatchedFilm:
    """A film of a history that is matched with a film of the data.

    Attributes:
        item: code of the film in the data.
        rating: the rating, converted to the scale of the data. For a film without a rating, the value of the scale that
            is nearest to the data's mean rating.
        is_rated: whether the history has a rating of the film.
        name: title and year of the film in the history file.
        way: how the film was matched, such as `IMDb id`, `title and year` or `title alone`.
    """

    item: int
    rating: float
    is_rated: bool
    name: str
    way: str

    @property
    def is_certain(self) -> bool:
        """Return whether the film was matched by an id, or by its title and year."""
        return self.way in CERTAIN


@dataclass(frozen=True)
class UnmatchedFilm:
    """A film of a history that is not used.

    Attributes:
        name: title and year of the film in the history file.
        reason: why the film is not used.
        candidates: for an ambiguous film, all films of the data that match it equally well; for a film whose match a
            viewer rejected, the rejected match; else empty.
    """

    name: str
    reason: str
    candidates: tuple[MatchedFilm, ...] = ()


@dataclass(frozen=True)
class MatchedHistory:
    """A history whose films are matched with those of a data set.

    Attributes:
        source: text that names the file and its formats.
        matched: the matched films in the order of the history. A film occurs only once, with its latest rating.
        unmatched: all other films of the history, each only once.
    """

    source: str
    matched: tuple[MatchedFilm, ...]
    unmatched: tuple[UnmatchedFilm, ...]


class HistoryMatcher:
    """Matches the films of histories with those of a data set; several threads can use the same object.

    Args:
        dataset: the data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        frame = dataset.item_frame
        self.names = item_names(frame)
        self._values = np.array(rating_values(dataset))
        self._mean = float(dataset.ratings.mean()) if len(dataset) else float(self._values[-1])
        self._ids = {field: _ids(dataset, field) for field in IDS}
        self._by_id = {field: {known: item for item, known in ids.items()} for field, ids in self._ids.items()}
        titles = [None if pd.isna(title) else str(title) for title in frame["title"]]
        years = frame["year"] if "year" in frame else pd.Series(pd.NA, frame.index)
        self._index = TitleIndex(titles, [None if pd.isna(year) else int(year) for year in years])

    def match(self, history: HistoryFile) -> MatchedHistory:
        """Match the films of a history file; if a film has several ratings, the latest is used.

        Raises:
            UserError: the file has more than `MAX_FILMS` different films.
        """
        entries = list(dict.fromkeys(history.entries[::-1]))[::-1]  # of equal entries, the latest
        if len(entries) > MAX_FILMS:
            raise UserError(
                f"{history.name} must have at most {MAX_FILMS:,} different films (got {len(entries):,}): "
                "leave out the oldest."
            )
        matched: dict[int, MatchedFilm] = {}
        unmatched: dict[UnmatchedFilm, None] = {}
        for found in self.match_each(entries):
            if isinstance(found, UnmatchedFilm):
                unmatched[found] = None
                continue
            earlier = matched.pop(found.item, None)
            matched[found.item] = found if earlier is None or found.is_rated or not earlier.is_rated else earlier
        source = f"{history.name} ({', '.join(history.formats)})"
        return MatchedHistory(source, tuple(matched.values()), tuple(unmatched))

    def match_each(self, entries: Sequence[Entry]) -> list[MatchedFilm | UnmatchedFilm]:
        """Match each entry of a history file independently of the others, and return the results in the same order."""
        keys = keys_of([title for entry in entries for title in entry.titles])
        return [self._find(entry, keys) for entry in entries]

    def rating(self, liking: float | None) -> float:
        """Convert a rating to the nearest value of the data's rating scale; of two equally near values, the higher.

        Args:
            liking: the rating as a share of the highest rating of its own scale; 0.8, for 8 of 10, becomes 4 of 5. None
                stands for a film without a rating and becomes the value nearest to the data's mean rating. For models
                that learn from interactions, such a film is an interaction; for models that predict ratings, its rating
                is neutral.
        """
        low, high = min(self._values[0], 0.0), self._values[-1]  # 0, except for scales such as -10 to 10
        wanted = self._mean if liking is None else low + liking * (high - low)
        distances = np.abs(self._values - wanted).round(6)
        return float(self._values[distances == distances.min()][-1])

    def _find(self, entry: Entry, keys: Mapping[str, TitleKeys]) -> MatchedFilm | UnmatchedFilm:
        if entry.problem:
            return UnmatchedFilm(entry.name, entry.problem)
        for field, name in IDS.items():
            if (item := self._by_id[field].get(getattr(entry, field))) is not None:
                return self._matched(entry, item, name)
        if entry.no_film:
            return UnmatchedFilm(entry.name, entry.no_film)
        titles = [keys[title] for title in entry.titles]
        found = self._index.find(titles, entry.year, lambda item: self._may_be(entry, item))
        if len(found.items) == 1:
            return self._matched(entry, found.items[0], found.way)
        if entry.series:
            return UnmatchedFilm(entry.series, "episodes of a series")
        if found.items:
            candidates = tuple(self._matched(entry, item, "chosen") for item in found.items)
            return UnmatchedFilm(entry.name, f"ambiguous: {self._listed(found.items)}", candidates)
        if found.others:
            return UnmatchedFilm(entry.name, f"another year: the data have {self._listed(found.others)}")
        return UnmatchedFilm(entry.name, "not in the data")

    def _matched(self, entry: Entry, item: int, way: str) -> MatchedFilm:
        return MatchedFilm(item, self.rating(entry.liking), entry.liking is not None, entry.name, way)

    def _may_be(self, entry: Entry, item: int) -> bool:
        """Return False if an entry and a film of the data have different ids in the same database, else True."""
        own = {field: getattr(entry, field) for field in IDS}
        return all(own[field] is None or ids.get(item, own[field]) == own[field] for field, ids in self._ids.items())

    def _listed(self, items: tuple[int, ...]) -> str:
        names = [str(name) for name in self.names[list(items[:SHOWN])]]
        return ", ".join(names + [f"and {len(items) - SHOWN} more"] * (len(items) > SHOWN))


def uncertain_first(films: Iterable[MatchedFilm]) -> list[MatchedFilm]:
    """Sort matched films for checking: first the uncertain matches, then the certain ones, both with the latest first.

    Args:
        films: matched films in the order of the history, the oldest first.
    """
    latest_first = list(films)[::-1]
    return sorted(latest_first, key=lambda film: film.is_certain)


def _ids(dataset: Dataset, field: str) -> dict[int, int]:
    """Return the ids in a column of the item frame, keyed by item code.

    The result is empty if the column is missing, or if the column `movie_id` does not have the ids of MovieLens.
    """
    if field not in dataset.item_frame or (field == "movie_id" and dataset.name not in WITH_MOVIELENS_IDS):
        return {}
    numbers = (number_of_id(str(value)) for value in dataset.item_frame[field])
    return {item: number for item, number in enumerate(numbers) if number is not None}
