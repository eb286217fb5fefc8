"""Quoting of names, text and paths for SQL, where parameters are not possible."""

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
    """Return a pattern that matches only this file, since DuckDB interprets every path as a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def parquet_files(path: Path) -> str:
    """Return a pattern that matches a Parquet file, or the Parquet files in a folder in the order of their names."""
    return one_file(path) + ("/*.parquet" if path.is_dir() else "")


def file_literal(path: Path) -> str:
    """Quote the path of one file as an SQL literal."""
    return literal(one_file(path))
