"""Normalisation of raw item metadata, which is text in different notations depending on the publisher.

The SELECTs in `sql/clean` expect lists with bars (`|`) between the elements, durations in minutes, years as numbers,
and dates in ISO notation. Cells in other notations that are recognised are rewritten accordingly; all other cells stay
as they are.
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

NULL = r"\N"  # in database dumps
NO_VALUE = (
    NULL,
    "nan",
    "NaN",
    "NULL",
    "null",
    "None",
    "<NA>",
)  # not in columns of names, since a name may be such a word
N_ACTORS = 10  # number of actors to keep, in billing order
# column -> the key and the value by which entries of a crew belong to it
_ROLES = {"directors": ("job", "Director"), "writers": ("department", "Writing")}
_DATES = ("%d-%b-%Y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%Y.%m.%d", "%d.%m.%Y")
_YEAR = r"\b(1[89]\d\d|20\d\d)\b"
_SEPARATORS = (";", ",")  # of lists, besides bars; the first that fits is used
_NOTATION = r"""^\s*([\[{]|\(['"])"""  # how a list in JSON's, Python's or another notation begins
MOVED = quoted("moved from films")  # column of `raw_links`, true in the rows of `move_links`
LISTS = "lists are split at {0!r} (data.genre_separator={0!r})"  # note on what was detected


def normalize(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Rewrite the metadata in a raw table of items, in place, to the notations that cleaning expects.

    Args:
        connection: a connection to the database.
        table: name of the table, `raw_films` or `raw_descriptions`.

    Returns:
        Notes on the notations that were detected.
    """
    if not len(connection.table(table)):
        return []
    for column in connection.table(table).columns:
        absent = NO_VALUE if column in (*LIST_COLUMNS, "certificate", "plot") else (NULL,)
        _update(connection, table, column, "NULL", f"{quoted(column)} IN ({', '.join(map(literal, absent))})")
    separator = _other_separator(connection, table)
    if separator is not None:
        for column in LIST_COLUMNS:
            parted = f"array_to_string(list_transform(string_split({column}, '{separator}'), x -> trim(x)), '|')"
            _update(connection, table, column, parted, f"NOT {_is_marked(column)}")
    connection.create_function("elements_as_text", _elements, ["VARCHAR", "VARCHAR"], "VARCHAR")
    connection.create_function("minutes_of", _minutes, ["VARCHAR"], "VARCHAR")
    connection.create_function("date_of", _date, ["VARCHAR"], "VARCHAR")
    for column in LIST_COLUMNS:
        rewritten = f"nullif(elements_as_text({literal(column)}, {column}), '')"
        _update(connection, table, column, rewritten, f"regexp_matches({column}, {literal(_NOTATION)})")
    _update(connection, table, "runtime", "minutes_of(runtime)", "regexp_matches(runtime, '[:hs]', 'i')")
    _update(connection, table, "release_date", "date_of(release_date)", "try_cast(release_date AS TIMESTAMP) IS NULL")
    for column, condition in (
        ("year", "try_cast(year AS SMALLINT) IS NULL"),
        # a year in brackets after the title takes precedence over the year of the date
        ("release_date", r"year IS NULL AND NOT coalesce(regexp_matches(title, '\(\d{4}'), false)"),
    ):
        found = f"nullif(regexp_extract({column}, {literal(_YEAR)}, 1), '')"
        _update(connection, table, "year", found, f"{condition} AND {found} IS NOT NULL")
    return [] if separator is None else [LISTS.format(separator)]


def _other_separator(connection: duckdb.DuckDBPyConnection, table: str) -> str | None:
    """Detect the separator of lists in the column `genres`; return None if it is the bar or none is found.

    The separator is the first in `_SEPARATORS` that occurs in a cell, if no cell is already marked as a list
    (`_is_marked`) and splitting yields at most as many different elements as there are different cells. If it yields
    more, the character may be part of the names of genres.
    """
    cells = f"FROM {table} WHERE genres IS NOT NULL"
    for separator in _SEPARATORS:
        elements = f"SELECT DISTINCT trim(unnest(string_split(genres, '{separator}'))) {cells}"
        [(is_separated, is_marked, n_cells, n_elements)] = connection.execute(
            f"SELECT bool_or(contains(genres, '{separator}')), bool_or({_is_marked('genres')}), "  # noqa: S608 - constants
            f"count(DISTINCT genres), (SELECT count(*) FROM ({elements})) {cells}"
        ).fetchall()
        if is_separated and not is_marked and n_elements <= n_cells:
            return separator
    return None


def _is_marked(column: str) -> str:
    """Return an SQL condition: a cell contains a bar, or begins like a list in JSON or Python notation."""
    return f"(contains({column}, '|') OR regexp_matches({column}, {literal(_NOTATION)}))"


def move_links(connection: duckdb.DuckDBPyConnection) -> None:
    """Move ids in other catalogues (IMDb, TMDB) from `raw_films` to `raw_links`.

    Ids of items that already have a row in `raw_links` are dropped. The moved rows are marked in the column `MOVED`.
    """
    connection.execute(f"ALTER TABLE raw_links ADD COLUMN {MOVED} BOOLEAN")
    ids = [column for column in EXTERNAL_IDS if column in connection.table("raw_films").columns]
    if not ids:
        return
    connection.execute(
        f"INSERT INTO raw_links BY NAME SELECT movie_id, {', '.join(ids)}, true AS {MOVED} FROM raw_films "  # noqa: S608 - constants
        "WHERE movie_id NOT IN (SELECT movie_id FROM raw_links WHERE movie_id IS NOT NULL)"
    )
    for column in ids:
        connection.execute(f"ALTER TABLE raw_films DROP COLUMN {column}")


def _update(connection: duckdb.DuckDBPyConnection, table: str, column: str, value: str, condition: str) -> None:
    connection.execute(f"UPDATE {table} SET {quoted(column)} = {value} WHERE {condition}")  # noqa: S608 - names are quoted


def _elements(column: str, text: str) -> str:
    """Convert a list in JSON, Python or a similar notation to text with bars between the elements.

    An element that is an object is replaced by the object's name. Of the members of a crew, only those with the role
    that belongs to the column (`_ROLES`) are included; of the actors in a list of objects, only the first `N_ACTORS`.
    Bars in names become slashes.
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
    """Parse a list in JSON or Python notation; other text in brackets or braces is split at its commas."""
    text = text.strip()
    for parse in (json.loads, ast.literal_eval):
        try:
            # numpy prints arrays without commas between the elements
            found = parse(re.sub(r"(?<=['\"])\s+(?=['\"])", ", ", text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, dict):
            return [found] if "name" in found else list(found.values())
        return list(found) if isinstance(found, list | tuple | set) else [found]
    if text[-1] not in "]})":
        return [text]
    return next(csv.reader([text[1:-1]], skipinitialspace=True), [])


def _minutes(text: str) -> str:
    """Convert a duration such as `1h 31m`, `PT1H31M`, `1:31:00` or `5460s` to minutes; return other text unchanged."""
    plain = text.strip().lower()
    if clock := re.fullmatch(r"(\d+):(\d\d)(?::\d\d(?:\.\d+)?)?", plain):
        return str(60 * int(clock[1]) + int(clock[2]))
    if hours := re.match(r"(?:p(?:0d)?t)?(\d+(?:\.\d+)?)\s*h\D*(?:(\d+)(?!\d|\s*s))?", plain):
        return str(round(60 * float(hours[1])) + int(hours[2] or 0))
    if seconds := re.fullmatch(r"(?:pt)?(\d+)\s*s(?:ec(?:onds?)?)?\.?", plain):
        return str(int(seconds[1]) // 60)
    return text


def _date(text: str) -> str:
    """Convert a date in one of the formats `_DATES` to ISO notation; return other text unchanged."""
    for notation in _DATES:
        try:
            return datetime.strptime(text, notation).date().isoformat()
        except ValueError:
            continue
    return text
