"""Quoting of names, text and paths in SQL, for places in which SQL does not allow parameters."""

from __future__ import annotations

import re
from pathlib import Path


def quoted(name: str) -> str:
    """Quote the name of a table or column as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def one_file(path: Path) -> str:
    """Return a path pattern for DuckDB that matches only this file, since DuckDB takes every path for a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def parquet_files(path: Path) -> str:
    """Return a path pattern for DuckDB that matches a Parquet file or the Parquet files in a folder.

    DuckDB reads the files of a folder in the order of their names.
    """
    return one_file(path) + ("/*.parquet" if path.is_dir() else "")


def file_literal(path: Path) -> str:
    """Quote the path of a file as an SQL literal, escaped as in `one_file`."""
    return literal(one_file(path))
