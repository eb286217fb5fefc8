"""Columns of users and items: those that recsys knows, and further ones of a file, which get a prefix.

A file may have further columns with any names. While SQL works on a table, their names have the prefix `OWN`, so a
column `rating` or `rowid` of an items file does not clash with the rating of a user or the row id of a table. Stored
tables and data frames have the file's names without the prefix, except where recsys has a column of that name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import duckdb

from recsys.data.quoting import parquet_files, quoted
from recsys.data.raw import COLUMNS

OWN = "own."  # no column that recsys knows begins with it
EXTERNAL_IDS = ("imdb_id", "tmdb_id")
_RAW = {
    "users": COLUMNS["users"],
    "films": (*COLUMNS["films"], *EXTERNAL_IDS),
    "descriptions": (*COLUMNS["descriptions"], "imdb_id"),
}
_CLEAN = {"users": (*_RAW["users"], "user", "age_group", "source"), "films": (*_RAW["films"], "item", "source")}


def named(name: str, columns: Mapping[str, str | None] | None, types: Mapping[str, str]) -> dict[str, str | None]:
    """Return the file's name of each column to read, by standard name.

    Columns that recsys knows are also recognised in another case or in the singular, such as `Title` or `Genre`, if no
    column has the exact name and only one has such a name.
    For users and items, `columns` gives only the names that differ; for other tables, all columns to read.

    Args:
        name: name of the raw table.
        columns: standard name -> the file's name of each column (None if the file lacks it); None if no name is given.
        types: name -> type of each column of the file.
    """
    if columns and name not in ("users", "films"):
        return dict(columns)
    chosen = dict(columns or {})
    ours = set(_RAW.get(name, ())).difference(types, chosen)
    others = [column for column in types if column not in chosen.values()]
    standard = {column: _standard(column, ours) for column in others}
    counts = Counter(standard.values())
    return {column if counts[name] > 1 else name: column for column, name in standard.items()} | chosen


def _standard(column: str, ours: Collection[str]) -> str:
    """Return the name in `ours` that a column has in another case or in the singular, or else the column's own."""
    return next((name for name in (column.lower(), f"{column.lower()}s") if name in ours), column)


def apart(name: str, columns: Mapping[str, str | None]) -> dict[str, str | None]:
    """Add the prefix `OWN` to the standard names that recsys does not know, which are the file's own.

    Only tables of users, items and descriptions have such columns.

    Args:
        name: name of the raw table.
        columns: standard name -> the file's name of each column.
    """
    return {_apart(column, _RAW.get(name)): theirs for column, theirs in columns.items()}


def read_apart(connection: duckdb.DuckDBPyConnection, name: str, file: Path) -> duckdb.DuckDBPyRelation:
    """Read a stored clean table, and add the prefix `OWN` to the names of its source's own columns.

    Args:
        connection: a connection.
        name: name of the clean table.
        file: its Parquet file, or a folder of Parquet files.
    """
    table = connection.read_parquet(parquet_files(file))
    return table.project(_renamed({column: _apart(column, _CLEAN.get(name)) for column in table.columns}))


def write_together(table: duckdb.DuckDBPyRelation, file: Path) -> None:
    """Store a clean table as Parquet, with the prefix `OWN` removed from names that stay unique without it."""
    ours = {column.lower() for column in table.columns}
    names = {column: column.removeprefix(OWN) for column in table.columns}
    table.project(_renamed({c: c if name.lower() in ours else name for c, name in names.items()})).write_parquet(
        str(file)
    )


def _apart(column: str, ours: Collection[str] | None) -> str:
    return column if ours is None or column in ours else OWN + column


def _renamed(names: Mapping[str, str]) -> str:
    return ", ".join(f"{quoted(column)} AS {quoted(name)}" for column, name in names.items())
