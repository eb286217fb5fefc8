"""Local copies of published data sets that cannot be downloaded automatically, in their publishers' file layouts.

The configs in `configs/data` cite the documentation of each layout.
"""

# ruff: noqa: S608 - SQL is put together from constants of this file only

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.quoting import literal
from recsys.data.raw import Raw, RawTable, Source
from recsys.data.readers import LINE, delimited, headed, json_lines
from recsys.data.sources.paths import existing
from recsys.errors import UserError, one_of

Scale = tuple[float, float]
SEEN: Scale = (1, 1)  # scale of data without ratings
_SPREADSHEETS = (".xls", ".xlsx", ".ods")


@dataclass(frozen=True)
class Layout:
    """The file layout of a published data set.

    Attributes:
        tables: how to read the files; the `file` of each table is a pattern of file names. Each file is assigned to the
            first pattern that its name matches, and is read into every table that has this pattern.
        scale: lowest and highest possible rating.
        plays: SQL expression for the plays (how often or for how long the item was played) in a row of ratings; None if
            the data set has no plays.
    """

    tables: tuple[RawTable, ...]
    scale: Scale
    plays: str | None = None


class Published(Source):
    """A data set on disk in the file layout of its publisher.

    Args:
        name: name of the data set, and of its layout in `LAYOUTS`.
        path: the unpacked folder, or the file of ratings if the layout has only this file. It is required, although
            None raises an error only in `locate`.
        cleaning: cleaning options.
        plays: whether to read how often, or for how long, each item was played, for models that weight interactions by
            plays.

    Raises:
        UserError: the name is unknown, or `plays` is true for a layout without plays.
    """

    def __init__(
        self, name: str, path: str | None = None, cleaning: Cleaning = Cleaning(), plays: bool = False
    ) -> None:
        self.name = one_of("data.name", name, LAYOUTS)
        if plays and LAYOUTS[name].plays is None:
            raise UserError(f"data.plays must be false for {name}, which has no plays (got true).")
        self.path = path
        self.plays = plays
        self.scale = LAYOUTS[name].scale
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Return the files of the data set and how to read them.

        Raises:
            UserError: no path is given, the path or the file of ratings does not exist, or a file is a spreadsheet.
        """
        path, layout = existing(self.path), LAYOUTS[self.name]
        tables = [_with_plays(table, layout.plays) if self.plays else table for table in layout.tables]
        files = sorted([*path.glob("*"), *path.glob("*/*")]) if path.is_dir() else [path]
        _refuse_spreadsheets(files, tables)
        by_pattern = _by_pattern([file for file in files if file.is_file()], tables)
        found = tuple(read for table in tables for read in _read(by_pattern[table.file], table))
        if not any(table.name == "ratings" for table in found):
            names = dict.fromkeys(str(table.file) for table in tables if table.name == "ratings")
            raise UserError(f"data.path must hold the file {' or '.join(names)} of {self.name} (got {path}).")
        return Raw(str(path), found)


def _with_plays(table: RawTable, plays: str | None) -> RawTable:
    """Return a table of ratings with a column of plays added to its SELECT; return any other table unchanged."""
    if table.name != "ratings":
        return table
    return replace(table, query=f"SELECT {plays} AS plays, {table.query.strip().removeprefix('SELECT')}")


def _refuse_spreadsheets(files: Sequence[Path], tables: Sequence[RawTable]) -> None:
    """Check that no file of the layout is a spreadsheet that was not saved as CSV.

    Raises:
        UserError: a file is a spreadsheet.
    """
    for file in files:
        saved = file.with_suffix(".csv")
        in_layout = any(saved.match(str(table.file)) for table in tables)
        if file.suffix.lower() in _SPREADSHEETS and in_layout and saved not in files:
            raise UserError(f"{file} must be text, but is a spreadsheet: save it as CSV, to {saved.name}.")


def _by_pattern(files: Sequence[Path], tables: Iterable[RawTable]) -> dict[Path, list[Path]]:
    """Return pattern -> files with matching names; a file that matches several patterns belongs to the first."""
    matching: dict[Path, list[Path]] = {table.file: [] for table in tables}
    for file in files:
        pattern = next((pattern for pattern in matching if file.match(str(pattern))), None)
        if pattern is not None:
            matching[pattern].append(file)
    return matching


def _read(files: Sequence[Path], table: RawTable) -> list[RawTable]:
    """Return raw tables that read the files: a single one if the SELECT can read several files, else one per file."""
    if files and "$files" in table.query:
        return [replace(table, file=files[0], others=tuple(files[1:]))]
    return [replace(table, file=file) for file in files]


_LINES = delimited(*LINE, file="$files")
_LINE = delimited(*LINE, "max_line_size = 50000000")
# Netflix Prize: a line `FILM:`, then its ratings as `USER,RATING,DATE`, in a file for each film or in four files.
_NETFLIX_RATINGS = f"""
SELECT split_part(line, ',', 1) AS user_id, movie_id, split_part(line, ',', 2) AS rating,
    split_part(line, ',', 3) AS time
