"""Databases attached to DuckDB: PostgreSQL, MySQL, DuckDB and SQLite."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from recsys.data.address import Address
from recsys.data.quoting import literal
from recsys.errors import UserError


@contextmanager
def attached(address: Address, alias: str, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connect DuckDB to a database and use it, so that its tables need no prefix.

    Raises:
        UserError: the database cannot be reached, or a statement inside the context fails.
    """
    if read_only and address.is_file and not Path(address.url).is_file():
        raise UserError(f"{address} does not exist.")
    # One thread preserves the order in which the database returns rows, and is as fast. Times are read in UTC.
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        _load_extension(connection, address.kind)
        options = f"TYPE {address.kind}" + ", READ_ONLY" * read_only
        try:
            connection.execute(f"ATTACH {literal(address.url)} AS {alias} ({options})")
        except duckdb.Error as error:
            raise UserError(f"Cannot reach {address}: {address.without_secrets(error)}") from None
        try:
            connection.execute(f"USE {alias}")
            yield connection
        except duckdb.Error as error:
            raise UserError(f"{address}: {address.without_secrets(error)}") from None


def _load_extension(connection: duckdb.DuckDBPyConnection, kind: str) -> None:
    """Load DuckDB's extension for a kind of database, from its package or by download."""
    if kind == "duckdb":
        return
    name = f"{kind}_scanner"
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    folder = Path(package.origin).parent if package and package.origin else Path()
    file = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    try:
        if file.is_file():
            connection.execute(f"LOAD {literal(str(file))}")
        else:
            connection.execute(f"INSTALL {name}")
            connection.execute(f"LOAD {name}")
    except duckdb.Error as error:
        raise UserError(
            f"DuckDB {duckdb.__version__} needs an extension for {kind} that cannot be downloaded here: "
            "install it with pip install 'recsys[databases]'."
        ) from error
