"""Ratings in a user's own files: delimited text, JSON or Parquet, in any compression and encoding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from recsys.data.clean import FURTHER_COLUMNS, Cleaning, checked_scale
from recsys.data.dialect import MISSING, Reading
from recsys.data.raw import Raw, RawTable, Remote, Source
from recsys.data.read import FILE, ROW
from recsys.data.sources.paths import existing, existing_file, matching

_ADDRESS = re.compile(r"(?!https?:)\w+://")  # of a remote file system, which Spark reads


class Files(Source):
    """Ratings in files of delimited text, JSON or Parquet, optionally with files of users and items.

    Format, compression (gzip, bzip2, xz, Zstandard, or zip of one file), encoding and dialect are detected from the
    content of a file; its name only decides between delimiters that fit equally well. Settings below that are None are
    detected, and printed if they are unusual. A file with a row that cannot be read is an error.

    Args:
        path: file of the ratings, or a folder if there is a `glob`. None if this is one of several gathered sources and
            has only users or items.
        columns: standard name -> the file's name of each column: `user_id`, `movie_id` and, if there are such columns,
            `rating`, `time` (numbers or dates, see `time_format`), `part` (the source's own partition), `label` (rows
            with 0 or less, or false, are dropped as negatives) and `plays` (how often, or how long, the item was
            played; plays of the same user and item are added up). `row` as the time states that rows are in order of
            time: times are then row numbers, of which only the order is meaningful.
        glob: pattern of the files of ratings below the folder, such as `**/*.parquet`, which are read in the order of
            their names. A folder named `column=value` adds a column to the files below it.
        users_path: file of users.
        users_columns: standard name -> the file's name of each column, where they differ: `user_id`, and any of `age`,
            `gender`, `occupation`, `zip_code` or names of your own.
        films_path: file of items.
        films_columns: standard name -> the file's name of each column, where they differ: `movie_id`, and any of
            `raw.ITEM_COLUMNS` or names of your own.
        header: names of all columns in order, for text files of ratings without a header. A column in `columns` that
            is mapped to its own name, and that the header lacks, counts as missing.
        delimiter: separator of the fields of text files of ratings.
        quote: quotation mark of fields that contain the delimiter, or "" for none.
        encoding: encoding of all text files, as Python names it.
        decimal: decimal mark of ratings and times, a point or a comma.
        time_format: unit of times since 1970, `s`, `ms`, `us` or `ns`, or their format as for strptime, such as
            `%m/%d/%Y`.
        missing: texts or numbers that stand for a missing id, rating or time.
        skip: number of lines, such as comments, before the header of text files of ratings or, without a header, before
            the first row.
        genre_separator: separator of the genres of an item, and of the elements of other lists.
        scale: lowest and highest possible rating; None takes the first common scale that contains all ratings,
            otherwise the range of the ratings.
        name: name of the data set.
        cleaning: cleaning options, of which `earliest` has no effect if times are row numbers.

    Raises:
        UserError: a setting is not valid.
    """

    def __init__(
        self,
        path: str | None,
        columns: Mapping[str, str | None],
        users_path: str | None = None,
        users_columns: Mapping[str, str | None] | None = None,
        films_path: str | None = None,
        films_columns: Mapping[str, str | None] | None = None,
        header: Sequence[str] = (),
        delimiter: str | None = None,
        genre_separator: str = "|",
        scale: tuple[float, float] | None = None,
        name: str = "files",
        cleaning: Cleaning = Cleaning(),
        glob: str | None = None,
        quote: str | None = None,
        encoding: str | None = None,
        decimal: str | None = None,
        time_format: str | None = None,
        missing: Sequence[str | float] = MISSING,
        skip: int = 0,
    ) -> None:
        self.reading = Reading(
            tuple(header), delimiter, quote, encoding, decimal, time_format, tuple(map(str, missing)), skip=skip
        )
        self.path = path
        self.glob = glob
        self.columns = {
            ours: theirs for ours, theirs in columns.items() if theirs is not None or ours not in FURTHER_COLUMNS
        }
        self.described = {"users": (users_path, users_columns), "films": (films_path, films_columns)}
        self.genre_separator = genre_separator
        self.scale = None if scale is None else checked_scale(scale)
        self.name = name
        self.cleaning = replace(cleaning, earliest="1970-01-01") if columns.get("time") == ROW else cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Return the files; remote files, which Spark reads, are described by their address.

        Raises:
            UserError: a local file does not exist, no file matches the `glob`, or no path is given.
        """
        remote, tables = None, []
        if self.path is not None and _ADDRESS.match(self.path):
            remote = self._remote(self.path)
        elif self.path is not None:
            tables = self._ratings(self.path)
        reading = Reading(encoding=self.reading.encoding, missing=self.reading.missing).parameters()
        for name, (path, columns) in self.described.items():
            if path is not None:
                tables.append(RawTable(name, existing_file(path), FILE, columns, self.genre_separator, reading))
        if not tables and remote is None:
            existing(None)
        is_whole = self.glob is not None or remote is not None
        return Raw(str(self.path if is_whole else tables[0].file), tuple(tables), remote=remote)

    def _remote(self, path: str) -> Remote:
        """Describe the files of ratings at an address such as `s3a://BUCKET/FOLDER`."""
        address = path if self.glob is None else f"{path.rstrip('/')}/{self.glob}"
        return Remote(address, address, self._named_columns(), reading=self.reading.parameters())

    def _ratings(self, path: str) -> list[RawTable]:
        """Describe how to read each file of ratings.

        Raises:
            UserError: the file does not exist, or no file matches the `glob`.
        """
        columns = self._named_columns()
        if self.glob is None:
            return [RawTable("ratings", existing_file(path), FILE, columns, parameters=self.reading.parameters())]
        tables = []
        for file in matching(folder := existing(path), self.glob):
            named = [part.partition("=") for part in file.relative_to(folder).parts[:-1] if "=" in part]
            constants = {name: value for name, _, value in named}
            reading = replace(self.reading, constants=constants)
            tables.append(RawTable("ratings", file, FILE, columns, parameters=reading.parameters()))
        return tables

    def _named_columns(self) -> dict[str, str | None]:
        """Return the file's name of each column by standard name; None for columns that a given header lacks."""
        header = self.reading.header
        return {
            ours: None if header and theirs == ours and theirs not in header else theirs
            for ours, theirs in self.columns.items()
        }
