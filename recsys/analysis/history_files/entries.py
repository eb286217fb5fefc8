"""Reads the films in history files, with their years, ratings and ids, sorted by date from the oldest."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from recsys.analysis.history_files.formats import FORMATS, NO_FILMS, Format
from recsys.analysis.history_files.tables import Table, read_tables
from recsys.errors import UserError

_TITLE_AND_YEAR = re.compile(r"(.*\S)\s*\((\d{4})\)\s*", re.DOTALL)  # as MovieLens writes them
_YEAR = re.compile(r"\b(1[89]\d\d|20\d\d)\b")
# "Breaking Bad: Season 1: Pilot", "Dark: Staffel 2: ...", "Lupin: Part 1: Chapter 1" of Netflix
_EPISODE = re.compile(
    r"(?P<series>[^:]+(?:: [^:]+)?): (?:(?:Season|Series|Part|Volume|Vol\.|Book|Chapter|Collection|Staffel|Saison|"
    r"Temporada|Stagione|Seizoen|Sezon|Säsong|Sæson) \w+|(?:Limited|Mini)[ -]?Series|Miniserie): .+",
    re.IGNORECASE,
)
_DATES = ("%m/%d/%y", "%d/%m/%y", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%y", "%d.%m.%Y", "%d-%m-%Y", "%a %b %d %H:%M:%S %Y")
_HIGHEST = (5.0, 10.0, 100.0)  # highest ratings of the scales that are tried if a format states none


@dataclass(frozen=True)
class Entry:
    """A film as a row of a history file describes it.

    Attributes:
        titles: title of the film, followed by other titles that the row gives for it, such as the original title.
        year: year of release, or None.
        liking: the rating as a share of the highest rating of the file's scale; None for a film without a rating.
        imdb_id: IMDb id as a number (113277 for `tt0113277`), or None.
        tmdb_id: id in The Movie Database, or None.
        movie_id: id in MovieLens, or None.
        problem: why the row cannot be used; empty if the row can be used.
        no_film: what the row describes instead of a film, such as "a TV series"; empty for a film. It is ignored if
            a film of the data has one of the row's ids.
        series: name of the series if the title looks like the title of an episode; else empty. It is ignored if a film
            of the data has the title.
    """

    titles: tuple[str, ...]
    year: int | None = None
    liking: float | None = None
    imdb_id: int | None = None
    tmdb_id: int | None = None
    movie_id: int | None = None
    problem: str = ""
    no_film: str = ""
    series: str = ""

    @property
    def name(self) -> str:
        """Return title and year as in the file; a missing title is replaced by a phrase such as "film 6"."""
        unnamed = "a film without a title" if self.movie_id is None else f"film {self.movie_id}"
        title = self.titles[0] if self.titles else unnamed
        return title if self.year is None else f"{title} ({self.year})"


@dataclass(frozen=True)
class HistoryFile:
    """The contents of a history file.

    Attributes:
        name: name of the file.
        formats: names of the formats of the tables in the file, such as `Letterboxd`; an archive can have several.
        entries: the films of the file: first those without a date, in the order of the file, then those with a date,
            the oldest date first.
    """

    name: str
    formats: tuple[str, ...]
    entries: tuple[Entry, ...] = field(repr=False)


def read_history(name: str, content: bytes) -> HistoryFile:
    """Read the films of a history file that was exported from a service.

    Args:
        name: name of the file, for error messages.
        content: the file's bytes: delimited text, JSON, or a zip archive of such files.

    Raises:
        UserError: the file cannot be read, has no films, has an unknown format, or has the histories of several
            viewers.
    """
    tables = read_tables(name, content)
    recognised = [(table, found) for table in tables if (found := _format_of(table)) is not None]
    if not recognised:
        columns = ", ".join(tables[0].columns[:8])[:200] if tables else ""
        raise UserError(
            f"{name} must be a history of Letterboxd, IMDb, Netflix, Trakt or MovieLens, or a table with a column "
            f"'title' (got {f'the columns {columns}' if columns else 'no table with columns'})."
        )
    dated = [row for table, layout in recognised for row in _entries(table, layout)]
    if not dated:
        raise UserError(f"{name} must have at least one film (got none): export it again.")
    dated.sort(key=lambda pair: pair[0] or 0.0)  # stable: rows without a date stay in the file's order
    formats = tuple(dict.fromkeys(layout.name for _, layout in recognised))
    return HistoryFile(name, formats, tuple(entry for _, entry in dated))


def _format_of(table: Table) -> Format | None:
    return next((known for known in FORMATS if known.recognises(table.columns)), None)


def _entries(table: Table, layout: Format) -> list[tuple[float | None, Entry]]:
    """Return a pair for each row of a table: the row's Unix time in seconds (None without a date), and its entry."""
    columns = {field: [name for name in names if name in table.columns] for field, names in layout.columns.items()}
    cells = [
        {field: next(filter(None, (row.get(name, "") for name in names)), "") for field, names in columns.items()}
        for row in table.rows
    ]
    owners = {row["owner"] for row in cells if row.get("owner")}
    if len(owners) > 1:
        raise UserError(
            f"{table.name} must be the history of one viewer (got {len(owners)}): keep only the rows of one viewer."
        )
    scale = layout.scale or _scale([row.get("rating", "") for row in cells])
    entries = [_entry(row, own, layout, scale) for row, own in zip(table.rows, cells, strict=True)]
    uneven = [Entry((), problem=f"line {line} has more cells than there are columns") for line in table.uneven]
    times = _times([row.get("time", "") for row in cells]) + [None] * len(uneven)
    return list(zip(times, entries + uneven, strict=True))


