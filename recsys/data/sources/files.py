"""Ratings in a user's own files: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys.data.clean import Cleaning
from recsys.data.raw import Raw, RawTable, Source
from recsys.data.read import HEADERLESS, ROW
from recsys.data.sources.paths import existing
from recsys.errors import UserError

_FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Files(Source):
    """Ratings in a CSV, TSV, JSON lines or Parquet file or other text, optionally with files of users and items.

    Args:
        path: file of the ratings, in the format of its ending (.csv, .tsv, .jsonl or .parquet; .gz may follow). None if
            this is one of several gathered sources and has only users or items.
        columns: our name -> the file's name of each column: `user_id`, `movie_id` and, if there are such columns,
            `rating`, `time` (seconds UTC or ISO dates) and `part` (the source's own partition). `row` as the time means
            that rows are in order of time: times are then numbers of rows, of which only the order has a meaning.
        users_path: file of users.
        users_columns: our name -> the file's name of each column, where they differ: `user_id`, and any of `age`,
            `gender`, `occupation`, `zip_code` or names of your own.
        films_path: file of items.
        films_columns: our name -> the file's name of each column, where they differ: `movie_id`, and any of
            `raw.ITEM_COLUMNS` or names of your own.
        header: names of all columns in order, for a text file of ratings without a header. Those of `columns` that are
            neither among them nor mapped to another name are taken as missing.
        delimiter: separator of the fields of a text file of ratings; None for a comma, or a tab in .tsv. With it the
            file may have any ending.
        genre_separator: separator of the genres of an item, and of the elements of other lists.
        scale: lowest and highest possible rating.
        name: name of the data set.
        cleaning: cleaning options.
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
        scale: tuple[float, float] = (0.5, 5.0),
        name: str = "files",
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        if len(set(header)) < len(header):
            raise UserError(f"data.header must name each column once (got {', '.join(header)}).")
        if delimiter == "":
            raise UserError("data.delimiter must be at least one character (got an empty text).")
        self.path = path
        self.columns = columns
        self.described = {"users": (users_path, users_columns), "films": (films_path, films_columns)}
        self.header = header
        self.delimiter = delimiter
        self.genre_separator = genre_separator
        self.scale = (scale[0], scale[1])
        self.name = name
        self.cleaning = replace(cleaning, earliest="1970-01-01") if columns.get("time") == ROW else cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Find the files."""
        tables = [] if self.path is None else [self._ratings(existing(self.path))]
        for name, (path, columns) in self.described.items():
            if path is not None:
                file = existing(path)
                tables.append(RawTable(name, file, _format(file), columns, self.genre_separator))
        origin = tables[0].file if tables else existing(None)
        return Raw(str(origin), tuple(tables))

    def _ratings(self, file: Path) -> RawTable:
        """Return how the ratings are read."""
        if not self.header and self.delimiter is None:
            return RawTable("ratings", file, _format(file), self.columns, self.genre_separator)
        parameters: dict[str, Any] = {"delimiter": self.delimiter or _delimiter(file), "quote": '"'}
        if not self.header:
            return RawTable(
                "ratings", file, "delimited", self.columns, parameters=parameters | {"header": True, "names": []}
            )
        columns = {
            ours: None if theirs == ours and theirs not in self.header else theirs
            for ours, theirs in self.columns.items()
        }
        parameters["columns"] = dict.fromkeys(self.header, "VARCHAR")
        return RawTable("ratings", file, HEADERLESS, columns, parameters=parameters)


def _ending(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix


def _delimiter(file: Path) -> str:
    """Return the separator of fields in a text file, by the ending of its name."""
    if _ending(file) not in _DELIMITERS:
        raise UserError(
            f"A file with data.header must end in {', '.join(_DELIMITERS)}, or have a data.delimiter (got {file})."
        )
    return _DELIMITERS[_ending(file)]


def _format(file: Path) -> str:
    """Return the SELECT that reads a file, by the ending of its name."""
    ending = _ending(file)
    if ending not in _FORMATS:
        raise UserError(f"The file of a source must end in {', '.join(_FORMATS)} (got {file}).")
    return _FORMATS[ending]
