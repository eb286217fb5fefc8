"""Engines (DuckDB or Spark) that read and clean the ratings of a source; all engines yield the same clean tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys.data.clean import clean, count
from recsys.data.columns import write_together
from recsys.data.fingerprint import data_fingerprint
from recsys.data.normalize import move_links, normalize
from recsys.data.rating_scale import guessed_scale
from recsys.data.raw import Raw, Source
from recsys.data.read import read
from recsys.errors import UserError

SCALE = "ratings are from {:g} to {:g} (data.scale)"  # a line of `Cleaned.read_as`


@dataclass(frozen=True)
class Cleaned:
    """What an engine reports on a data set; `prepared.Report` has attributes of the same names and describes them."""

    rows_read: int
    scale: tuple[float, float]
    dropped: dict[str, int]
    read_as: tuple[str, ...]


class Engine(ABC):
    """Base class of engines, which read and clean the ratings of a source.

    Whatever the engine, DuckDB reads and cleans the users and items.

    Args:
        memory_limit: DuckDB's memory limit, such as `4GB`, above which it spills to disk.
    """

    def __init__(self, memory_limit: str = "4GB") -> None:
        self.memory_limit = memory_limit

    @abstractmethod
    def fingerprint(self, source: Source, raw: Raw, cache_dir: Path) -> str:
        """Return the fingerprint of a source's data set; see `recsys.data.fingerprint`.

        Args:
            source: the source, with its rating scale and cleaning options.
            raw: the files of the source, and how to read them.
            cache_dir: folder of the cache, in which the digests of files are stored.

        Raises:
            UserError: the engine cannot read this source.
        """

    @abstractmethod
    def clean(
        self, connection: duckdb.DuckDBPyConnection, source: Source, raw: Raw, scratch: Path, tables: Path
    ) -> Cleaned:
        """Read a source's files into raw tables, and clean them.

        The clean ratings are written to `ratings.parquet` in the folder `tables`. Afterwards the database contains the
        clean tables `ratings`, `users`, `films`, `parts` and `negatives`, and all raw tables except perhaps
        `raw_ratings`.

        Args:
            connection: a connection to an empty DuckDB database.
            source: the source, with its rating scale and cleaning options.
            raw: the files of the source, and how to read them.
            scratch: folder for temporary files.
            tables: folder for the clean tables.

        Raises:
            UserError: a file cannot be read, or no rating is left.
        """


class DuckDB(Engine):
    """Reads and cleans ratings by DuckDB on this machine, with the SQL in `recsys/data/sql`."""

    def fingerprint(self, source: Source, raw: Raw, cache_dir: Path) -> str:
        """Return a digest of the source's files and of how they are read and cleaned.

        Raises:
            UserError: the ratings are remote, so only Spark can read them.
        """
        if raw.remote is not None:
            raise UserError(f"Only Spark reads {raw.remote.place}: set engine=spark.")
        return data_fingerprint(source, raw, cache_dir)

    def clean(
        self, connection: duckdb.DuckDBPyConnection, source: Source, raw: Raw, scratch: Path, tables: Path
    ) -> Cleaned:
        """Read and clean a source in this process; DuckDB spills to disk above the memory limit. See `Engine.clean`."""
        read_as = read(connection, raw.unpacked(scratch), scratch)
        read_as += normalize(connection, "raw_films")
        move_links(connection)
        rows_read = count(connection, "raw_ratings")
        scale = source.scale
        if scale is None:
            scale = guessed_scale(connection)
            if scale[0] < scale[1]:
                read_as.append(SCALE.format(*scale))
        dropped = clean(connection, scale, source.cleaning)
        write_together(connection.table("ratings"), tables / "ratings.parquet")
        [(has_ratings,)] = connection.execute("SELECT count(rating) > 0 FROM raw_ratings").fetchall()
        return Cleaned(rows_read, scale if has_ratings else (1.0, 1.0), dropped, tuple(read_as))
