"""How many films of a history are found: `python experiments/own_history/match.py data=ml-latest-small`.

Films of the data are drawn at random and written as each service writes them: titles without the alternatives in
brackets that MovieLens adds, and each changed by one of the format's rules, in turn. `absent.csv` has films and series
that the data lack, written in the same way. The table counts what is matched with the film that was drawn, with
another film, and not at all because of several candidates.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from recsys.analysis.history_files.entries import read_history
from recsys.analysis.history_files.matching import IDS, HistoryMatcher, MatchedFilm, UnmatchedFilm
from recsys.analysis.history_files.title_index import TitleIndex, keys_of
from recsys.config import compose
from recsys.config.splits import prepared_data
from recsys.data.dataset import Dataset

ABSENT = Path(__file__).with_name("absent.csv")
LONG = 10  # letters of a title that has a typing error


@dataclass(frozen=True)
class Film:
    """A film, or a series, as it is written to a file; ids are 0 where they are left out."""

    title: str
    year: int
    imdb_id: int = 0
    tmdb_id: int = 0
    movie_id: int = 0
    is_series: bool = False


# Changes of a title. Where a change does not apply to a title, the title stays as it is.


def unchanged(title: str) -> str:
    """Return the title."""
    return title


def without_article(title: str) -> str:
    """`The Matrix` -> `Matrix`, `Les Misérables` -> `Misérables`."""
    return re.sub(r"^(?:The|A|An|Les|Le|La|El|Der|Das|Il) (?=\w)", "", title)


def article_last(title: str) -> str:
    """`The Matrix` -> `Matrix, The`."""
    return re.sub(r"^(The|A|An|Les|Le|La|El|Der|Das|Il) (\w.*)$", r"\2, \1", title)


def without_accents(title: str) -> str:
    """`Amélie` -> `Amelie`."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", title) if not unicodedata.combining(letter))


def decomposed(title: str) -> str:
    """`é` in two characters, as macOS writes it."""
    return unicodedata.normalize("NFD", title)


def capitals(title: str) -> str:
    """`Heat` -> `HEAT`."""
    return title.upper()


def other_punctuation(title: str) -> str:
    """`Alien: Director's Cut` -> `Alien - Director's Cut` with typographic quotation marks."""
    return title.replace(": ", " - ").replace("'", "\u2019").replace("...", "\u2026")


def other_conjunction(title: str) -> str:
    """`Dumb & Dumber` -> `Dumb and Dumber`, and the reverse."""
    return title.replace(" & ", " and ") if " & " in title else title.replace(" and ", " & ")


def other_numbers(title: str) -> str:
    """`Rocky II` -> `Rocky 2`, `Rocky 3` -> `Rocky III`."""
    roman = {"II": "2", "III": "3", "IV": "4", "VI": "6", "VII": "7", "VIII": "8"}
    by_number = {number: letters for letters, number in roman.items()}
    return re.sub(r"(?<=\w )\w+", lambda word: (roman | by_number).get(word[0], word[0]), title)


def typing_error(title: str) -> str:
    """`Braveheart` -> `Bravehaert`: two letters in the middle of a long title exchange their places."""
    middle = len(title) // 2
    pair = title[middle : middle + 2]
    return title[:middle] + pair[::-1] + title[middle + 2 :] if len(title) >= LONG and pair.isalpha() else title


# Files of each format.


def as_csv(rows: Sequence[Mapping[str, object]], delimiter: str = ",") -> str:
    """Return rows as CSV."""
    stream = StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def letterboxd_ratings(films: Sequence[Film]) -> str:
    """Return `ratings.csv` of Letterboxd."""
    rows = [{"Date": "2024-03-05", "Name": f.title, "Year": f.year, "Letterboxd URI": "", "Rating": 3.5} for f in films]
    return as_csv(rows)


def letterboxd_watched(films: Sequence[Film]) -> str:
    """Return `watched.csv` of Letterboxd, which has no ratings."""
    return as_csv([{"Date": "2024-03-05", "Name": f.title, "Year": f.year, "Letterboxd URI": ""} for f in films])


def letterboxd_diary(films: Sequence[Film]) -> str:
    """Return `diary.csv` of Letterboxd, here without ratings."""
    return as_csv(
        [
            {
                "Date": "2024-03-05",
                "Name": film.title,
                "Year": film.year,
                "Letterboxd URI": "",
                "Rating": "",
                "Rewatch": "",
                "Tags": "",
                "Watched Date": "2024-03-04",
            }
            for film in films
        ]
    )