FROM (
    SELECT trim(line) AS line, last_value(nullif(regexp_extract(line, '^(\\d+):', 1), '') IGNORE NULLS) OVER (
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS movie_id
    FROM {_LINES})
WHERE NOT suffix(line, ':')
"""
# Titles contain commas and are not quoted.
_NETFLIX_FILMS = f"""
SELECT split_part(line, ',', 1) AS movie_id, nullif(split_part(line, ',', 2), 'NULL') AS year,
    regexp_extract(line, '^[^,]*,[^,]*,(.*)$', 1) AS title
FROM {_LINE}
"""
# Jester: a row for each user with the number of ratings, then a rating of each item; 99 stands for a missing rating.
_JESTER = f"""
SELECT user_id, movie_id, rating FROM (
    SELECT user_id, unnest(ratings) AS rating, generate_subscripts(ratings, 1) AS movie_id
    FROM (SELECT row_number() OVER () AS user_id, string_split(line, ',')[2:] AS ratings FROM {_LINES}))
WHERE try_cast(rating AS DOUBLE) IS DISTINCT FROM 99
"""


def _python_text(key: str) -> str:
    """Return SQL that extracts the text value of a key from a line that is the repr of a Python dict."""
    pattern = rf"""'{key}': u?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")"""
    found = " || ".join(f"regexp_extract(line, {literal(pattern)}, {group})" for group in (1, 2))
    return f"nullif({found}, '')"


_STEAM_REVIEWS = f"""
SELECT {_python_text("username")} AS user_id, {_python_text("product_id")} AS movie_id, {_python_text("date")} AS time
FROM {_LINE}
"""
_STEAM_ITEMS = f"""
SELECT {_python_text("user_id")} AS user_id,
    unnest(regexp_extract_all(line, '''item_id'': u?''(\\d+)''', 1)) AS movie_id
FROM {_LINE}
"""
_STEAM_MINUTES = r"unnest(regexp_extract_all(line, '''playtime_forever'': (\d+)', 1))"
_STEAM_200K = delimited("user_id game behavior hours zero", quote='"')
_AMAZON_2018 = "SELECT reviewerID AS user_id, asin AS movie_id, overall AS rating, unixReviewTime AS time FROM "
_PLOT = (
    "if(json_type(description) = 'ARRAY', array_to_string(description ->> '$[*]', ' '), description ->> '$') AS plot"
)
_MILLISECONDS = "try_cast(timestamp AS BIGINT) // 1000 AS time"
_AMAZON_2023 = f"SELECT user_id, parent_asin AS movie_id, rating, {_MILLISECONDS} FROM "
_YAHOO = "SELECT user_id, movie_id, {rating} AS rating, {part} AS part FROM "
_YAHOO_MOVIES = delimited("user_id movie_id grade rating", "\t")
_YAHOO_MUSIC = delimited("user_id movie_id rating", "\t")
_YAHOO_ARTISTS = "SELECT user_id, movie_id, if(rating = '255', '0', rating) AS rating FROM "  # 255: never play again
_YAHOO_FILMS = f"""
SELECT fields[1] AS movie_id, fields[2] AS title, fields[3] AS plot, fields[4] AS runtime, fields[5] AS certificate,
    fields[7] AS release_date, fields[10] AS poster, fields[11] AS genres, fields[12] AS directors, fields[17] AS actors
FROM (SELECT string_split(line, chr(9)) AS fields FROM {_LINE})
"""
_LASTFM_1K = delimited("user_id time artist_id artist track_id track", "\t")
_LASTFM_360K = delimited("user_id artist_id artist plays", "\t")
_ARTIST = "coalesce(nullif(artist_id, ''), artist)"  # not every artist has an id
_ARTISTS = f"SELECT {_ARTIST} AS movie_id, min(artist) AS title FROM {{source}} GROUP BY ALL"
_DOUBAN = delimited("id name chinese crawled number user_id time rating comment likes", quote='"', header=True)
_KAGGLE_RATINGS = {"user_id": "userId", "movie_id": "movieId", "rating": "rating", "time": "timestamp"}
_KAGGLE_LINKS = {"movie_id": "movieId", "imdb_id": "imdbId", "tmdb_id": "tmdbId"}


def _table(name: str, pattern: str, query: str, separator: str = "|") -> RawTable:
    return RawTable(name, Path(pattern), query, separator=separator)


def _kaggle(suffix: str) -> Layout:
    ratings = RawTable("ratings", Path(f"ratings{suffix}.csv"), "csv", _KAGGLE_RATINGS)
    return Layout((ratings, RawTable("links", Path(f"links{suffix}.csv"), "csv", _KAGGLE_LINKS)), (0.5, 5))


def _parts(scale: Scale, source: str, rating: str, **patterns: Sequence[str]) -> Layout:
    """Return the layout of a data set whose parts, such as train and test, are in separate files.

    Args:
        scale: lowest and highest possible rating.
        source: call of `read_csv`, as SQL, that reads a file.
        rating: SQL expression for the rating.
        **patterns: name of a part -> patterns of the names of its files.
    """
    tables = [
        _table("ratings", pattern, _YAHOO.format(rating=rating, part=literal(part)) + source)
        for part, names in patterns.items()
        for pattern in names
    ]
    return Layout(tuple(tables), scale)


def _kdd_cup_ratings(part: str) -> str:
    """Return a SELECT for the ratings of a part of KDD Cup 2011.

    In the file, a line `USER|NUMBER` precedes the user's ratings, which are lines of item, score, day and time.
    """
    return f"""
    SELECT user_id, fields[1] AS movie_id, fields[2] AS rating, {literal(part)} AS part,
        try_cast(fields[3] AS BIGINT) * 86400 + epoch(try_cast(fields[4] AS TIME)) AS time
    FROM (
        SELECT string_split(line, chr(9)) AS fields,
            last_value(nullif(regexp_extract(line, '^(\\d+)\\|', 1), '') IGNORE NULLS) OVER (
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS user_id
        FROM {_LINES})
    WHERE len(fields) > 1
    """


def _kdd_cup_items(first_genre: int) -> str:
    """Return a SELECT for the tracks or albums of KDD Cup 2011; the fields from `first_genre` on are ids of genres."""
    return f"""
    SELECT fields[1] AS movie_id, array_to_string(fields[{first_genre}:], '|') AS genres
    FROM (SELECT string_split(line, '|') AS fields FROM {_LINE})
    """


def _kdd_cup(track: int) -> Layout:
    """Return the layout of track 1 or 2 of KDD Cup 2011; the competition's validation ratings become the part `test`.

    The competition's own test ratings are not read, because their values were not published.
    """
    tables = (
        _table("ratings", f"trainIdx{track}*.txt", _kdd_cup_ratings("train")),
        _table("ratings", f"validationIdx{track}*.txt", _kdd_cup_ratings("test")),
        _table("films", f"trackData{track}*.txt", _kdd_cup_items(4)),
        _table("films", f"albumData{track}*.txt", _kdd_cup_items(3)),
    )
    return Layout(tables, (0, 100))


_YAHOO_MOVIES_PARTS = _parts(
    (1, 5), _YAHOO_MOVIES, "rating", train=["*ratings-train*.txt"], test=["*ratings-test*.txt"]
)
LAYOUTS = {
    "amazon-2018": Layout(
        (
            _table(
                "films",
                "meta_*.json*",
                f"SELECT asin AS movie_id, title, {_PLOT}, category AS genres, brand FROM "
                + json_lines("asin title category brand", "description"),
            ),
            _table("ratings", "*.json*", _AMAZON_2018 + json_lines("reviewerID asin overall unixReviewTime")),
            _table("ratings", "*.csv*", _AMAZON_2018 + delimited("asin reviewerID overall unixReviewTime")),
        ),
        (1, 5),
    ),
    "amazon-2023": Layout(
        (
            _table(
                "films",
                "meta_*.jsonl*",
                f"SELECT parent_asin AS movie_id, title, {_PLOT}, categories AS genres, store FROM "
                + json_lines("parent_asin title categories store", "description"),
            ),
            _table("ratings", "*.jsonl*", _AMAZON_2023 + json_lines("user_id parent_asin rating timestamp")),
            _table("ratings", "*.csv*", _AMAZON_2023 + delimited("user_id parent_asin rating timestamp", header=True)),
        ),
        (1, 5),
    ),
    "douban": Layout(
        (
            _table("ratings", "DMSC.csv", f"SELECT user_id, name AS movie_id, rating, time FROM {_DOUBAN}"),
            _table("films", "DMSC.csv", f"SELECT name AS movie_id, name AS title, chinese FROM {_DOUBAN} GROUP BY ALL"),
        ),
        (1, 5),
    ),
    "imdb-ratings": Layout(
        (
            _table(
                "ratings",
                "*.csv",
                'SELECT \'me\' AS user_id, "Const" AS movie_id, "Your Rating" AS rating, "Date Rated" AS time FROM '
                + headed(),
            ),
            _table(
                "films",
                "*.csv",
                'SELECT "Const" AS movie_id, "Const" AS imdb_id, "Title" AS title, "Year" AS year, "Genres" AS genres, '
                '"Directors" AS directors, "Runtime (mins)" AS runtime FROM ' + headed(),
                ", ",
            ),
        ),
        (1, 10),
    ),
    "jester": Layout((_table("ratings", "*[jJ]ester*.csv", _JESTER),), (-10, 10)),
    "kaggle-movies": _kaggle(""),
    "kaggle-movies-small": _kaggle("_small"),
    "kddcup-2011-track1": _kdd_cup(1),
    "kddcup-2011-track2": _kdd_cup(2),
    "lastfm-1k": Layout(
        (
            _table(
                "ratings", "userid-timestamp-*.tsv", f"SELECT user_id, {_ARTIST} AS movie_id, time FROM {_LASTFM_1K}"
            ),
            _table("films", "userid-timestamp-*.tsv", _ARTISTS.format(source=_LASTFM_1K)),
            _table(
                "users",
                "userid-profile.tsv",
                "SELECT * FROM " + delimited("user_id gender age country registered", "\t", header=True),
            ),
        ),
        SEEN,
        plays="1",
    ),
    "lastfm-360k": Layout(
        (
            _table("ratings", "usersha1-artmbid-*.tsv", f"SELECT user_id, {_ARTIST} AS movie_id FROM {_LASTFM_360K}"),
            _table("films", "usersha1-artmbid-*.tsv", _ARTISTS.format(source=_LASTFM_360K)),
            _table(
                "users",
                "usersha1-profile.tsv",
                "SELECT * FROM " + delimited("user_id gender age country registered", "\t"),
            ),
        ),
        SEEN,
        plays="plays",
    ),
    "lastfm-hetrec": Layout(
        (
            _table(
                "ratings",
                "user_artists.dat",
                "SELECT user_id, movie_id FROM " + delimited("user_id movie_id plays", "\t", header=True),
            ),
            _table(
                "films",
                "artists.dat",
                "SELECT movie_id, title, url FROM " + delimited("movie_id title url picture", "\t", header=True),
            ),
        ),
        SEEN,
        plays="plays",
    ),
    "letterboxd": Layout(
        (
            _table(
                "ratings",
                "ratings.csv",
                'SELECT \'me\' AS user_id, "Letterboxd URI" AS movie_id, "Rating" AS rating, "Date" AS time FROM '
                + headed(),
            ),
            _table(
                "films",
                "ratings.csv",
                'SELECT "Letterboxd URI" AS movie_id, "Name" AS title, "Year" AS year FROM ' + headed(),
            ),
        ),
        (0.5, 5),
    ),
    "movietweetings": Layout(
        (
            _table("ratings", "ratings.dat", "SELECT * FROM " + delimited("user_id movie_id rating time", "::")),
            _table(
                "films",
                "movies.dat",
                "SELECT *, movie_id AS imdb_id FROM " + delimited("movie_id title genres", "::"),
            ),
            _table("users", "users.dat", "SELECT * FROM " + delimited("user_id twitter_id", "::")),
        ),
        (0, 10),
    ),
    "netflix": Layout(
        (
            _table("ratings", "combined_data_*.txt", _NETFLIX_RATINGS),
            _table("ratings", "mv_*.txt", _NETFLIX_RATINGS),
            _table("films", "movie_titles.*", _NETFLIX_FILMS),
        ),
        (1, 5),
    ),
    "steam-200k": Layout(
        (
            _table("ratings", "steam*.csv", f"SELECT user_id, game AS movie_id FROM {_STEAM_200K}"),
            _table("films", "steam*.csv", f"SELECT game AS movie_id, game AS title FROM {_STEAM_200K} GROUP BY ALL"),
        ),
        SEEN,
        plays="if(behavior = 'play', hours, '0')",
    ),
    "steam-items": Layout((_table("ratings", "*users_items.json*", _STEAM_ITEMS),), SEEN, plays=_STEAM_MINUTES),
    "steam-reviews": Layout((_table("ratings", "*reviews*.json*", _STEAM_REVIEWS),), SEEN),
    "yahoo-artists": Layout(
        (
            _table("ratings", "*user-artist-ratings*.txt", _YAHOO_ARTISTS + _YAHOO_MUSIC),
            _table("films", "*artist-names*.txt", "SELECT * FROM " + delimited("movie_id title", "\t")),
        ),
        (0, 100),
    ),
    "yahoo-movies": replace(
        _YAHOO_MOVIES_PARTS,
        tables=(*_YAHOO_MOVIES_PARTS.tables, _table("films", "*movie-content-descr*.txt", _YAHOO_FILMS)),
    ),
    "yahoo-music": _parts(
        (1, 5), _YAHOO_MUSIC, "rating", train=["*-train.txt", "train_*.txt"], test=["*-test.txt", "test_*.txt"]
    ),
}
