"""Databases as sources, and as places to load tables into: PostgreSQL, MySQL, DuckDB and SQLite.

DuckDB attaches them all. Tables and queries are read, as text and under our column names, into CSV files in the cache
that are named by their content; from there on a database is a source like anyone's files, with the same cleaning and a
fingerprint of the rows that were read. A password comes from the environment; no message, config or run ever holds it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from urllib.parse import unquote

import duckdb
import numpy as np
import pandas as pd
from rich.console import Console

from recsys.data.clean import Cleaning
from recsys.data.dataset import Dataset
from recsys.data.download import sha256
from recsys.data.raw import LISTS, Raw, RawTable, Source
from recsys.data.read import columns_as_text, literal, quoted
from recsys.errors import UserError

DEFAULT_VARIABLE = "RECSYS_DATABASE_URL"
TABLES = ("ratings", "users", "films", "links")  # what is read, and what clean tables are called
_SERVERS = {"postgresql": "postgres", "postgres": "postgres", "mysql": "mysql"}  # scheme of an address -> DuckDB's type
_FILES = {".duckdb": "duckdb", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite"}
_KNOWN = f"{' or '.join(f'{scheme}://' for scheme in _SERVERS)}, or a file that ends in {', '.join(_FILES)}"

# Stricter than the drivers, whose messages would quote the rest of a password that they take for a host or a port.
_URL = re.compile(
    r"(?P<scheme>\w+)://"
    r"(?:[^:@/?#\s]*(?::(?P<password>[^:@/?#\s]*))?@)?"
    r"(?P<place>(?:\[[0-9a-fA-F:.]+\]|[\w.%-]*)(?::\d+)?(?:/[^@?#\s]*)?)"
    r"(?:\?(?!.*pass)[^@#\s]*)?"
)


@dataclass(frozen=True)
class Address:
    """Where a database is; as text it says so without user and password.

    Attributes:
        url: what DuckDB attaches; never to be shown.
        kind: DuckDB's type: `postgres`, `mysql`, `duckdb` or `sqlite`.
        place: what may be shown.
        password: as it stands in the address, or "".
    """

    url: str = field(repr=False)
    kind: str
    place: str
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises:
            UserError: it is of no known kind, or not well formed; the sentence does not quote it.
        """
        scheme, is_url, _ = text.partition("://")
        if not is_url:
            if (ending := Path(text).suffix) not in _FILES:
                raise UserError(f"the database's address is of no known kind: it begins with {_KNOWN}")
            return cls(text, _FILES[ending], text)
        if scheme not in _SERVERS:
            raise UserError(f"there is no way to reach a database by {scheme}://; an address begins with {_KNOWN}")
        if not (found := _URL.fullmatch(text)):
            raise UserError(
                f"the address of the {_SERVERS[scheme]} database is not of the form "
                f"{scheme}://USER:PASSWORD@HOST:PORT/DATABASE, in which @ / : ? # and % of a password are written "
                "%40 %2F %3A %3F %23 and %25"
            )
        return cls(text, _SERVERS[scheme], f"{scheme}://{found['place']}", found["password"] or "")

    @classmethod
    def from_environment(cls, variable: str) -> Address:
        """Read the address that an environment variable holds.

        Raises:
            UserError: there is no such variable, or no good address in it.
        """
        if not (text := os.environ.get(variable, "")):
            raise UserError(
                f"the environment variable {variable} is not set; it holds the database's address: "
                f"export {variable}=postgresql://USER:PASSWORD@HOST/DATABASE"
            )
        return cls.parse(text)

    def __str__(self) -> str:
        return self.place

    @property
    def is_file(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.kind in _FILES.values()

    def without_secrets(self, error: Exception) -> str:
        """What an error says, on one line, without the address and the password."""
        message = str(error).replace(self.url, self.place)
        for secret in {self.password, unquote(self.password)} - {""}:
            message = message.replace(secret, "***")
        said = re.split(r"\s*LINE \d+:", message)[0]  # what follows is SQL, as is what drivers quote
        return " ".join(re.sub(r' "(COPY|CREATE|INSERT|SELECT)\b.*":', ":", said, flags=re.DOTALL).split())


@contextmanager
def attached(address: Address, alias: str, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with a database attached and in use, so that its tables go by their own names.

    Raises:
        UserError: it cannot be reached, or something that is done with it fails.
    """
    if read_only and address.is_file and not Path(address.url).is_file():
        raise UserError(f"{address} does not exist")
    # One thread keeps rows in the order that the database gives them, and is as fast; times are told in UTC.
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        _load_extension(connection, address.kind)
        options = f"TYPE {address.kind}" + ", READ_ONLY" * read_only
        try:
            connection.execute(f"ATTACH {literal(address.url)} AS {alias} ({options})")
        except duckdb.Error as error:
            raise UserError(f"cannot reach {address}: {address.without_secrets(error)}") from None
        try:
            connection.execute(f"USE {alias}")
            yield connection
        except duckdb.Error as error:
            raise UserError(f"{address}: {address.without_secrets(error)}") from None


class Database(Source):
    """Ratings in a database, with users and films where there are some; it is only ever read.

    A table goes by its name, `SCHEMA.NAME` if need be. In place of one may stand a SELECT, in DuckDB's SQL. All are
    read in one transaction. Ratings of a user at the same time keep the order of the rows, which a SELECT can state.

    Args:
        ratings: table of the ratings; None where this source, one of several gathered, has none.
        columns: our name -> the table's name of each column: `user_id`, `movie_id` and, where there is such a column,
            `rating`, `time` (seconds UTC or a date and time) and `part` (the source's own partition).
        users: table about users; its columns are named as ours unless
        users_columns: tells how: `user_id`, and any of `age`, `gender`, `occupation`, `zip_code` or names of your own.
        films: table about films; its columns are named as ours unless
        films_columns: tells how: `movie_id`, and any of `title`, `year`, `genres`, what else `raw.FILM` names, or names
            of your own.
        links: table of the films' ids elsewhere: `movie_id`, `imdb_id`, `tmdb_id`.
        address: `postgresql://USER@HOST/DATABASE`, `mysql://...` or a DuckDB or SQLite file; without a password,
            because configs are kept.
        address_env: the environment variable that holds the address, password and all, where `address` is None.
        genre_separator: what parts the genres of a film, and the elements of other lists.
        scale: lowest and highest rating that can be given.
        name: of the data set.
        cleaning: what is chosen about cleaning.
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
            raise UserError(f"data.address holds a password, which configs must not: put it into {address_env} instead")
        given = ((ratings, columns), (users, users_columns), (films, films_columns), (links, None))
        self.tables = dict(zip(TABLES, given, strict=True))
        self.address = address
        self.address_env = address_env
        self.genre_separator = genre_separator
        self.scale = (scale[0], scale[1])
        self.name = name
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Read the tables into files of the cache.

        Raises:
            UserError: there is no address, the database is out of reach, or a table or column is not there.
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
            connection.begin()  # all tables as they are at one moment
            tables = []
            for name, query in queries.items():
                with Console(stderr=True).status(f"reading {name} of {address}"):
                    file = self._read(connection, f"{name} of {address}", name, query, Path(scratch))
                    tables.append(RawTable(name, file, "csv"))
        return Raw(str(address), tuple(tables))

    def _read(self, connection: duckdb.DuckDBPyConnection, called: str, name: str, query: str, scratch: Path) -> Path:
        """Copy what a SELECT gives into a file beside the scratch folder, named by its content."""
        found = connection.sql(query)
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        selected = columns_as_text(called, name, self.tables[name][1], self.genre_separator, types)
        copied = scratch / f"{name}.csv"
        sql = f"COPY (SELECT {selected} FROM ({query})) TO {literal(str(copied))} (FORMAT csv, HEADER)"  # noqa: S608
        [(n_rows,)] = connection.execute(sql).fetchall()
        if name == "ratings" and not n_rows:
            raise UserError(f"{called} has no rows")
        return copied.replace(scratch.parent / f"{self.name}-{name}-{sha256(copied)[:16]}.csv")


def check_free(address: Address, names: Collection[str]) -> None:
    """Find out before any work whether a database can be reached and has none of some tables.

    Raises:
        UserError: it cannot, or has some.
    """
    if address.is_file and not Path(address.url).exists():
        return
    with attached(address, "target", read_only=True) as connection:
        if there := _existing(connection, names):
            raise UserError(
                f"{address} has {', '.join(there)} already: give --replace to put new tables in their place"
            )


def write_tables(address: Address, tables: Mapping[str, pd.DataFrame], *, replace: bool = False) -> None:
    """Write tables into a database, all of them or none.

    Args:
        address: where to; a file is made where there is none.
        tables: by name; of columns of numbers, text or dates.
        replace: put them in the place of tables of these names.

    Raises:
        UserError: there are such tables, and `replace` does not say so; or they cannot be written.
    """
    if not replace:
        check_free(address, tables.keys())
    unfinished = {name: f"{name}_{token_hex(4)}" for name in tables}
    try:
        with attached(address, "target", read_only=False) as connection:
            replaced = _existing(connection, tables.keys()) if replace else []
            connection.begin()
            for name, frame in tables.items():
                connection.register(f"frame_of_{name}", frame)
                connection.execute(f"CREATE TABLE {quoted(unfinished[name])} AS FROM frame_of_{name} LIMIT 0")
            if address.kind == "mysql":
                _take_any_text(connection, unfinished.values())
            for name, frame in tables.items():
                with Console(stderr=True).status(f"writing {name}, {len(frame):,} rows, to {address}"):
                    connection.execute(f"INSERT INTO {quoted(unfinished[name])} FROM frame_of_{name}")
            _rename(connection, address, unfinished, replaced)
    except BaseException:
        if address.kind == "mysql":  # the others take back what a transaction has made
            _drop(address, unfinished.values())
        raise


def clean_tables(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """A data set's ratings, users, films and links to other catalogues as tables that `Database` reads back.

    Lists become text whose elements are parted by bars. Columns that the data set lacks are left out, and so is the age
    group, which follows from the age. Ratings stand in the order of the data set; where it has parts, part by part,
    since the rows that come first decide the order of the parts.
    """
    ratings = {
        "user_id": dataset.user_frame["user_id"].to_numpy()[dataset.users],
        "movie_id": dataset.item_frame["movie_id"].to_numpy()[dataset.items],
        "rating": dataset.ratings,
    }
    if dataset.times is not None:
        ratings["time"] = dataset.times
    if dataset.parts is not None:
        ratings["part"] = np.array([*dataset.part_names, None], dtype=object)[dataset.parts]  # -1 is none
        by_part = np.argsort(dataset.parts, kind="stable")
        ratings = {name: column[by_part] for name, column in ratings.items()}
    films = dataset.item_frame.copy()
    for column in films.columns.intersection(list(LISTS)):
        films[column] = films[column].map("|".join)
    elsewhere = [*films.columns.intersection(["imdb_id", "tmdb_id"])]
    tables = {
        "ratings": pd.DataFrame(ratings),
        "users": dataset.user_frame.drop(columns="age_group", errors="ignore"),
        "films": films.drop(columns=elsewhere),
    }
    if elsewhere:
        tables["links"] = films[["movie_id", *elsewhere]]
    return {name: _plain(frame) for name, frame in tables.items()}


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories as the text that they stand for."""
    categories = frame.select_dtypes("category").columns
    return frame.astype(dict.fromkeys(categories, object))


def _existing(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> list[str]:
    """Those of some names that tables or views of an attached target have."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_catalog = 'target' AND table_schema = current_schema() ORDER BY table_name"
    ).fetchall()
    return [name for (name,) in found if name in names]


def _rename(
    connection: duckdb.DuckDBPyConnection, address: Address, unfinished: Mapping[str, str], replaced: Collection[str]
) -> None:
    """Give finished tables their names, all at one moment, and drop those that had them."""
    if address.kind != "mysql":
        for name in replaced:
            connection.execute(f"DROP TABLE {quoted(name)}")
        for name, written in unfinished.items():
            connection.execute(f"ALTER TABLE {quoted(written)} RENAME TO {quoted(name)}")
        connection.commit()
        return
    connection.commit()  # in MySQL tables come and go without transactions, but one statement renames many
    old = {name: f"{unfinished[name]}_old" for name in replaced}
    moves = [*old.items(), *((written, name) for name, written in unfinished.items())]
    _execute_in_mysql(connection, "RENAME TABLE " + ", ".join(f"`{before}` TO `{after}`" for before, after in moves))
    _drop(address, old.values())


def _take_any_text(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Let empty tables of MySQL hold text of every script, which a database's settings may not."""
    for name in names:
        _execute_in_mysql(connection, f"ALTER TABLE `{name}` CONVERT TO CHARACTER SET utf8mb4")
    connection.commit()  # as MySQL has done itself by now
    connection.begin()


def _drop(address: Address, names: Iterable[str]) -> None:
    with attached(address, "target", read_only=False) as connection:
        for name in names:
            _execute_in_mysql(connection, f"DROP TABLE IF EXISTS `{name}`")


def _execute_in_mysql(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    connection.execute(f"CALL mysql_execute('target', {literal(sql)})")


def _select(name: str, table: str) -> str:
    """The SELECT that reads a table, given by its name or as a SELECT.

    Raises:
        UserError: it is SQL, but not one SELECT.
    """
    if not re.search(r"\s", table):
        return f"FROM {'.'.join(map(quoted, table.split('.')))}"
    try:
        statements = duckdb.extract_statements(table)
    except duckdb.ParserException as error:
        raise UserError(f"data.{name} is neither a table nor a SELECT: {' '.join(str(error).split())}") from error
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise UserError(f"data.{name} is not one SELECT, and a database is only read: give a table, or one SELECT")
    return statements[0].query.strip().removesuffix(";") + "\n"  # a comment may end it


def _load_extension(connection: duckdb.DuckDBPyConnection, kind: str) -> None:
    """Load what DuckDB reaches a kind of database with: from the package that carries it, else by download."""
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
            f"DuckDB {duckdb.__version__} reaches {kind} by an extension that cannot be downloaded here: "
            "pip install 'recsys[databases]'"
        ) from error
