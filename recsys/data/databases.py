"""Databases as sources: tables and queries of PostgreSQL, MySQL, DuckDB and SQLite.

Tables and queries are read, as text and under our column names, into CSV files in the cache that are named by their
content. A database is then a source like any other file, with the same cleaning and a fingerprint of the rows that were
read. A password comes from the environment; messages, configs and runs never contain it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from recsys.data.address import DEFAULT_VARIABLE, Address
from recsys.data.attach import attached
from recsys.data.clean import Cleaning
from recsys.data.download import sha256
from recsys.data.quoting import literal, quoted
from recsys.data.raw import Raw, RawTable, Source
from recsys.data.read import columns_as_text
from recsys.data.tables import TABLES
from recsys.errors import UserError
from recsys.files import move_into_place
from recsys.terminal import working


class Database(Source):
    """Ratings in a database, optionally with users and items; the database is only read.

    A table is given by its name, or `SCHEMA.NAME`, or as a SELECT in DuckDB's SQL. All tables are read in one
    transaction. Ratings of a user with equal times keep the order of the rows, which a SELECT can determine.

    Args:
        ratings: table of the ratings; None if this is one of several gathered sources and has none.
        columns: our name -> the table's name of each column: `user_id`, `movie_id` and, if there are such columns,
            `rating`, `time` (seconds UTC or a date and time) and `part` (the source's own partition).
        users: table of users.
        users_columns: our name -> the table's name of each column, where they differ: `user_id`, and any of `age`,
            `gender`, `occupation`, `zip_code` or names of your own.
        films: table of items.
        films_columns: our name -> the table's name of each column, where they differ: `movie_id`, and any of
            `raw.ITEM_COLUMNS` or names of your own.
        links: table of the items' ids in other catalogues: `movie_id`, `imdb_id`, `tmdb_id`.
        address: `postgresql://USER@HOST/DATABASE`, `mysql://...` or a DuckDB or SQLite file; without a password,
            because runs store their configs.
        address_env: environment variable with the address, which may have a password; used if `address` is None.
        genre_separator: separator of the genres of an item, and of the elements of other lists.
        scale: lowest and highest possible rating.
        name: name of the data set.
        cleaning: cleaning options.
    """

    def __init__(
        self,
        ratings: str | None = "ratings",
        columns: Mapping[str, str | None] | None = None,
        users: str | None = None,
        users_columns: Mapping[str, str | None] | None = None,
        films: str | None = None,
        films_columns: Mapping[str, str | None] | None = None,
        links: str | None = None,
        address: str | None = None,
        address_env: str = DEFAULT_VARIABLE,
        genre_separator: str = "|",
        scale: tuple[float, float] = (0.5, 5.0),
        name: str = "sql",
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        if address is not None and Address.parse(address).password:
            raise UserError(
                f"data.address holds a password, which runs would store: put the address into {address_env} instead."
            )
        given = ((ratings, columns), (users, users_columns), (films, films_columns), (links, None))
        self.tables = dict(zip(TABLES, given, strict=True))
        self.address = address
        self.address_env = address_env
        self.genre_separator = genre_separator
        self.scale = (scale[0], scale[1])
        self.name = name
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Read the tables into files in the cache.

        Raises:
            UserError: there is no address, the database cannot be reached, or a table or column does not exist.
        """
        if self.address is not None:
            address = Address.parse(self.address)
        else:
            address = Address.from_environment(self.address_env)
        queries = {name: _select(name, table) for name, (table, _) in self.tables.items() if table is not None}
        downloads = cache_dir / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        with (
            attached(address, "source", read_only=True) as connection,
            tempfile.TemporaryDirectory(dir=downloads, prefix="downloading-") as scratch,
        ):
            connection.begin()  # a consistent snapshot of all tables
            tables = []
            for name, query in queries.items():
                with working(f"reading {name} of {address}"):
                    file = self._read(connection, f"{name} of {address}", name, query, Path(scratch))
                    tables.append(RawTable(name, file, "csv"))
        return Raw(str(address), tuple(tables))

    def _read(self, connection: duckdb.DuckDBPyConnection, label: str, name: str, query: str, scratch: Path) -> Path:
        """Copy the rows of a SELECT into a file next to the scratch folder, named by its content."""
        found = connection.sql(query)
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        selected = columns_as_text(label, name, self.tables[name][1], self.genre_separator, types)
        copied = scratch / f"{name}.csv"
        sql = f"COPY (SELECT {selected} FROM ({query})) TO {literal(str(copied))} (FORMAT csv, HEADER)"  # noqa: S608
        [(n_rows,)] = connection.execute(sql).fetchall()
        if name == "ratings" and not n_rows:
            raise UserError(f"{label} has no rows.")
        place = scratch.parent / f"{self.name}-{name}-{sha256(copied)[:16]}.csv"
        move_into_place(copied, place)
        return place


def _select(name: str, table: str) -> str:
    """Write the SELECT that reads a table, which is given by its name or as a SELECT.

    Raises:
        UserError: it is SQL other than one SELECT.
    """
    if not re.search(r"\s", table):
        return f"FROM {'.'.join(map(quoted, table.split('.')))}"
    try:
        statements = duckdb.extract_statements(table)
    except duckdb.ParserException as error:
        raise UserError(f"data.{name} must be a table or one SELECT: {' '.join(str(error).split())}") from error
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise UserError(f"data.{name} must be a table or one SELECT, because a database is only read (got other SQL).")
    return statements[0].query.strip().removesuffix(";") + "\n"  # the last line may be a comment
