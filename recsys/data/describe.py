"""Items described by external metadata: which description belongs to which item, and what it adds.

A description is matched to the item with the same id; otherwise to the item with the same TMDB id, if the ratings'
source links to TMDB; otherwise to an item with the same title and year (`sql/clean/matched.sql` has the rules).
Metadata of the ratings' source takes precedence; a description fills in missing values and adds missing columns.
"""

from __future__ import annotations

import duckdb

from recsys.data.clean import SQL, create
from recsys.data.dialect import MISSING
from recsys.data.interpret import interpret_ids
from recsys.data.quoting import quoted
from recsys.data.raw import Raw
from recsys.data.read import insert
from recsys.errors import UserError


def describe(connection: duckdb.DuckDBPyConnection, raw: Raw) -> None:
    """Add descriptions to the table `films`, and create a table `matched` with a row for each described item.

    Args:
        connection: a database with the clean table `films`.
        raw: the files of descriptions.

    Raises:
        UserError: a file cannot be read, or has nothing that identifies items.
    """
    read_descriptions(connection, raw)
    identifying = ("movie_id", "tmdb_id", "title")
    if not any(connection.sql(f"SELECT count({name}) FROM raw_descriptions").fetchall()[0][0] for name in identifying):  # noqa: S608
        raise UserError(f"Metadata must have values in one of {', '.join(identifying)}, but {raw.origin} has none.")
    create(connection, "matched", "matched")
    connection.execute(
        f"CREATE TABLE enriched AS SELECT {_enriched(connection)} FROM films "  # noqa: S608 - names are quoted
        "LEFT JOIN matched ON matched.item = films.item "
        "LEFT JOIN described ON described.source_row = matched.source_row ORDER BY films.item"
    )
    connection.execute("DROP TABLE films")
    connection.execute("ALTER TABLE enriched RENAME TO films")


def read_descriptions(connection: duckdb.DuckDBPyConnection, raw: Raw) -> None:
    """Create the table `described` from a catalogue's files, with typed and cleaned columns.

    Raises:
        UserError: a file cannot be read.
    """
    for table in raw.tables:
        rows, _ = insert(connection, table)
        interpret_ids(rows, MISSING)
    connection.execute((SQL / "clean" / "macros.sql").read_text(encoding="utf-8"))
    create(connection, "described", "described")


def _enriched(connection: duckdb.DuckDBPyConnection) -> str:
    """Write the select list of the items' columns, whose missing values are filled in by descriptions."""
    own, others = (connection.table(name).columns for name in ("films", "described"))
    selected = []
    for name in dict.fromkeys((*own, *others)):
        tables = [table for table, columns in (("films", own), ("described", others)) if name in columns]
        if name not in ("source_row", "keys"):
            cells = ", ".join(f"{table}.{quoted(name)}" for table in tables)
            selected.append(f"coalesce({cells}) AS {quoted(name)}")
    return ", ".join(selected)
