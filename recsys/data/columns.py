"""Columns of users and items: which of them have a meaning here, and how a file's own columns are set apart.

A file may have columns of its own, with any name. While SQL works on a table, their names have a prefix, so that a
column `rating` or `rowid` of items is not taken for that of a rating or a table. Stored tables and data frames have the
names of the file, except where these are names of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import duckdb

from recsys.data.quoting import parquet_files, quoted
from recsys.data.raw import COLUMNS

OWN = "own."  # no name of ours begins with it
EXTERNAL_IDS = ("imdb_id", "tmdb_id")
_RAW = {
    "users": COLUMNS["users"],
    "films": (*COLUMNS["films"], *EXTERNAL_IDS),
    "descriptions": (*COLUMNS["descriptions"], "imdb_id"),
}
_CLEAN = {"users": (*_RAW["users"], "user", "age_group", "source"), "films": (*_RAW["films"], "item", "source")}


def named(name: str, columns: Mapping[str, str | None] | None, types: Mapping[str, str]) -> dict[str, str | None]:
    """Name the columns that are read from a file.

    Columns that have a meaning here are also recognised in another case, such as `Title`, if no other column has the
    name. For users and items, `columns` gives the names that differ; for other tables, all columns to read.

    Args:
        name: name of the raw table.
        columns: our name -> the file's name of each column, or None.
        types: the columns of the file.
    """
    if columns and name not in ("users", "films"):
        return dict(columns)
    chosen = dict(columns or {})
    ours = set(_RAW.get(name, ())).difference(types)
    others = [column for column in types if column not in chosen.values()]
    return {column.lower() if column.lower() in ours else column: column for column in others} | chosen


def apart(name: str, columns: Mapping[str, str | None]) -> dict[str, str | None]:
    """Set a file's own columns apart, in our name -> the file's name of each column."""
    return {_apart(column, _RAW.get(name)): theirs for column, theirs in columns.items()}


def read_apart(connection: duckdb.DuckDBPyConnection, name: str, file: Path) -> duckdb.DuckDBPyRelation:
    """Read a stored clean table, with the own columns of its source set apart."""
    table = connection.read_parquet(parquet_files(file))
    return table.project(_renamed({column: _apart(column, _CLEAN.get(name)) for column in table.columns}))


def write_together(table: duckdb.DuckDBPyRelation, file: Path) -> None:
    """Store a clean table, with its source's own columns under the source's names, except where these are ours."""
    ours = {column.lower() for column in table.columns}
    names = {column: column.removeprefix(OWN) for column in table.columns}
    table.project(_renamed({c: c if name.lower() in ours else name for c, name in names.items()})).write_parquet(
        str(file)
    )


def _apart(column: str, ours: Collection[str] | None) -> str:
    return column if ours is None or column in ours else OWN + column


def _renamed(names: Mapping[str, str]) -> str:
    return ", ".join(f"{quoted(column)} AS {quoted(name)}" for column, name in names.items())
