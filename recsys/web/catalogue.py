"""The films of a data set as they are displayed: search, metadata, rating histograms and filters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recsys.analysis.explain import Explainer
from recsys.analysis.history_files.matching import HistoryMatcher
from recsys.data.dataset import Dataset
from recsys.data.ids import id_hint
from recsys.data.rating_scale import rating_values
from recsys.data.titles import TitleSearch
from recsys.errors import UserError
from recsys.models.similar import SimilarItems

LABELS = {
    "directors": "Directed by",
    "writers": "Written by",
    "actors": "With",
    "release_date": "Released",
    "certificate": "Certificate",
    "keywords": "Keywords",
    "tags": "Tags",
}
MAX_WORDS = 12  # names or keywords of a film that are shown
IMDB_ID = re.compile(r"(?:tt)?0*([1-9]\d*)")  # tt0113277, 0113277 and 113277 are one film
TMDB_ID = re.compile(r"[1-9]\d*")


class NotFoundError(UserError):
    """A film, user or run does not exist."""


@dataclass(frozen=True)
class Film:
    """A film as it is displayed.

    Attributes:
        movie_id: raw id as text.
        title: the title, or `Film` and the id if the title is unknown.
        year: year of release, or None.
        genres: genres in the source's order.
        poster: http or https URL of a poster, or None.
        plot: the plot, or "" if it is unknown.
        runtime: minutes, or None.
        details: further metadata, keyed by a label such as `Directed by`.
        imdb_id: id on IMDb, such as tt0113277, or None.
        tmdb_id: id on TMDb, or None.
    """

    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    poster: str | None = None
    plot: str = ""
    runtime: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    imdb_id: str | None = None
    tmdb_id: str | None = None

    @property
    def links(self) -> dict[str, str]:
        """Return the URLs of the film's pages on IMDb and TMDb, keyed by the name of the site.

        A site is left out if the film's id there is unknown.
        """
        imdb = {} if self.imdb_id is None else {"IMDb": f"https://www.imdb.com/title/{self.imdb_id}/"}
        tmdb = {} if self.tmdb_id is None else {"TMDb": f"https://www.themoviedb.org/movie/{self.tmdb_id}"}
        return imdb | tmdb

    @property
    def name(self) -> str:
        """Return the title and the year of release, or only the title if the year is unknown."""
        return self.title if self.year is None else f"{self.title} ({self.year})"


class Catalogue:
    """The films of one data set, to look up, search and filter.

    Args:
        dataset: the data set.

    Attributes:
        movie_ids: raw ids of the films as text, ordered by item code.
        codes: item codes, keyed by raw id as text.
        genres: all genres in alphabetical order.
        release_years: year of release of each film, float64 (n_items,), NaN where it is unknown.
        years: first and last year of release; None if no year is known.
        stars: values of the rating scale, ascending.
        user_codes: codes of the data set's users, keyed by raw id as text.
        names: title and year of each film, object (n_items,).
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        frame = dataset.item_frame
        self.movie_ids = frame["movie_id"].astype(str).tolist()
        self.codes = {movie_id: code for code, movie_id in enumerate(self.movie_ids)}
        self.names = dataset.item_names
        self.user_codes = user_codes(dataset)
        self.stars = rating_values(dataset)
        titles = frame["title"].astype(object).where(frame["title"].notna(), None)
        self._film_titles = [title or f"Film {raw}" for title, raw in zip(titles, self.movie_ids, strict=True)]
        self._untitled = {
            name.casefold(): item
            for item, (title, raw) in enumerate(zip(titles, self.movie_ids, strict=True))
            if not title
            for name in (raw, f"Film {raw}")
        }
        self._film_genres = [tuple(genres) for genres in frame["genres"]] if "genres" in frame else [()] * len(frame)
        posters = frame["poster"].tolist() if "poster" in frame else []
        self._posters = [address if _is_address(address) else None for address in posters] or [None] * len(frame)
        self.genres = tuple(sorted({genre for genres in self._film_genres for genre in genres}))
        self._has_genre = {
            genre: np.array([genre in genres for genres in self._film_genres], bool) for genre in self.genres
        }
        years = frame["year"] if "year" in frame else pd.Series(pd.NA, frame.index)
        self.release_years = years.astype("Float64").to_numpy(float, na_value=np.nan)
        known = self.release_years[~np.isnan(self.release_years)]
        self.years = (int(known.min()), int(known.max())) if len(known) else None
        self._titles = TitleSearch(dataset)

    @cached_property
    def history_matcher(self) -> HistoryMatcher:
        """Return the matcher that assigns films of the data set to the entries of an uploaded history."""
        return HistoryMatcher(self.dataset)

    @cached_property
    def explainer(self) -> Explainer:
        """Return the explainer, which finds the reasons for recommendations."""
        return Explainer(self.dataset)

    @cached_property
    def similar_items(self) -> SimilarItems:
        """Return the index that finds similar films."""
        return SimilarItems(self.dataset)

    def code(self, movie_id: str) -> int:
        """Return the item code of the film that has the given raw id.

        Raises:
            NotFoundError: the data set has no such film.
        """
        if movie_id not in self.codes:
            hint = id_hint(movie_id, self.movie_ids, self.movie_ids[:3])
            raise NotFoundError(f"There is no film {movie_id!r} in {self.dataset.name}: {hint}")
        return self.codes[movie_id]

    def film(self, movie_id: str) -> Film:
        """Return the film that has the given raw id, with all its metadata.

        Raises:
            NotFoundError: the data set has no such film.
        """
        item = self.code(movie_id)
        row = self.dataset.item_frame.iloc[item]
        details = {label: text for name, label in LABELS.items() if (text := _as_text(row.get(name)))}
        runtime = row.get("runtime")
        return replace(
            self.film_at(item),
            plot=_as_text(row.get("plot")),
            runtime=None if pd.isna(runtime) else int(runtime),
            details=details,
            imdb_id=_imdb_id(row),
            tmdb_id=_tmdb_id(row),
        )

    def film_at(self, item: int) -> Film:
        """Return the film that has the given item code, leaving out plot, runtime, details and ids of other sites."""
        year = None if np.isnan(self.release_years[item]) else int(self.release_years[item])
        return Film(self.movie_ids[item], self._film_titles[item], year, self._film_genres[item], self._posters[item])

    def check_stars(self, given: float | None) -> None:
        """Check that a rating is one of the values of the rating scale.

        Raises:
            UserError: the rating is not a value of the scale.
        """
        if given not in self.stars:
            scale = ", ".join(f"{stars:g}" for stars in self.stars)
            raise UserError(f"A rating must be one of {scale} stars (got {'none' if given is None else f'{given:g}'}).")

    def search(self, typed: str, k: int = 10) -> list[Film]:
        """Return up to k films whose titles match the text typed so far, best match first.

        A film without a title is found by its id or by the name under which it is shown, such as `Film 123`.
        """
        items = self._titles.suggest(typed, k).tolist()
        if (untitled := self._untitled.get(typed.strip().casefold())) is not None:
            items.insert(0, untitled)
        return [self.film_at(item) for item in items[:k]]

    def histogram(self, movie_id: str) -> dict[float, int]:
        """Return the number of a film's ratings in the data set, keyed by value of the rating scale.

        A rating between two values of the scale counts as the nearest value.

        Raises:
            NotFoundError: the data set has no such film.
        """
        given = self.dataset.ratings[self.dataset.positions_of_item(self.code(movie_id))]
        nearest = np.abs(given[:, None] - np.array(self.stars)).argmin(axis=1)
        return dict(zip(self.stars, np.bincount(nearest, minlength=len(self.stars)).tolist(), strict=True))

    def codes_matching(self, genres: tuple[str, ...], years: tuple[int | None, int | None]) -> np.ndarray | None:
        """Return the item codes of the films that have at least one of the genres and were released in the given years.

        Args:
            genres: names of genres; empty for all genres.
            years: first and last year, both included; None leaves that end open.

        Returns:
            The codes, int64 (m,), or None if neither genres nor years are restricted.

        Raises:
            UserError: a genre does not exist, or no film matches.
        """
        first, last = years
        if not genres and first is None and last is None:
            return None
        if unknown := [genre for genre in genres if genre not in self._has_genre]:
            raise UserError(f"There is no genre {unknown[0]!r}: there are {', '.join(self.genres) or 'none'}.")
        matches = np.ones(self.dataset.n_items, bool)
        if genres:
            matches &= np.any([self._has_genre[genre] for genre in genres], axis=0)
        if first is not None:
            matches &= self.release_years >= first
        if last is not None:
            matches &= self.release_years <= last
        if not matches.any():
            raise UserError("No film has these genres and years: choose other genres or a longer period.")
        return np.flatnonzero(matches)


