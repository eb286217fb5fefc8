"""The films of a data set as people are shown them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.titles import Titles, film_names
from recsys.errors import UserError

WELL_KNOWN = 100  # films with the most ratings, among which those to start from are
LABELS = {
    "release_date": "Released",
    "runtime": "Minutes",
    "certificate": "Certificate",
    "directors": "Directed by",
    "writers": "Written by",
    "actors": "With",
    "plot": "Plot",
    "keywords": "Keywords",
    "tags": "Tags",
}
LISTED = 12  # names or words at most, of a list


class NotFoundError(UserError):
    """There is no such film, user or run."""


@dataclass(frozen=True)
class Film:
    """What is shown of a film.

    Attributes:
        movie_id: raw id, as text.
        title: or, where it is not known, the id in words.
        year: of release, or None.
        genres: in the source's order.
        poster: an http or https address where the metadata has one.
        details: what else is known, by label: `Directed by`.
    """

    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    poster: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Title and year."""
        return self.title if self.year is None else f"{self.title} ({self.year})"


class Catalogue:
    """Films of one data set, to look up, to show and to choose among.

    Args:
        dataset: whose films they are.

    Attributes:
        genres: of all films, by name.
        years: the first and the last that a film is of; None where no year is known.
        stars: what can be given, ascending.
        users: codes of the data set's users, by their raw ids as text.
        names: title and year of each film, (n_items,).
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        frame = dataset.item_frame
        self.movie_ids = frame["movie_id"].astype(str).tolist()
        self.codes = {movie_id: code for code, movie_id in enumerate(self.movie_ids)}
        self.names = film_names(frame)
        self.users = user_codes(dataset)
        self.stars = _stars(dataset)
        titles = frame["title"].astype(object).where(frame["title"].notna(), None)
        self._film_titles = [title or f"Film {raw}" for title, raw in zip(titles, self.movie_ids, strict=True)]
        self._film_genres = [tuple(genres) for genres in frame["genres"]] if "genres" in frame else [()] * len(frame)
        posters = frame["poster"].tolist() if "poster" in frame else []
        self._posters = [address if _is_address(address) else None for address in posters] or [None] * len(frame)
        self.genres = tuple(sorted({genre for genres in self._film_genres for genre in genres}))
        self._of_genre = {
            genre: np.array([genre in genres for genres in self._film_genres], bool) for genre in self.genres
        }
        years = frame["year"] if "year" in frame else pd.Series(pd.NA, frame.index)
        self._years = years.astype("Float64").to_numpy(float, na_value=np.nan)
        known = self._years[~np.isnan(self._years)]
        self.years = (int(known.min()), int(known.max())) if len(known) else None
        self._titles = Titles(dataset)

    @cached_property
    def _by_film(self) -> sparse.csc_matrix:
        """Stars, (n_users, n_items)."""
        pairs = (self.dataset.users, self.dataset.items)
        return sparse.csc_matrix(
            (self.dataset.ratings, pairs), shape=(self.dataset.n_users, self.dataset.n_items), dtype=np.float32
        )

    def code(self, movie_id: str) -> int:
        """The code of a film.

        Raises:
            NotFoundError: there is no such film.
        """
        if movie_id not in self.codes:
            raise NotFoundError(
                f"There is no film {movie_id!r} in {self.dataset.name}: ids are like {', '.join(self.movie_ids[:3])}."
            )
        return self.codes[movie_id]

    def film(self, movie_id: str) -> Film:
        """All that is known of a film.

        Raises:
            NotFoundError: there is no such film.
        """
        item = self.code(movie_id)
        row = self.dataset.item_frame.iloc[item]
        details = {label: told for name, label in LABELS.items() if (told := _told(row.get(name)))}
        return replace(self.of_code(item), details=details)

    def of_code(self, item: int) -> Film:
        """The film of a code, without details."""
        year = None if np.isnan(self._years[item]) else int(self._years[item])
        return Film(self.movie_ids[item], self._film_titles[item], year, self._film_genres[item], self._posters[item])

    def check_stars(self, given: float | None) -> None:
        """Hold stars to those that can be given.

        Raises:
            UserError: they cannot.
        """
        if given not in self.stars:
            told = "no stars" if given is None else f"{given:g} stars"
            raise UserError(f"A rating cannot be {told}: it is one of {', '.join(f'{s:g}' for s in self.stars)}.")

    def search(self, typed: str, k: int = 10) -> list[Film]:
        """Films that somebody may mean who has typed so much of a title, the likeliest first."""
        return [self.of_code(item) for item in self._titles.suggest(typed, k)]

    def histogram(self, movie_id: str) -> dict[float, int]:
        """How many ratings of the data set gave a film each number of stars.

        Raises:
            NotFoundError: there is no such film.
        """
        item = self.code(movie_id)
        given = self._by_film.data[self._by_film.indptr[item] : self._by_film.indptr[item + 1]]
        nearest = np.abs(given[:, None] - np.array(self.stars)).argmin(axis=1)
        return dict(zip(self.stars, np.bincount(nearest, minlength=len(self.stars)).tolist(), strict=True))

    def well_known(self, n: int = 12) -> list[Film]:
        """Films to start from: known to many, and as far apart in who likes them as can be.

        The first has the most ratings; each further one of the `WELL_KNOWN` most rated is the one whose ratings, less
        their means, are least like those of any film before it (Gonzalez, "Clustering to Minimize the Maximum
        Intercluster Distance", 1985).
        """
        counts = np.where(self.dataset.item_frame["title"].notna(), self.dataset.item_counts, 0)
        known = np.argsort(-counts, kind="stable")[: max(n, WELL_KNOWN)]
        known = known[counts[known] > 0]
        rated = self._by_film[:, known]
        deviations = rated.astype(np.float64)
        if np.ptp(rated.data):
            means = np.asarray(rated.sum(axis=0)).ravel() / np.diff(rated.indptr)
            deviations.data -= np.repeat(means, np.diff(rated.indptr))
        products = (deviations.T @ deviations).toarray()
        lengths = np.sqrt(np.diag(products))
        cosines = products / np.maximum(np.outer(lengths, lengths), 1e-12)
        chosen = [0] if len(known) else []
        while len(chosen) < min(n, len(known)):
            nearest = cosines[:, chosen].max(axis=1)
            nearest[chosen] = np.inf
            chosen.append(int(nearest.argmin()))
        return [self.of_code(int(known[place])) for place in chosen]

    def passing(self, genres: tuple[str, ...], years: tuple[int | None, int | None]) -> np.ndarray | None:
        """Codes, int64 (m,), of the films of any of some genres and of some years, ends included; None for all films.

        Raises:
            UserError: there is no such genre, or no such film.
        """
        first, last = years
        if not genres and first is None and last is None:
            return None
        if unknown := [genre for genre in genres if genre not in self._of_genre]:
            raise UserError(f"There is no genre {unknown[0]!r}: there are {', '.join(self.genres) or 'none'}.")
        passing = np.ones(self.dataset.n_items, bool)
        if genres:
            passing &= np.any([self._of_genre[genre] for genre in genres], axis=0)
        if first is not None:
            passing &= self._years >= first
        if last is not None:
            passing &= self._years <= last
        if not passing.any():
            raise UserError("No film is of such genres and years: ask for less.")
        return np.flatnonzero(passing)


def user_codes(dataset: Dataset) -> dict[str, int]:
    """Codes of a data set's users, by their raw ids as text."""
    return {str(user_id): code for code, user_id in enumerate(dataset.user_frame["user_id"])}


def _stars(dataset: Dataset) -> tuple[float, ...]:
    """What can be given: whole stars, or half ones where the data have some."""
    low, high = dataset.scale
    step = 1.0 if low % 1 == 0 and not np.any(dataset.ratings % 1) else 0.5
    return tuple(np.arange(low, high + step / 2, step).tolist())


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _told(value: Any) -> str:
    """A cell of the films' frame in words; nothing where nothing is known."""
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(map(str, value[:LISTED]))
    if isinstance(value, pd.Timestamp):
        return "" if pd.isna(value) else f"{value.day} {value:%B %Y}"
    return "" if pd.isna(value) else str(value)
