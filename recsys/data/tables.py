"""Converts a data set to tables, and writes tables to a database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from secrets import token_hex

import duckdb
import numpy as np
import pandas as pd

from recsys.counted import counted
from recsys.data.address import Address
from recsys.data.attach import attached
from recsys.data.dataset import Dataset
from recsys.data.quoting import literal, quoted
from recsys.data.raw import LIST_COLUMNS
from recsys.errors import UserError
from recsys.terminal import working

TABLES = ("ratings", "users", "films", "links")  # names of clean tables, and of the tables that `Database` reads


def clean_tables(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Convert a data set to tables of ratings, users, items and links, in the form that the source `Database` reads.

    Links are ids of items in other catalogues. Lists become text with a bar between the elements. Columns that the data
    set lacks are left out; so is the age group, which follows from the age. Ratings are in the order of the data set
    unless it has parts; then they are sorted by part, because parts are ordered by their first rows when the tables are
    read again.
    """
    ratings = {
        "user_id": dataset.user_frame["user_id"].to_numpy()[dataset.users],
        "movie_id": dataset.item_frame["movie_id"].to_numpy()[dataset.items],
        "rating": dataset.ratings,
    }
    if dataset.times is not None:
        ratings["time"] = dataset.times
    if dataset.plays is not None:
        ratings["plays"] = dataset.plays
    if dataset.parts is not None:
        ratings["part"] = np.array([*dataset.part_names, None], dtype=object)[dataset.parts]  # -1: no part
        by_part = np.argsort(dataset.parts, kind="stable")
        ratings = {name: column[by_part] for name, column in ratings.items()}
    items = dataset.item_frame.copy()
    for column in items.columns.intersection(list(LIST_COLUMNS)):
        items[column] = items[column].map("|".join)
    links = [*items.columns.intersection(["imdb_id", "tmdb_id"])]
    tables = {
        "ratings": pd.DataFrame(ratings),
        "users": dataset.user_frame.drop(columns="age_group", errors="ignore"),
        "films": items.drop(columns=links),
    }
    if links:
        tables["links"] = items[["movie_id", *links]]
    return {name: _plain(frame) for name, frame in tables.items()}


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a data frame with its categorical columns converted to text."""
    categories = frame.select_dtypes("category").columns
    return frame.astype(dict.fromkeys(categories, object))


def check_no_tables(address: Address, names: Collection[str]) -> None:
    """Check that a database can be reached and has no tables with the given names, before tables are computed for it.

    The check passes if the database is a file that does not exist yet.

    Raises:
        UserError: the database cannot be reached, or it already has some of the tables.
    """
    if address.is_file and not Path(address.url).exists():
        return
    with attached(address, "target", read_only=True) as connection:
        if existing := _existing(connection, names):
            raise UserError(f"{address} already has {', '.join(existing)}: give --replace to replace these tables.")


def write_tables(address: Address, tables: Mapping[str, pd.DataFrame], *, replace: bool = False) -> None:
    """Write tables to a database: either all of them or, if an error occurs, none.

    Args:
        address: address of the database; a database file that does not exist is created.
        tables: table name -> data frame with columns of numbers, text or dates.
        replace: whether to replace existing tables with these names.

    Raises:
        UserError: such tables exist and `replace` is false, or the tables cannot be written.
    """
    if not replace:
        check_no_tables(address, tables.keys())
    unfinished = {name: f"{name}_{token_hex(4)}" for name in tables}
    try:
        with attached(address, "target", read_only=False) as connection:
            replaced = _existing(connection, tables.keys()) if replace else []
            connection.begin()
            for name, frame in tables.items():
                connection.register(f"frame_of_{name}", frame)
                connection.execute(f"CREATE TABLE {quoted(unfinished[name])} AS FROM frame_of_{name} LIMIT 0")
            if address.kind == "mysql":
                _use_unicode(connection, unfinished.values())
            for name, frame in tables.items():
                with working(f"writing {name}, {counted(len(frame), 'row')}, to {address}"):
                    connection.execute(f"INSERT INTO {quoted(unfinished[name])} FROM frame_of_{name}")
            _rename(connection, address, unfinished, replaced)
    except BaseException:
        if address.kind == "mysql":  # other databases roll back
            _drop(address, unfinished.values())
        raise


def _existing(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> list[str]:
    """Return which of the names are names of tables or views of the attached database, in alphabetical order."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_catalog = 'target' AND table_schema = current_schema() ORDER BY table_name"
    ).fetchall()
    return [name for (name,) in found if name in names]


def _rename(
    connection: duckdb.DuckDBPyConnection, address: Address, unfinished: Mapping[str, str], replaced: Collection[str]
) -> None:
    """Give all tables their final names in one step, and drop the tables that they replace.

    Args:
        connection: a connection to which the database is attached.
        address: the address of the database.
        unfinished: final name -> temporary name, for each table.
        replaced: those final names that existing tables have.
    """
    if address.kind != "mysql":
        for name in replaced:
            connection.execute(f"DROP TABLE {quoted(name)}")
        for name, written in unfinished.items():
            connection.execute(f"ALTER TABLE {quoted(written)} RENAME TO {quoted(name)}")
        connection.commit()
        return
    connection.commit()  # MySQL creates tables outside transactions, but renames many in one statement
    old = {name: f"{unfinished[name]}_old" for name in replaced}
    moves = [*old.items(), *((written, name) for name, written in unfinished.items())]
    _execute_in_mysql(connection, "RENAME TABLE " + ", ".join(f"`{before}` TO `{after}`" for before, after in moves))
    _drop(address, old.values())


def _use_unicode(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Set the character set of empty MySQL tables to full Unicode, whatever the database's default is."""
    for name in names:
        _execute_in_mysql(connection, f"ALTER TABLE `{name}` CONVERT TO CHARACTER SET utf8mb4")
    connection.commit()  # MySQL has committed implicitly
    connection.begin()


def _drop(address: Address, names: Iterable[str]) -> None:
    with attached(address, "target", read_only=False) as connection:
        for name in names:
            _execute_in_mysql(connection, f"DROP TABLE IF EXISTS `{name}`")


def _execute_in_mysql(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    connection.execute(f"CALL mysql_execute('target', {literal(sql)})")
