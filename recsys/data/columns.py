"""Columns of the tables of users and items: standard columns, which recsys knows, and extra columns of a user's file.

A file may have extra columns with any names. In SQL tables, the names of extra columns get the prefix `OWN`, so that a
column `rating` or `rowid` of an items file does not clash with the ratings of users or with DuckDB's row ids. In stored
tables and data frames the prefix is removed, except where recsys has a standard column of that name.
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
    """Return the columns to read from a file: standard column name -> column name in the file.

    Standard columns are also recognised in another case or in the singular, such as `Title` or `Genre`, if no column of
    the file has the exact name and only one has such a similar name.

    For users and items, `columns` contains only the names that differ from the standard; for other tables, it contains
    all columns to read.

    Args:
        name: name of the raw table.
        columns: standard column name -> column name in the file, or None for a column that the file lacks. If `columns`
            itself is None, all columns are read under their own names.
        types: column name in the file -> type of the column.
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
    """Return the name in `ours` that equals a column's name up to case or a plural "s", otherwise the column's name."""
    return next((name for name in (column.lower(), f"{column.lower()}s") if name in ours), column)


def apart(name: str, columns: Mapping[str, str | None]) -> dict[str, str | None]:
    """Add the prefix `OWN` to those keys of `columns` that are not standard names, but names of extra columns.

    Only tables of users, items and descriptions have extra columns.

    Args:
        name: name of the raw table.
        columns: standard column name, or name of an extra column -> column name in the file.
    """
    return {_apart(column, _RAW.get(name)): theirs for column, theirs in columns.items()}


def read_apart(connection: duckdb.DuckDBPyConnection, name: str, file: Path) -> duckdb.DuckDBPyRelation:
    """Read a clean table from disk, and add the prefix `OWN` to the names of its extra columns.

    Args:
        connection: the DuckDB connection that reads the table.
        name: name of the clean table.
        file: the Parquet file of the table, or a folder of Parquet files.
    """
    table = connection.read_parquet(parquet_files(file))
    return table.project(_renamed({column: _apart(column, _CLEAN.get(name)) for column in table.columns}))


def write_together(table: duckdb.DuckDBPyRelation, file: Path) -> None:
    """Write a clean table to Parquet; column names lose the prefix `OWN` if they stay unique without it."""
    ours = {column.lower() for column in table.columns}
    names = {column: column.removeprefix(OWN) for column in table.columns}
    table.project(_renamed({c: c if name.lower() in ours else name for c, name in names.items()})).write_parquet(
        str(file)
    )


def _apart(column: str, ours: Collection[str] | None) -> str:
    return column if ours is None or column in ours else OWN + column


def _renamed(names: Mapping[str, str]) -> str:
    return ", ".join(f"{quoted(column)} AS {quoted(name)}" for column, name in names.items())