def _entry(row: Mapping[str, str], own: Mapping[str, str], layout: Format, scale: tuple[float, float]) -> Entry:
    """Build the entry of a row.

    Args:
        row: all cells of the row, by column of the file.
        own: the cells that the format uses, by field, such as `title`.
        layout: the format.
        scale: lowest and highest rating of the file's scale.
    """
    title, year = own.get("title", ""), _YEAR.search(own.get("year", ""))
    if year is None and (match := _TITLE_AND_YEAR.fullmatch(title)):
        title, year = match[1], _YEAR.search(match[2])
    episode = _EPISODE.fullmatch(title)
    kind = re.sub(r"[\s-]", "", own.get("kind", "").lower())
    liking, problem = _liking(own.get("rating", ""), scale, layout.unrated_is_seen)
    excluded = next((reason for column, reason in layout.excluded.items() if row.get(column)), "")
    titles = tuple(dict.fromkeys(filter(None, (title, own.get("other_title", "")))))
    imdb_id, tmdb_id, movie_id = (number_of_id(own.get(field, "")) for field in ("imdb_id", "tmdb_id", "movie_id"))
    if not titles and imdb_id is tmdb_id is movie_id is None:
        problem = "the row has neither a title nor an id"
    return Entry(
        titles=titles,
        year=int(year[1]) if year else None,
        liking=liking,
        imdb_id=imdb_id,
        tmdb_id=tmdb_id,
        movie_id=movie_id,
        problem=excluded or problem,
        no_film=NO_FILMS.get(kind, ""),
        series=episode["series"] if episode else "",
    )


def _liking(text: str, scale: tuple[float, float], unrated_is_seen: bool) -> tuple[float | None, str]:
    """Parse a rating, and return the `liking` and the `problem` of its `Entry`.

    Args:
        text: the rating; empty for a film without a rating.
        scale: lowest and highest rating of the file's scale.
        unrated_is_seen: whether a film without a rating counts as seen; otherwise, a missing rating is a problem.
    """
    if not text:
        return None, "" if unrated_is_seen else "the file has no rating for it"
    low, high = scale
    rating = _float(text)
    if not low <= rating <= high:
        return None, f"the rating must be from {low:g} to {high:g} (got {text[:20]})"
    return rating / high, ""


def _scale(ratings: Sequence[str]) -> tuple[float, float]:
    """Infer the scale of ratings: the smallest of 0 to 5, 0 to 10 and 0 to 100 that includes all ratings."""
    highest = max((value for text in ratings if not math.isnan(value := _float(text))), default=0.0)
    return 0.0, next((end for end in _HIGHEST if highest <= end), _HIGHEST[-1])


def _float(text: str) -> float:
    """Parse a number with a decimal point or comma; NaN for other text."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def number_of_id(text: str) -> int | None:
    """Return the number of an id such as `tt0113277`, `0113277` or `949`; None for other text."""
    match = re.fullmatch(r"(?:tt)?(\d{1,12})(?:\.0)?", text)
    return int(match[1]) if match else None


def _times(texts: Sequence[str]) -> list[float | None]:
    """Parse dates and times as Unix times in seconds, by the first date format that fits all of them.

    An empty text becomes None; so do all texts if no date format fits them all.
    """
    for parse in _PARSERS:
        try:
            return [parse(text) if text else None for text in texts]
        except (ValueError, OverflowError):
            continue
    return [None] * len(texts)


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _parser(notation: str) -> Callable[[str], float]:
    return lambda text: _seconds(datetime.strptime(text, notation))


_PARSERS: tuple[Callable[[str], float], ...] = (
    lambda text: _seconds(datetime.fromisoformat(text)),
    int,
    *map(_parser, _DATES),
)