def imdb(films: Sequence[Film]) -> str:
    """Return ratings as IMDb exports them today, with ids where a film has one."""
    return as_csv(
        [
            {
                "Const": f"tt{film.imdb_id:07}" if film.imdb_id else "",
                "Your Rating": 8,
                "Date Rated": "2024-03-05",
                "Title": film.title,
                "Original Title": film.title,
                "URL": "",
                "Title Type": "TV Series" if film.is_series else "Movie",
                "IMDb Rating": 7.1,
                "Runtime (mins)": 100,
                "Year": film.year,
                "Genres": "Drama",
                "Num Votes": 1000,
                "Release Date": "",
                "Directors": "",
            }
            for film in films
        ]
    )


def imdb_until_2017(films: Sequence[Film]) -> str:
    """Return ratings as IMDb exported them until 2017, with ids where a film has one."""
    return as_csv(
        [
            {
                "position": place,
                "const": f"tt{film.imdb_id:07}" if film.imdb_id else "",
                "created": "Tue Mar  5 00:00:00 2013",
                "modified": "",
                "description": "",
                "Title": film.title,
                "Title type": "TV Series" if film.is_series else "Feature Film",
                "Directors": "",
                "You rated": 8,
                "IMDb Rating": 7.1,
                "Runtime (mins)": 100,
                "Year": film.year,
                "Genres": "drama",
                "Num. Votes": 1000,
                "Release Date (month/day/year)": "",
                "URL": "",
            }
            for place, film in enumerate(films, start=1)
        ]
    )


def netflix(films: Sequence[Film]) -> str:
    """Return the viewing history of Netflix: no years, and series by their episodes."""
    return as_csv(
        [
            {"Title": f"{film.title}: Season 1: The Pilot" if film.is_series else film.title, "Date": "3/5/24"}
            for film in films
        ]
    )


def trakt(films: Sequence[Film]) -> str:
    """Return ratings of films and shows as Trakt exports them, with ids where a film has one."""
    records = []
    for film in films:
        kind = "show" if film.is_series else "movie"
        ids = {
            "trakt": 1,
            "slug": "x",
            "imdb": f"tt{film.imdb_id:07}" if film.imdb_id else None,
            "tmdb": film.tmdb_id or None,
        }
        media = {"title": film.title, "year": film.year, "ids": ids}
        records.append({"rated_at": "2024-03-05T20:15:00.000Z", "rating": 8, "type": kind, kind: media})
    return json.dumps(records)


def movielens_site(films: Sequence[Film]) -> str:
    """Return ratings as movielens.org exports them."""
    return as_csv(
        [
            {
                "movie_id": film.movie_id,
                "imdb_id": film.imdb_id or "",
                "tmdb_id": film.tmdb_id or "",
                "rating": 4.5,
                "average_rating": 3.5,
                "title": f"{film.title} ({film.year})",
            }
            for film in films
        ]
    )


def movielens_release(films: Sequence[Film]) -> str:
    """Return `ratings.csv` of a MovieLens release, which has ids alone: absent films have the id 0, which is unused."""
    return as_csv([{"userId": 1, "movieId": film.movie_id, "rating": 4.5, "timestamp": 964982703} for film in films])


def titles_and_years(films: Sequence[Film]) -> str:
    """Return a table that a person made, delimited by semicolons."""
    rows = [{"Film": film.title, "Year": film.year, "My rating": 8} for film in films]
    return as_csv(rows, delimiter=";")


NAMES = (unchanged, without_accents, other_punctuation, other_conjunction)  # databases agree on most of a title
WRITTEN = (*NAMES, without_article, decomposed, capitals, other_numbers)
TYPED = (*WRITTEN, article_last, typing_error)


@dataclass(frozen=True)
class Row:
    """A row of the table: a format, its changes of titles, and whether ids and wrong years are written."""

    write: Callable[[Sequence[Film]], str]
    changes: tuple[Callable[[str], str], ...]
    has_ids: bool = False
    has_wrong_years: bool = True  # a quarter is a year too early, a quarter a year too late


ROWS = {
    "Letterboxd, ratings.csv": Row(letterboxd_ratings, WRITTEN),
    "Letterboxd, watched.csv": Row(letterboxd_watched, WRITTEN),
    "Letterboxd, diary.csv": Row(letterboxd_diary, WRITTEN),
    "IMDb": Row(imdb, WRITTEN, has_ids=True),
    "IMDb, without ids": Row(imdb, WRITTEN),
    "IMDb until 2017": Row(imdb_until_2017, WRITTEN, has_ids=True),
    "IMDb until 2017, without ids": Row(imdb_until_2017, WRITTEN),
    "Trakt": Row(trakt, WRITTEN, has_ids=True),
    "Trakt, without ids": Row(trakt, WRITTEN),
    "MovieLens, site": Row(movielens_site, (article_last,), has_ids=True),
    "MovieLens, site, without ids": Row(movielens_site, (article_last,)),
    "MovieLens, ratings.csv": Row(movielens_release, (unchanged,), has_ids=True),
    "CSV, typed": Row(titles_and_years, TYPED),
    "Netflix": Row(netflix, (*NAMES, without_article, capitals)),
}


