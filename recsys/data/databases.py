"""Databases as sources of ratings: tables or SELECTs of PostgreSQL, MySQL, DuckDB and SQLite databases.

The rows are copied, as text and under standard column names, to CSV files in the cache, whose names contain a digest of
their content. These files are then cleaned like the files of any other source, so the fingerprint covers the rows that
were read. Passwords come from environment variables; messages, configs and saved runs never contain passwords.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from recsys.data.address import DEFAULT_VARIABLE, Address, JavaAddress, in_environment
from recsys.data.attach import attached
from recsys.data.clean import Cleaning, checked_scale
from recsys.data.dialect import AS_IT_IS
from recsys.data.download import sha256
from recsys.data.quoting import literal, quoted
from recsys.data.raw import Raw, RawTable, Remote, Source
from recsys.data.read import columns_as_text, selected_columns
from recsys.data.selects import refuse_rounded
from recsys.data.tables import TABLES
from recsys.errors import UserError
from recsys.files import move_into_place
from recsys.terminal import working

# Table functions that a SELECT may call: they generate rows, and open no file or other database.
TABLE_FUNCTIONS = ("unnest", "range", "generate_series")
# Functions that expose or change the state of this process, which a SELECT must not call.
SETTINGS = ("current_query", "current_setting", "getenv", "getvariable", "write_log")
SYSTEM = ("system", "temp", "information_schema", "pg_catalog")
SYSTEM_TABLES = ("duckdb_", "pg_", "pragma_", "sqlite_")  # prefixes: DuckDB's databases, settings, secrets, ...


class Database(Source):
    """Ratings in a database, optionally with users and items; nothing is written to the database.

    Each table is given as `NAME`, as `SCHEMA.NAME`, or as a SELECT in DuckDB's SQL. All tables are read in one
    transaction. Among a user's ratings with equal times, the order of the rows is preserved; a SELECT can set it with
    ORDER BY.

    Args:
        ratings: table of the ratings; None is allowed only in a `Gathered` source, for a database without ratings.
        columns: standard column name -> column name in the table of ratings. The standard names are `user_id`,
            `movie_id` and, if the table has such columns, `rating`, `time` (Unix seconds or a date and time), `part`
            (the source's own partition, such as train and test), `label` and `plays` (see `sources.Files`).
        users: table of users.
        users_columns: standard column name -> column name in the table of users, where the two differ. The names are
            `user_id`, and any of `age`, `gender`, `occupation`, `zip_code` or names of your own.
        films: table of items.
        films_columns: standard column name -> column name in the table of items, where the two differ. The names are
            `movie_id`, and any of `raw.ITEM_COLUMNS` or names of your own.
        links: table of the items' ids in other catalogues, with the columns `movie_id`, `imdb_id` and `tmdb_id`.
        address: `postgresql://USER@HOST/DATABASE`, `mysql://...`, or the path of a DuckDB or SQLite file. A `jdbc:...`
            address is read by Spark and gives only ratings. The address must not contain a password, because runs store
            their configs.
        address_env: environment variable with the address, which may contain a password; used if `address` is None.
        genre_separator: separator between the genres of an item, and between the elements of other lists.
        scale: lowest and highest possible rating.
        name: name of the data set.
        cleaning: cleaning options.

    Raises:
        UserError: the address is not valid or contains a password, or the scale is not two numbers in ascending order.
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
        self.address = address
        self.address_env = address_env
        if address is not None and self._address().password:
            raise UserError(
                f"data.address holds a password, which runs would store: put the address into {address_env} instead."
            )
        given = ((ratings, columns), (users, users_columns), (films, films_columns), (links, None))
        self.tables = dict(zip(TABLES, given, strict=True))
        self.genre_separator = genre_separator
        self.scale = checked_scale(scale)
        self.name = name
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Copy the tables to CSV files in the cache, and return the files and how to read them.

        Raises:
            UserError: there is no address, the database cannot be reached, a table or column does not exist, the table
                of ratings is empty, an id may have been rounded, or a table is given as SQL that is not allowed.
        """
        address = self._address()
        if isinstance(address, JavaAddress):
            return self._remote(address)
        queries = {name: _select(name, table) for name, (table, _) in self.tables.items() if table is not None}
        downloads = cache_dir / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=downloads, prefix="downloading-") as scratch,
            attached(address, "source", read_only=True, written=Path(scratch)) as connection,
        ):
            connection.begin()  # a consistent snapshot of all tables
            tables = []
            for name, query in queries.items():
                with working(f"reading {name} of {address}"):
                    label = f"{name} of {address}"
                    found = connection.sql(query)
                    types = dict(zip(found.columns, map(str, found.types), strict=True))
                    rows = self._rows(label, name, query, types)
                    if address.kind == "duckdb":
                        _check_stored(connection, name, rows)
                    self._refuse_rounded_ids(connection, label, name, query, types)
                    file = self._copy(connection, label, name, rows, Path(scratch))
                    tables.append(RawTable(name, file, "csv"))
        return Raw(str(address), tuple(tables))

    def _address(self) -> Address | JavaAddress:
        text = in_environment(self.address_env) if self.address is None else self.address
        return JavaAddress(text) if text.startswith("jdbc:") else Address.parse(text)

    def _remote(self, address: JavaAddress) -> Raw:
        """Describe the table of ratings at a JDBC address, which Spark reads.

        Raises:
            UserError: a table of users, items or links is given, or `ratings` is not given or is a SELECT.
        """
        (table, columns), *others = self.tables.values()
        if table is None or any(other is not None for other, _ in others):
            raise UserError(f"Spark reads only data.ratings from {address}: give no other table.")
        if not re.fullmatch(r"\w+(\.\w+)*", table):
            raise UserError(f"data.ratings must be the name of a table of {address} (got {table!r}).")
        return Raw(str(address), (), remote=Remote(str(address), address.url, columns or {}, table, AS_IT_IS))

    def _rows(self, label: str, name: str, query: str, types: dict[str, str]) -> str:
        """Return a SELECT that yields the rows of `query` with all values as text and under standard column names.

        Raises:
            UserError: a column does not exist.
        """
        selected = columns_as_text(label, name, self.tables[name][1], self.genre_separator, types)
        return f"SELECT {selected} FROM ({query})"  # noqa: S608

    def _refuse_rounded_ids(
        self, connection: duckdb.DuckDBPyConnection, label: str, name: str, query: str, types: dict[str, str]
    ) -> None:
        """Check that ids in the result of `query` cannot have been rounded; see `selects.refuse_rounded`.

        Raises:
            UserError: an id may have been rounded.
        """
        selected = selected_columns(label, name, self.tables[name][1], types)
        for column in filter(None, map(selected.get, ("user_id", "movie_id"))):
            refuse_rounded(connection, label, query, column, types[column])

    def _copy(self, connection: duckdb.DuckDBPyConnection, label: str, name: str, rows: str, scratch: Path) -> Path:
        """Copy a SELECT's rows to a CSV file beside the scratch folder, and return the path of the file.

        The file name contains a digest of the file's content.

        Raises:
            UserError: the table of ratings is empty.
        """
        copied = scratch / f"{name}.csv"
        sql = f"COPY ({rows}) TO {literal(str(copied.resolve()))} (FORMAT csv, HEADER)"
        [(n_rows,)] = connection.execute(sql).fetchall()
        if name == "ratings" and not n_rows:
            raise UserError(f"{label} has no rows.")
        place = scratch.parent / f"{self.name}-{name}-{sha256(copied)[:16]}.csv"
        move_into_place(copied, place)
        return place


def _select(name: str, table: str) -> str:
    """Return the SELECT that reads a table, where `table` is the table's name or itself a SELECT.

    Raises:
        UserError: `table` is SQL but not exactly one SELECT, or it reads anything except tables of the database.
    """
    if not re.search(r"\s", table):
        table = f"FROM {'.'.join(map(quoted, table.split('.')))}"
    with duckdb.connect(config={"threads": 1}) as parser:
        [(text,)] = parser.execute("SELECT json_serialize_sql(?)", [table]).fetchall()  # of a SELECT, or an error
    parsed = json.loads(text)
    if parsed["error"]:
        raise UserError(
            f"data.{name} must be a table or one SELECT, because a database is only read (got other SQL: "
            f"{' '.join(parsed['error_message'].split())})."
        )
    if len(parsed["statements"]) != 1:
        raise UserError(f"data.{name} must be a table or one SELECT (got {len(parsed['statements'])} statements).")
    _check_nodes(name, [*_nodes(parsed)])
    [statement] = duckdb.extract_statements(table)
    return statement.query.strip().removesuffix(";") + "\n"  # the last line may be a comment


def _check_stored(connection: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    """Check the views that a SELECT reads, directly or through other views, in a DuckDB file.

    Views must read only tables of the database, like the SELECTs in a user's settings, because DuckDB runs both in this
    process.

    Args:
        connection: a connection to which the database is attached as `source`.
        name: name of the raw table that the SELECT fills, for the message.
        query: the SELECT.

    Raises:
        UserError: a view reads anything except tables of the database, or a macro stored in the file is called.
    """
    own = "WHERE database_name = 'source' AND NOT internal"
    views = connection.execute(f"SELECT view_name, sql FROM duckdb_views() {own}").fetchall()  # noqa: S608
    functions = connection.execute(f"SELECT function_name FROM duckdb_functions() {own}").fetchall()  # noqa: S608
    unchecked = [query]
    checked: set[str] = set()
    while unchecked:
        [(text,)] = connection.execute("SELECT json_serialize_sql(?)", [unchecked.pop()]).fetchall()
        nodes = [*_nodes(json.loads(text))]
        _check_nodes(name, nodes, {macro.lower() for (macro,) in functions})
        read = {node["table_name"].lower() for node in nodes if node.get("type") == "BASE_TABLE"} - checked
        unchecked += [_select_of(sql) for view, sql in views if view.lower() in read]
        checked |= read


def _select_of(view: str) -> str:
    """Return the SELECT of a CREATE VIEW statement: the text after the first AS that is a keyword."""
    sql = view.encode()  # places are counted in bytes
    keywords = [place for place, kind in duckdb.tokenize(view) if kind == duckdb.token_type.keyword]
    start = next(place for place in keywords if sql.startswith(b"AS ", place))
    return sql[start + len("AS") :].decode()


def _check_nodes(name: str, nodes: Iterable[Mapping[str, Any]], macros: Collection[str] = ()) -> None:
    """Check that a parsed SELECT reads only tables of the database.

    Args:
        name: name of the raw table, for the message.
        nodes: the nodes of the parsed SELECT, as `_nodes` yields them.
        macros: names, in lower case, of macros that must not be called.

    Raises:
        UserError: a node reads anything except a table of the database, or calls one of the macros.
    """
    for node in nodes:
        if node.get("error"):  # not a SELECT
            raise UserError(f"data.{name} must read views that are SELECTs (got {node['error_message']}).")
        called = str(node.get("function_name", "")).lower()
        if read := _unreadable(node) or (f"the macro {called}()" if called in macros else None):
            raise UserError(f"data.{name} must be a read-only SELECT of tables of the database (got {read}).")


def _nodes(parsed: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in a parsed SQL statement; an outer object comes before the objects inside it."""
    if isinstance(parsed, dict):
        yield parsed
        parsed = list(parsed.values())
    if isinstance(parsed, list):
        for part in parsed:
            yield from _nodes(part)


def _unreadable(node: Mapping[str, Any]) -> str | None:
    """Return the name of what a node reads, such as a function, if it is not a table of the database, else None."""
    match node.get("type"):
        case "SHOW_REF":
            return "SHOW or DESCRIBE"
        case "TABLE_FUNCTION":
            called = node["function"]["function_name"].lower()
            return None if called in TABLE_FUNCTIONS else f"{called}()"
        case "FUNCTION" if node.get("function_name", "").lower() in SETTINGS:
            return f"{node['function_name']}()"
        case "BASE_TABLE":
            names = [node["catalog_name"].lower(), node["schema_name"].lower(), node["table_name"].lower()]
            is_system = not {*names}.isdisjoint(SYSTEM) or names[-1].startswith(SYSTEM_TABLES)
            return ".".join(filter(None, names)) if is_system else None
    return None
