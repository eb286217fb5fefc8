"""Adds external metadata to items: matches the descriptions of a catalogue to items, and merges their values.

A description is matched to the item with the same id; if there is none, to the item with the same IMDb or TMDB id, if
the ratings' source has such ids; if there is none, to an item with the same title whose year is missing or differs by
at most one. The rules are in `sql/clean/matched.sql`, except the rule for IMDb ids, which is in this module. Metadata
of the ratings' source takes precedence; a description only fills in missing values and adds missing columns.
"""

from __future__ import annotations

import duckdb

from recsys.data.clean import SQL, create
from recsys.data.dialect import MISSING
from recsys.data.interpret.ids import interpret_ids
from recsys.data.normalize import normalize
from recsys.data.quoting import quoted
from recsys.data.raw import Raw
from recsys.data.read import insert
from recsys.errors import UserError

# (Not in sql/, whose files are part of the fingerprint of every data set.) IMDb's ids are numbers in several notations:
# tt0113277, 0113277, 113277. Ids of items may be IMDb's themselves.
_IMDB_NUMBERS = r"""
CREATE TEMP MACRO imdb_number(id) AS try_cast(regexp_extract(id, '^(?:tt)?(\d+)$', 1) AS BIGINT);
CREATE TEMP VIEW imdb_items AS
SELECT item, imdb_number(coalesce(imdb_id, if(starts_with(movie_id, 'tt'), movie_id, NULL))) AS number FROM films;
CREATE TEMP VIEW imdb_rows AS SELECT source_row, movie_id, imdb_number(imdb_id) AS number FROM described;
"""
# An equal IMDb id takes precedence over any match but an equal item id. Equal titles do not match if IMDb ids differ.
_MATCHED_BY_IMDB = """
CREATE TABLE matched_by_imdb AS
WITH compared AS (
    SELECT item, source_row, imdb_rows.movie_id IS NOT NULL AS by_id, imdb_items.number <> imdb_rows.number AS differ
    FROM matched JOIN imdb_items USING (item) JOIN imdb_rows USING (source_row)
), linked AS (
    SELECT item, max(source_row) AS source_row FROM imdb_items JOIN imdb_rows USING (number)
    WHERE movie_id IS NULL AND item NOT IN (SELECT item FROM compared WHERE by_id) GROUP BY item
)
FROM linked
UNION ALL
SELECT item, source_row FROM compared
WHERE by_id OR (item NOT IN (SELECT item FROM linked) AND differ IS NOT TRUE)
"""


def describe(connection: duckdb.DuckDBPyConnection, raw: Raw) -> list[str]:
    """Add the metadata of descriptions to the table `films`, and create the tables `described` and `matched`.

    `described` has a row for each description. `matched` has a row for each item with a description: the code `item`,
    and `source_row`, the row of the description in `described`.

    Args:
        connection: a connection to a database with the clean table `films`.
        raw: the files of descriptions, and how to read them.

    Returns:
        Notes on what was detected while reading, such as an encoding or a delimiter.

    Raises:
        UserError: a file cannot be read, or no description has an id or a title.
    """
    notes = read_descriptions(connection, raw)
    if not len(
        connection.table("described").filter("coalesce(movie_id, imdb_id, title, CAST(tmdb_id AS VARCHAR)) IS NOT NULL")
    ):
        raise UserError(f"Metadata must have values in imdb_id, movie_id, tmdb_id or title, but {raw.origin} has none.")
    create(connection, "matched", "matched")
    connection.execute(_IMDB_NUMBERS)
    connection.execute(_MATCHED_BY_IMDB)
    connection.execute("DROP TABLE matched")
    connection.execute("ALTER TABLE matched_by_imdb RENAME TO matched")
    connection.execute(
        f"CREATE TABLE enriched AS SELECT {_enriched(connection)} FROM films "  # noqa: S608 - names are quoted
        "LEFT JOIN matched ON matched.item = films.item "
        "LEFT JOIN described ON described.source_row = matched.source_row ORDER BY films.item"
    )
    connection.execute("DROP TABLE films")
    connection.execute("ALTER TABLE enriched RENAME TO films")
    return notes


def read_descriptions(connection: duckdb.DuckDBPyConnection, raw: Raw) -> list[str]:
    """Create the table `described` from a catalogue's files, with typed and cleaned columns.

    Returns:
        Notes on what was detected while reading, such as an encoding or a delimiter.

    Raises:
        UserError: a file cannot be read.
    """
    notes = []
    for table in raw.tables:
        rows, detected = insert(connection, table)
        detected += interpret_ids(rows, str(table.file), table.columns or {}, MISSING)
        notes += [f"{table.file.name}: {note}" for note in detected]
    connection.execute("ALTER TABLE raw_descriptions ADD COLUMN IF NOT EXISTS imdb_id VARCHAR")
    notes += normalize(connection, "raw_descriptions")
    connection.execute((SQL / "clean" / "macros.sql").read_text(encoding="utf-8"))
    create(connection, "described", "described")
    return notes


def _enriched(connection: duckdb.DuckDBPyConnection) -> str:
    """Return a select list (SQL) of the items' columns, whose missing values are filled in from their descriptions."""
    tables = ("films", "described")  # DuckDB ignores the case of column names
    own, others = ({column.lower(): column for column in connection.table(name).columns} for name in tables)
    selected = []
    for name in dict.fromkeys((*own, *others)):
        if name not in ("source_row", "keys"):
            found = [
                (table, columns[name]) for table, columns in zip(tables, (own, others), strict=True) if name in columns
            ]
            cells = ", ".join(f"{table}.{quoted(column)}" for table, column in found)
            selected.append(f"coalesce({cells}) AS {quoted(found[0][1])}")
    return ", ".join(selected)
