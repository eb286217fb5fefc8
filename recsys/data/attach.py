"""Attaches databases (PostgreSQL, MySQL, DuckDB and SQLite) to a DuckDB connection."""

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
def attached(
    address: Address, alias: str, *, read_only: bool, written: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Attach a database to a new DuckDB connection as its default, so that SQL can name tables without a prefix.

    Args:
        address: address of the database.
        alias: name of the database in DuckDB; it must be a plain identifier, because it is not quoted in SQL.
        read_only: whether to attach the database read-only.
        written: the only folder in which SQL statements may read and write files, apart from the database itself; None
            allows all files.

    Yields:
        The connection.

    Raises:
        UserError: the database cannot be reached (if `read_only`, also if its file does not exist), or an SQL statement
            in the `with` block fails.
    """
    if read_only and address.is_file and not Path(address.url).is_file():
        raise UserError(f"{address} does not exist.")
    # One thread preserves the order in which the database returns rows, and is as fast as several.
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
            if written is not None:
                _close_files(connection, written)
            yield connection
        except duckdb.Error as error:
            raise UserError(f"{address}: {address.without_secrets(error)}") from None


def _close_files(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Permanently restrict the connection to the files in a folder; otherwise views and SELECTs could read any file."""
    connection.execute(f"SET allowed_directories = [{literal(str(folder.resolve()))}]")
    connection.execute(f"SET temp_directory = {literal(str(folder.resolve() / 'spill'))}")
    for option in ("enable_external_access", "python_enable_replacements"):
        connection.execute(f"SET {option} = false")
    connection.execute("SET lock_configuration = true")


def _load_extension(connection: duckdb.DuckDBPyConnection, kind: str) -> None:
    """Load DuckDB's extension for a kind of database, from an installed Python package or else by download.

    Raises:
        UserError: the package is not installed, and the extension cannot be downloaded.
    """
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
