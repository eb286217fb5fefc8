"""Normalisation of raw item metadata, which is text in the notations of many publishers.

The SELECTs in `sql/clean` read lists with bars between the elements, durations in minutes, years and ISO dates. Cells
in other notations are rewritten for them; all other cells stay as they are.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from datetime import datetime
from typing import Any

import duckdb

from recsys.data.columns import EXTERNAL_IDS
from recsys.data.quoting import literal, quoted
from recsys.data.raw import LIST_COLUMNS

NULL = r"\N"  # of database dumps
NO_VALUE = (
    NULL,
    "nan",
    "NaN",
    "NULL",
    "null",
    "None",
    "<NA>",
)  # in columns that are not names, which may be such words
N_ACTORS = 10  # of a cast in billing order
# Entries of a crew that belong to a column: the key that says so, and its value.
_ROLES = {"directors": ("job", "Director"), "writers": ("department", "Writing")}
_DATES = ("%d-%b-%Y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%Y.%m.%d", "%d.%m.%Y")
_YEAR = r"\b(1[89]\d\d|20\d\d)\b"


def normalize(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Rewrite the metadata in a raw table of items, in place.

    Args:
        connection: a database with the table.
        table: `raw_films` or `raw_descriptions`.
    """
    if not len(connection.table(table)):
        return
    for column in connection.table(table).columns:
        absent = NO_VALUE if column in (*LIST_COLUMNS, "certificate", "plot") else (NULL,)
        _update(connection, table, column, "NULL", f"{quoted(column)} IN ({', '.join(map(literal, absent))})")
    connection.create_function("elements_as_text", _elements, ["VARCHAR", "VARCHAR"], "VARCHAR")
    connection.create_function("minutes_of", _minutes, ["VARCHAR"], "VARCHAR")
    connection.create_function("date_of", _date, ["VARCHAR"], "VARCHAR")
    for column in LIST_COLUMNS:
        rewritten = f"nullif(elements_as_text({literal(column)}, {column}), '')"
        _update(connection, table, column, rewritten, rf"regexp_matches({column}, '^\s*[\[{{]')")
    _update(connection, table, "runtime", "minutes_of(runtime)", "regexp_matches(runtime, '[:hs]', 'i')")
    _update(connection, table, "release_date", "date_of(release_date)", "try_cast(release_date AS TIMESTAMP) IS NULL")
    for column, condition in (
        ("year", "try_cast(year AS SMALLINT) IS NULL"),
        # a year in brackets after the title comes before that of the date
        ("release_date", r"year IS NULL AND NOT coalesce(regexp_matches(title, '\(\d{4}'), false)"),
    ):
        found = f"nullif(regexp_extract({column}, {literal(_YEAR)}, 1), '')"
        _update(connection, table, "year", found, f"{condition} AND {found} IS NOT NULL")


def move_links(connection: duckdb.DuckDBPyConnection) -> None:
    """Move ids in other catalogues from the items to their links, for items without links."""
    ids = [column for column in EXTERNAL_IDS if column in connection.table("raw_films").columns]
    if not ids:
        return
    connection.execute(
        f"INSERT INTO raw_links BY NAME SELECT movie_id, {', '.join(ids)} FROM raw_films "  # noqa: S608 - constants
        "WHERE movie_id NOT IN (SELECT movie_id FROM raw_links WHERE movie_id IS NOT NULL)"
    )
    for column in ids:
        connection.execute(f"ALTER TABLE raw_films DROP COLUMN {column}")


def _update(connection: duckdb.DuckDBPyConnection, table: str, column: str, value: str, condition: str) -> None:
    connection.execute(f"UPDATE {table} SET {quoted(column)} = {value} WHERE {condition}")  # noqa: S608 - names are quoted


def _elements(column: str, text: str) -> str:
    """Return the elements of a list in JSON, Python's or another notation, separated by bars.

    Elements that are objects stand for their names. Those of a crew are limited to the role that the column is for, and
    those of a cast to the first `N_ACTORS`.
    """
    entries = _parsed(text)
    if column in _ROLES:
        key, value = _ROLES[column]
        entries = [entry for entry in entries if not isinstance(entry, dict) or entry.get(key, value) == value]
    if column == "actors" and any(isinstance(entry, dict) for entry in entries):
        entries = entries[:N_ACTORS]
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in entries]
    return "|".join(str(name).replace("|", "/").strip() for name in names if name is not None)


def _parsed(text: str) -> list[Any]:
    """Parse a list; what is neither JSON nor Python is taken as text with commas, in brackets or braces."""
    text = text.strip()
    for parse in (json.loads, ast.literal_eval):
        try:
            # the elements of an array that numpy printed have no commas between them
            found = parse(re.sub(r"(?<=['\"])\s+(?=['\"])", ", ", text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return [found] if isinstance(found, dict) else list(found)
    if text[-1] not in "]}":
        return [text]
    return next(csv.reader([text[1:-1]], skipinitialspace=True), [])


def _minutes(text: str) -> str:
    """Return a duration such as `1h 31m`, `PT1H31M` or `1:31:00` in minutes; other text as it is."""
    plain = text.strip().lower()
    if clock := re.fullmatch(r"(\d+):(\d\d)(?::\d\d(?:\.\d+)?)?", plain):
        return str(60 * int(clock[1]) + int(clock[2]))
    if hours := re.match(r"(?:p(?:0d)?t)?(\d+(?:\.\d+)?)\s*h\D*(?:(\d+)(?!\d|\s*s))?", plain):
        return str(round(60 * float(hours[1])) + int(hours[2] or 0))
    if seconds := re.fullmatch(r"(?:pt)?(\d+)\s*s(?:ec(?:onds?)?)?\.?", plain):
        return str(int(seconds[1]) // 60)
    return text


def _date(text: str) -> str:
    """Return a date in one of `_DATES` in ISO notation; other text as it is."""
    for notation in _DATES:
        try:
            return datetime.strptime(text, notation).date().isoformat()
        except ValueError:
            continue
    return text