def drawn_films(dataset: Dataset, n: int | None, seed: int) -> dict[int, Film]:
    """Draw films with a title and a year, or return all, by item code."""
    frame = dataset.item_frame
    known = np.flatnonzero(frame["title"].notna() & frame["year"].notna())
    ids = {name: pd.to_numeric(frame[name]).fillna(0).astype(int) for name in IDS if name in frame}
    return {
        int(item): Film(
            re.sub(r"\s*\(.*\)", "", frame["title"][item]) or frame["title"][item],
            int(frame["year"][item]),
            **{name: int(values[item]) for name, values in ids.items()},
        )
        for item in np.random.default_rng(seed).permutation(known)[:n]
    }


def written(row: Row, films: Sequence[Film]) -> list[Film]:
    """Return films as a row of the table writes them: changes and wrong years in turn, ids only if it has them."""
    years = cycle((0, 1, 0, -1) if row.has_wrong_years else (0,))
    changed = [
        replace(film, title=change(film.title), year=film.year + wrong)
        for film, change, wrong in zip(films, cycle(row.changes), years, strict=False)
    ]
    return changed if row.has_ids else [replace(film, imdb_id=0, tmdb_id=0, movie_id=0) for film in changed]


def absent_films() -> list[Film]:
    """Return the films and series that the data lack; they have no ids, which would rule them out."""
    frame = pd.read_csv(ABSENT)
    return [Film(row.title, row.year, is_series=row.kind == "series") for row in frame.itertuples()]


def match(matcher: HistoryMatcher, row: Row, films: Sequence[Film]) -> list[MatchedFilm | UnmatchedFilm]:
    """Write films to a file, read it, and match each film by itself; the results are in the order of the films."""
    content = row.write(written(row, films)).encode()
    return matcher.match_each(read_history("history", content).entries)


def outcome_of(found: MatchedFilm | UnmatchedFilm, item: int) -> str:
    """Return the column of the table in which an answer is counted."""
    if isinstance(found, MatchedFilm):
        return "matched" if found.item == item else "wrongly"
    return "ambiguous" if found.reason.startswith("ambiguous") else "not found"


def n_matched_with_others(dataset: Dataset) -> tuple[int, int]:
    """Leave out each film in turn: return how many titles are matched with another film, and how many there are."""
    films = drawn_films(dataset, None, 0)
    years = {item: film.year for item, film in films.items()}
    titles = [None if pd.isna(title) else str(title) for title in dataset.item_frame["title"]]
    index = TitleIndex(titles, [years.get(item) for item in range(dataset.n_items)])
    keys = keys_of([film.title for film in films.values()])
    found = (
        index.find([keys[film.title]], film.year, lambda other, own=item: other != own) for item, film in films.items()
    )
    return sum(len(others.items) == 1 for others in found), len(films)


def main() -> None:
    """Draw, write and match films, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as of train.py: data=ml-latest-small")
    parser.add_argument("--films", type=int, default=200, help="films to draw with each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    dataset = prepared_data(compose("train", arguments.overrides)).dataset
    matcher = HistoryMatcher(dataset)
    drawn = [pair for seed in arguments.seeds for pair in drawn_films(dataset, arguments.films, seed).items()]
    absent = absent_films()
    missed = Table("format", "film", "in the file", "answer")
    table = Table("format", "matched", "wrongly", "ambiguous", "not found", f"of {len(absent)} absent, matched")
    for name, row in ROWS.items():
        counts: Counter[str] = Counter()
        for (item, _), found in zip(drawn, match(matcher, row, [film for _, film in drawn]), strict=True):
            outcome = outcome_of(found, item)
            counts[outcome] += 1
            if outcome in ("wrongly", "not found"):
                missed.add_row(name, matcher.names[item], found.name, outcome)
        of_absent = [found for found in match(matcher, row, absent) if isinstance(found, MatchedFilm)]
        for found in of_absent:
            missed.add_row(name, "absent", found.name, matcher.names[found.item])
        cells = (str(counts[outcome]) for outcome in ("wrongly", "ambiguous", "not found"))
        table.add_row(name, f"{counts['matched'] / len(drawn):.1%}", *cells, str(len(of_absent)))
    console = Console(width=140)
    console.print(missed)
    console.print(table)
    n_wrong, n_films = n_matched_with_others(dataset)
    console.print(f"Each film left out in turn: {n_wrong} of {n_films:,} titles are matched with another film.")


if __name__ == "__main__":
    main()
