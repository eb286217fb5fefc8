"""`Source`, and the raw tables that it yields: its local files or remote ratings, and how to read them."""

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

# Metadata of items. Lists are text with a bar between the elements.
LIST_COLUMNS = ("genres", "tags", "keywords", "directors", "actors", "writers")
ITEM_COLUMNS = ("movie_id", "title", "year", *LIST_COLUMNS, "certificate", "plot", "release_date", "runtime")

# Columns of the raw tables, empty if a source lacks them; files of users and items may have more.
COLUMNS = {
    "ratings": ("user_id", "movie_id", "rating", "time", "part"),
    "users": ("user_id", "age", "gender", "occupation", "zip_code"),
    "films": ITEM_COLUMNS,
    "links": ("movie_id", "imdb_id", "tmdb_id"),
    "tags": ("user_id", "movie_id", "tag"),
    "negatives": ("user_id", "movie_ids"),
    "descriptions": (*ITEM_COLUMNS, "tmdb_id", "original_title"),
}


@dataclass(frozen=True)
class RawTable:
    """A file and how to read it into a raw table, whose columns are text; several files may be read into one table.

    Attributes:
        name: name of the raw table: `ratings`, `users`, `films`, `links` (ids of items in other catalogues), `tags`,
            `negatives`, or `descriptions` (external metadata of items).
        file: path of the file; if the file is in an archive, its path inside the archive; in a `Layout` or `Release`,
            only a file name or a pattern of file names.
        query: how to read the file: the name of a SELECT in `sql/read`, or the text of a SELECT, or `file` to detect
            the file's format.
        columns: standard column name (see `COLUMNS`) -> column name in the file, or None for a column that the file
            lacks. Not needed if the SELECT returns standard names.
        separator: separator between the genres of an item, and between the elements of other lists.
        parameters: parameters of the SELECT apart from the file; if `query` is `file`, the fields of `dialect.Reading`.
        optional: whether the file may be missing.
        archive: the zip file that contains the file, or None.
        source: if several sources are gathered, the name of the source that the file belongs to, which is stored in
            each row; otherwise None.
        others: further files that the SELECT reads. If `query` is the text of a SELECT, it refers to all files
            as `$files`, or to the further files as `$file2`, `$file3` and so on. A SELECT in `sql/read` refers to the
            further file NAME.csv as `$NAME`.
        omitted: text of a SELECT that counts the rows of the files that `query` leaves out; each row of its result is a
            number and the reason. It has the same parameters as `query`, and does not change the raw table. None if
            there is nothing to count.
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
    others: tuple[Path, ...] = ()
    omitted: str | None = None

    def unpacked(self, folder: Path) -> RawTable:
        """Return this object with its file unpacked into `folder` if the file is in an archive, otherwise unchanged.

        Raises:
            UserError: the archive is damaged.
        """
        if self.archive is None:
            return self
        with zipfile.ZipFile(self.archive) as archive:
            try:
                return replace(self, file=Path(archive.extract(str(self.file), folder)), archive=None)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise UserError(f"The archive {self.archive} is damaged ({error}): download it again.") from error


@dataclass(frozen=True)
class Remote:
    """Ratings that only Spark can read: files of a remote file system, or a table of a database.

    Attributes:
        place: the address without passwords, for messages.
        address: the address, such as `s3a://BUCKET/FOLDER`, `hdfs://...` or `jdbc:...`.
        columns: standard column name -> column name in the source, or None for a column that the source lacks.
        table: name of the table in a database, or None for files.
        reading: settings of how to read the files: the attributes of `dialect.Reading`.
    """

    place: str
    address: str = field(repr=False)
    columns: Mapping[str, str | None]
    table: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """What a source yields: its local files, its remote ratings if it has any, and how to read them.

    Attributes:
        origin: path or address of the files as text, for reports and messages.
        tables: the files and how to read them.
        numeric_ids: whether reading fails if an id in a file of ratings is not a number; True for releases such as
            MovieLens, in which all ids are numbers.
        remote: the remote ratings, or None if the ratings are in local files.
    """

    origin: str
    tables: tuple[RawTable, ...]
    numeric_ids: bool = False
    remote: Remote | None = None

    @property
    def paths(self) -> list[Path]:
        """Return the files and archives whose contents the fingerprint covers, each once."""
        return list(dict.fromkeys(p for table in self.tables for p in (table.archive or table.file, *table.others)))

    def unpacked(self, folder: Path) -> Raw:
        """Return this object with the files that are in archives unpacked, each into its own folder inside `folder`.

        Raises:
            UserError: an archive is damaged.
        """
        tables = (table.unpacked(folder / str(place)) for place, table in enumerate(self.tables))
        return replace(self, tables=tuple(tables))


class Source(ABC):
    """Base class of sources of ratings, users and items, with the options for cleaning them.

    Attributes:
        name: name of the data set.
        scale: lowest and highest possible rating; None to guess them from the ratings, see `rating_scale.scale_of`.
        cleaning: cleaning options.
        notice: text about licence and citation that is printed when the source is prepared, or "".
    """

    name: str
    scale: tuple[float, float] | None
    cleaning: Cleaning
    notice: str = ""

    @abstractmethod
    def locate(self, cache_dir: Path) -> Raw:
        """Return the files of the source and how to read them; missing files are downloaded into `cache_dir`.

        Raises:
            UserError: the files do not exist or cannot be downloaded.
        """
