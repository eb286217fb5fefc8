"""Raw tables of a source: local files, or remote ratings that Spark reads, and how to read them."""

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
    """A file that is read into a raw table of text; several files may be read into one table.

    Attributes:
        name: name of the table: `ratings`, `users`, `films`, `links` (of items to other catalogues), `tags`,
            `negatives`, or `descriptions` (external metadata of items).
        file: path of the file; in an archive, its path there; in a table of `Layout` or `Release`, its name or a
            pattern of names.
        query: name of the SELECT in `sql/read` that reads the file, or `file` to detect its format, or a SELECT itself.
        columns: standard name (see `COLUMNS`) -> the file's name of each column, or None for a column that the file
            lacks; only if the SELECT does not return standard names.
        separator: separator of the genres of an item, and of the elements of other lists.
        parameters: parameters of the SELECT besides the file, or the fields of `dialect.Reading`.
        optional: whether the source may lack the file.
        archive: the zip file that contains the file, or None.
        source: name of the gathered source of the rows, which each row stores; None if there is only one source.
        others: further files that the SELECT reads. In a SELECT itself, `$files` stands for all files, or `$file2`,
            `$file3` and so on for the further ones; in a SELECT of `sql/read`, `$NAME` stands for NAME.csv.
        omitted: SELECT of the numbers of rows of the files that `query`, a SELECT itself, omits, and the rule of each
            number; or None. It has the parameters of `query`. The table does not depend on it.
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
        """Return the table with its file unpacked into `folder`, if the file is in an archive.

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
        place: the address without a password, for messages.
        address: the address, such as `s3a://BUCKET/FOLDER`, `hdfs://...` or `jdbc:...`.
        columns: standard name -> the source's name of each column, or None for a column that it lacks.
        table: name of the table in a database, or None for files.
        reading: how to read files: the attributes of `dialect.Reading`.
    """

    place: str
    address: str = field(repr=False)
    columns: Mapping[str, str | None]
    table: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """The local files of a source, and its remote ratings, if any.

    Attributes:
        origin: where the files come from, as text.
        tables: the files and how to read them.
        numeric_ids: whether reading fails if an id in a file of ratings is not a number, as all are in releases such as
            MovieLens.
        remote: the ratings if they are remote, otherwise None.
    """

    origin: str
    tables: tuple[RawTable, ...]
    numeric_ids: bool = False
    remote: Remote | None = None

    @property
    def paths(self) -> list[Path]:
        """Return the files whose contents determine the fingerprint: each archive or file once."""
        return list(dict.fromkeys(p for table in self.tables for p in (table.archive or table.file, *table.others)))

    def unpacked(self, folder: Path) -> Raw:
        """Unpack the files that are in archives, each into its own folder inside `folder`.

        Raises:
            UserError: an archive is damaged.
        """
        tables = (table.unpacked(folder / str(place)) for place, table in enumerate(self.tables))
        return replace(self, tables=tuple(tables))


class Source(ABC):
    """A source of raw tables, with the options of their cleaning.

    Attributes:
        name: name of the data set.
        scale: lowest and highest possible rating; None to guess them from the ratings, see `rating_scale.scale_of`.
        cleaning: cleaning options.
        notice: licence and citation, which preparation prints, or "".
    """

    name: str
    scale: tuple[float, float] | None
    cleaning: Cleaning
    notice: str = ""

    @abstractmethod
    def locate(self, cache_dir: Path) -> Raw:
        """Return the files of the source, downloading them into `cache_dir` where needed.

        Raises:
            UserError: the files do not exist or cannot be downloaded.
        """
