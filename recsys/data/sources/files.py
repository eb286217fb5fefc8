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
    content of a file; its name only decides between delimiters that fit equally well. Parsing settings that are None
    are detected, and detected values are printed if they are unusual. If a row of a file cannot be read, preparation
    fails.

    Args:
        path: file of the ratings, or a folder if `glob` is given. None is allowed only in a `Gathered` source, for
            files of users or items without ratings.
        columns: standard column name -> column name in the file of ratings. The standard names are `user_id`,
            `movie_id` and, if the file has such columns, `rating`, `time` (numbers or dates, see `time_format`), `part`
            (the source's own partition, such as train and test), `label` (rows with 0 or less, or false, are dropped as
            negatives) and `plays` (how often, or for how long, the item was played; plays of the same user and item are
            added up). `time: row` states that rows are in order of time: row numbers then serve as times, and only
            their order is meaningful.
        glob: pattern of the paths of the ratings' files below the folder `path`, such as `**/*.parquet`; the files are
            read in the order of their paths. A folder named `column=value` adds a column with this value to the files
            below it.
        users_path: file of users, or None.
        users_columns: standard column name -> column name in the file of users, where the two differ. The names are
            `user_id`, and any of `age`, `gender`, `occupation`, `zip_code` or names of your own.
        films_path: file of items, or None.
        films_columns: standard column name -> column name in the file of items, where the two differ. The names are
            `movie_id`, and any of `raw.ITEM_COLUMNS` or names of your own.
        header: names of all columns in order, for text files of ratings without a header; empty if they have one. If
            `columns` maps a standard name to itself, and `header` does not contain it, the column counts as missing.
        delimiter: separator between the fields of text files of ratings.
        quote: quotation mark around fields that contain the delimiter, or "" if fields are never quoted.
        encoding: encoding of all text files, by its name in Python.
        decimal: decimal mark of ratings and times, a point or a comma.
        time_format: format of times: the unit of numbers that count from 1970 (`s`, `ms`, `us` or `ns`), or a strptime
            format such as `%m/%d/%Y`.
        missing: texts or numbers that stand for a missing id, rating or time.
        skip: number of lines, such as comments, before the header of text files of ratings or, if there is no header,
            before the first row.
        genre_separator: separator between the genres of an item, and between the elements of other lists.
        scale: lowest and highest possible rating; None guesses the scale from the ratings, see `rating_scale.scale_of`.
        name: name of the data set.
        cleaning: cleaning options; the option `earliest` has no effect if times are row numbers.

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
        """Return the files and how to read them; remote files, which Spark reads, are described by their address.

        Raises:
            UserError: a local file does not exist, no file matches `glob`, or no path is given.
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
        """Describe how to read the files of ratings at a remote address such as `s3a://BUCKET/FOLDER`."""
        address = path if self.glob is None else f"{path.rstrip('/')}/{self.glob}"
        return Remote(address, address, self._named_columns(), reading=self.reading.parameters())

    def _ratings(self, path: str) -> list[RawTable]:
        """Describe how to read each file of ratings.

        Raises:
            UserError: the file does not exist, or no file matches `glob`.
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
        """Return standard column name -> column name in the file; None for columns that are not in a given `header`."""
        header = self.reading.header
        return {
            ours: None if header and theirs == ours and theirs not in header else theirs
            for ours, theirs in self.columns.items()
        }
