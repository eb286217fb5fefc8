"""Files to raw tables: text as the source has it, under our column names.

The SELECTs are in `sql/read`, one for each format.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from recsys.data.clean import SQL, count, create
from recsys.data.sources import Raw, RawTable
from recsys.errors import UserError

# Columns that every raw table has, where need be empty; a file may bring more about users and films.
_COLUMNS = {
    "ratings": ("user_id", "movie_id", "rating", "time", "part"),
    "users": ("user_id", "age", "gender", "occupation", "zip_code"),
    "films": ("movie_id", "title", "year", "genres"),
    "links": ("movie_id", "imdb_id", "tmdb_id"),
    "negatives": ("user_id", "movie_ids"),
}


def read(connection: duckdb.DuckDBPyConnection, raw: Raw) -> None:
    """Make tables `raw_ratings`, `raw_users`, `raw_films`, `raw_links` and `raw_negatives` of a source's open files.

    Rows keep the order of their files.

    Raises:
        UserError: a file cannot be read, lacks columns, has no rows, or has text where numbers belong.
    """
    for table in raw.tables:
        _read(connection, table)
    for name, columns in _COLUMNS.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS raw_{name} ({', '.join(f'{c} VARCHAR' for c in columns)})")

    ratings = next(table for table in raw.tables if table.name == "ratings")
    if not count(connection, "raw_ratings"):
        raise UserError(f"{ratings.file} has no rows")
    create(connection, "unreadable", "unreadable", numeric_ids=raw.numeric_ids)
    for row, name, cell in connection.execute("FROM unreadable").fetchall():
        column = (ratings.columns or {}).get(name) or name
        raise UserError(f"{ratings.file} has text where a number belongs: {cell!r} in column {column}, row {row + 1}")


def _read(connection: duckdb.DuckDBPyConnection, table: RawTable) -> None:
    query = (SQL / "read" / f"{table.query}.sql").read_text(encoding="utf-8")
    parameters = {"file": str(table.file)}
    if "$encoding" in query:
        parameters["encoding"] = _encoding(table.file)
    try:
        found = connection.sql(query, params=parameters)
        columns = _columns(table, dict(zip(found.columns, map(str, found.types), strict=True)))
        query = f"SELECT {columns} FROM ({query})"  # noqa: S608 - names are quoted
        connection.execute(f"CREATE TABLE IF NOT EXISTS raw_{table.name} AS {query} LIMIT 0", parameters)
        connection.execute(f"INSERT INTO raw_{table.name} BY NAME {query}", parameters)
    except duckdb.Error as error:
        raise UserError(f"cannot read {table.file}: {' '.join(str(error).split())}") from error


def _columns(table: RawTable, types: dict[str, str]) -> str:
    """The list of a SELECT that gives our columns as text, NULL where the file has none or an empty one."""
    theirs = table.columns or {name: name for name in types}
    missing = [name for name in theirs.values() if name is not None and name not in types]
    if missing:
        raise UserError(f"{table.file} lacks the columns {', '.join(missing)}; it has {', '.join(types)}")
    selected = dict.fromkeys(_COLUMNS[table.name]) | dict(theirs)
    return ", ".join(f"{_text(name, types, table)} AS {_quoted(ours)}" for ours, name in selected.items())


def _text(name: str | None, types: dict[str, str], table: RawTable) -> str:
    if name is None:
        return "CAST(NULL AS VARCHAR)"
    if types[name].endswith("[]"):
        return f"array_to_string({_quoted(name)}, '|')"
    text = f"nullif(trim(CAST({_quoted(name)} AS VARCHAR)), '')"
    if types[name] in ("DOUBLE", "FLOAT"):  # whole numbers among missing ones: 7.0 is the id 7
        return f"nullif(regexp_replace({text}, '\\.0$', ''), 'nan')"
    return text


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _encoding(file: Path) -> str:
    """Older releases are in Latin-1, copies of them often in UTF-8."""
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