def user_codes(dataset: Dataset) -> dict[str, int]:
    """Return the codes of a data set's users, keyed by raw id as text."""
    return {str(user_id): code for code, user_id in enumerate(dataset.user_frame["user_id"])}


def _imdb_id(row: pd.Series) -> str | None:
    """Return a film's IMDb id in the form of IMDb's URLs, such as tt0113277, or None if it is unknown.

    The id is the film's raw id if that begins with `tt`, else it is taken from the column `imdb_id`.
    """
    movie_id = str(row["movie_id"])
    number = IMDB_ID.fullmatch(movie_id if movie_id.startswith("tt") else str(row.get("imdb_id")))
    return None if number is None else f"tt{number[1].zfill(7)}"


def _tmdb_id(row: pd.Series) -> str | None:
    """Return a film's TMDb id, or None if it is unknown or not a positive integer."""
    tmdb_id = str(row.get("tmdb_id"))
    return tmdb_id if TMDB_ID.fullmatch(tmdb_id) else None


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _as_text(value: Any) -> str:
    """Format a value of the item frame as text, which is empty for a missing value."""
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(map(str, value[:MAX_WORDS]))
    if isinstance(value, pd.Timestamp):
        return "" if pd.isna(value) else f"{value.day} {value:%B %Y}"
    return "" if pd.isna(value) else str(value)
