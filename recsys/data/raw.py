"""A source's files on this machine, and how each becomes a raw table."""

from __future__ import annotations

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recsys.data.clean import Cleaning
from recsys.errors import UserError

# What may be known of a film. Lists come as text, their elements parted by bars.
LISTS = ("genres", "tags", "keywords", "directors", "actors", "writers")
FILM = ("movie_id", "title", "year", *LISTS, "certificate", "plot", "release_date", "runtime")

# Columns that every raw table has, where need be empty; a file may bring more about users and films.
COLUMNS = {
    "ratings": ("user_id", "movie_id", "rating", "time", "part"),
    "users": ("user_id", "age", "gender", "occupation", "zip_code"),
    "films": FILM,
    "links": ("movie_id", "imdb_id", "tmdb_id"),
    "tags": ("user_id", "movie_id", "tag"),
    "negatives": ("user_id", "movie_ids"),
    "descriptions": (*FILM, "tmdb_id", "original_title"),
}


@dataclass(frozen=True)
class RawTable:
    """A file that becomes a raw table of text, or more rows of one.

    Attributes:
        name: `ratings`, `users`, `films`, `links` (films to other catalogues), `tags`, `negatives`, or `descriptions`
            (metadata of films from elsewhere).
        file: its path, or its name in the folder or archive of the source.
        query: the SELECT in `sql/read` that reads it.
        columns: our name -> the file's name of each column, where the SELECT does not give ours; None: no such column.
        separator: what parts the genres of a film, and the elements of other lists.
        parameters: of the SELECT, beside the file.
        optional: the source may lack the file.
        archive: the zip file that holds the file, or None where it lies open.
        source: which of several gathered sources the rows are of; kept with each of them. None: there is but one.
    """

    name: str
    file: Path
    query: str
    columns: Mapping[str, str | None] | None = None
    separator: str = "|"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False
    archive: Path | None = None
    source: str | None = None

    def unpacked(self, folder: Path) -> RawTable:
        """The same with the file open, under `folder` where an archive has it."""
        if self.archive is None:
            return self
        with zipfile.ZipFile(self.archive) as archive:
            try:
                return replace(self, file=Path(archive.extract(str(self.file), folder)), archive=None)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise UserError(f"the archive {self.archive} is damaged ({error}); fetch it again") from error


@dataclass(frozen=True)
class Raw:
    """A source's files, found on this machine.

    Attributes:
        origin: where they come from, in words.
        tables: the files and how to read them.
        numeric_ids: an id that is no whole number is an error.
    """

    origin: str
    tables: tuple[RawTable, ...]
    numeric_ids: bool = False

    @property
    def paths(self) -> list[Path]:
        """What the digest of the source is made of."""
        return list(dict.fromkeys(table.archive or table.file for table in self.tables))

    def unpacked(self, folder: Path) -> Raw:
        """The same with all files open, each of an archive's in a folder of its own under `folder`."""
        tables = (table.unpacked(folder / str(place)) for place, table in enumerate(self.tables))
        return replace(self, tables=tuple(tables))


class Source(ABC):
    """Where raw tables come from, and how they are to be cleaned.

    Attributes:
        name: of the data set.
        scale: lowest and highest rating that can be given.
        cleaning: what is chosen about cleaning.
        notice: licence and citation, or "".
    """

    name: str
    scale: tuple[float, float]
    cleaning: Cleaning
    notice: str = ""

    @abstractmethod
    def locate(self, cache_dir: Path) -> Raw:
        """Find the files, downloading into `cache_dir` what is to be downloaded.

        Raises:
            UserError: they are not there or not to be had.
        """
