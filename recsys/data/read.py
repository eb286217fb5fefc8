"""Reading of files into raw tables, whose columns have standard names (`raw.COLUMNS`) and contain the files' text.

Delimited text, JSON and Parquet are read with every option stated explicitly, because DuckDB's automatic detection
drops rows silently. The SELECTs for releases with special layouts are in `sql/read`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from recsys.data.clean import FURTHER_COLUMNS, SQL, count
from recsys.data.columns import apart, named
from recsys.data.dialect import Reading
from recsys.data.interpret.ids import interpret_ids
from recsys.data.interpret.ratings import check_further, check_numbers, interpret_ratings
from recsys.data.interpret.rows import Rows
from recsys.data.plain import plain
from recsys.data.quoting import literal, one_file, quoted
from recsys.data.raw import COLUMNS, LIST_COLUMNS, Raw, RawTable
from recsys.data.selects import Select, check_plausible, refusal, selects
from recsys.errors import UserError

SOURCE = "source"  # column with the name of the gathered source of a row
LIST = r"""^\s*([\[{]\s*['"\[{]|\(['"])"""  # how a list in JSON's or Python's notation begins
COLUMNS_OF = {
    "users": "data.users_columns",
    "films": "data.films_columns",
    "descriptions": "metadata.columns",
}  # settings
ROW = "row"  # in place of a column of times: the number of the row, from 1, where rows are in order of time
UNTITLED = "no titles, so films are named by their ids (data.films_columns.title=NAME names the column of titles)"
COUNTED_ON = (
    "times are row numbers, which continue from file to file (data that earlier versions prepared with numbers that "
    "restart at each file are not used)"
)
FILE = "file"  # the query of a file of any format, whose parameters are those of `Reading`
# Queries that read files in a fixed dialect. (SELECTs of these names are in sql/, since they are part of every
# fingerprint, but are not used: they let DuckDB detect comments and rows to skip.)
DIALECTS = {
    "csv": Reading(delimiter=",", quote='"'),
    "tsv": Reading(delimiter="\t", quote='"'),
    "atomic": Reading(delimiter="\t", quote=""),
}
_SINGLE = ("user_id", "movie_id", "rating", "time")  # columns that must have one value in each row
_NESTED = re.compile(r"STRUCT|MAP|UNION|ARRAY|.*\]$")  # types with several values
INTERPRETED = (FILE, "atomic")  # queries of files whose notation of ids, numbers and times is not known
# Columns by which the header of a file is recognised.
_IDENTIFYING = {"ratings": ("user_id", "movie_id"), "users": ("user_id",), "films": ("movie_id",)}


def read(connection: duckdb.DuckDBPyConnection, raw: Raw, scratch: Path | None = None) -> list[str]:
    """Read a source's unpacked files into raw tables: a table `raw_NAME` for each NAME in `raw.COLUMNS`.

    A table for which there is no file is empty. Rows are in the order of the files. If several sources are gathered,
    the column `source` contains the name of each row's source.

    Args:
        connection: a connection to the database in which the tables are created.
        raw: the files, unpacked, and how to read them.
        scratch: folder for temporary copies of files; None for the system's temporary folder.

    Returns:
        Notes on what was detected while reading, each of which names its file.

    Raises:
        UserError: a file cannot be read, lacks columns, has no rows, or contains text where a number is required.
    """
    for name, columns in COLUMNS.items():
        if name not in (table.name for table in raw.tables):
            connection.execute(f"CREATE TABLE raw_{name} ({', '.join(f'{column} VARCHAR' for column in columns)})")
    notes = []
    for table in raw.tables:
        rows, detected = insert(connection, table, scratch)
        named = table.columns or {}
        if table.query in INTERPRETED:
            reading = Reading(**table.parameters)
            detected += interpret_ids(rows, str(table.file), named, reading.missing)
            if table.name == "ratings":
                detected += interpret_ratings(rows, str(table.file), named, reading)
            if table.name == "films" and not rows.select("count(title)")[0]:
                detected.append(UNTITLED)
        elif table.name == "ratings":
            check_numbers(rows, str(table.file), named, raw.numeric_ids)
        if table.name == "ratings":
            check_further(rows, str(table.file), named)
        notes += [f"{table.file.name}: {note}" for note in detected]
    if counts_rows_on(raw):
        notes.append(COUNTED_ON)
    return list(dict.fromkeys(notes))


def counts_rows_on(raw: Raw) -> bool:
    """Return whether times are row numbers that continue from one file of ratings to the next."""
    later = [table for table in raw.tables if table.name == "ratings"][1:]
    return any((table.columns or {}).get("time") == ROW for table in later)


def insert(
    connection: duckdb.DuckDBPyConnection, table: RawTable, scratch: Path | None = None
) -> tuple[Rows, list[str]]:
    """Append the rows of a file to its raw table; the table is created if it does not exist.

    Args:
        connection: a connection to the database in which the tables are created.
        table: the file, and how to read it.
        scratch: folder for temporary copies of files; None for the system's temporary folder.

    Returns:
        The appended rows, and notes on what was detected.

    Raises:
        UserError: the file cannot be read or lacks columns, or a file of ratings has no rows.
    """
    failures = []
    with tempfile.TemporaryDirectory(dir=scratch, prefix="reading-") as folder:
        for select in _selects(connection, table, Path(folder)):
            try:
                first_row = _append(connection, table, select)
            except duckdb.Error as error:
                failures.append(error)
                continue
            if table.name == "ratings" and first_row == count(connection, "raw_ratings"):
                raise UserError(f"{table.file} has no rows.")
            omitted = connection.execute(table.omitted, select.parameters).fetchall() if table.omitted else ()
            notes = [*select.notes, *(f"{note}: {n_rows:,}" for n_rows, note in omitted if n_rows)]
            return Rows(connection, f"raw_{table.name}", first_row), notes
    raise refusal(table.file, failures[0], table.parameters.get("skip", 0)) from failures[0]


def _selects(connection: duckdb.DuckDBPyConnection, table: RawTable, scratch: Path) -> Iterator[Select]:
    """Yield candidate SELECTs for reading the file of a raw table, in the order in which to try them.

    Raises:
        UserError: no SELECT can read the file.
    """
    reading = Reading(**table.parameters) if table.query == FILE else DIALECTS.get(table.query)
    if reading is not None:
        yield from selects(connection, table.file, reading, wanted(table), scratch)
        return
    if table.query.lstrip().startswith("SELECT"):
        yield Select(table.query, {**table.parameters, **_files(table, scratch)})
        return
    sql = (SQL / "read" / f"{table.query}.sql").read_text(encoding="utf-8")
    parameters = {"file": one_file(table.file), **{file.stem: one_file(file) for file in table.others}}
    parameters |= table.parameters
    if "$encoding" in sql:
        parameters["encoding"] = _encoding(table.file)
    yield Select(sql, parameters)


def _files(table: RawTable, scratch: Path) -> dict[str, Any]:
    """Return the SELECT's parameters that stand for files: `files` for all, or `file`, `file2`, `file3` and so on."""
    paths = []
    for place, file in enumerate((table.file, *table.others)):
        folder = scratch / str(place)
        folder.mkdir()
        paths.append(one_file(plain(file, folder).path))
    if "$files" in table.query:
        return {"files": paths}
    return {f"file{place if place > 1 else ''}": path for place, path in enumerate(paths, start=1)}


def wanted(table: RawTable) -> Collection[str]:
    """Return the names, as written in the file, of the columns by which the header of the file is recognised."""
    columns = table.columns or {}
    named = (columns.get(name, name) for name in _IDENTIFYING.get(table.name, ()))
    return [name for name in named if name is not None]


def _append(connection: duckdb.DuckDBPyConnection, table: RawTable, select: Select) -> int:
    """Append the rows of a SELECT to a raw table, and return the row id of the first of them.

    Raises:
        UserError: columns are missing.
        duckdb.Error: the SELECT cannot read the file, or reads implausible rows (`check_plausible`).
    """
    name, query, parameters = f"raw_{table.name}", select.sql, select.parameters
    check_plausible(connection, select)
    found = connection.sql(query, params=parameters)
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    if table.source is not None:
        types.pop(SOURCE, None)  # of rows that were gathered earlier
    if (table.columns or {}).get("time") == ROW and ROW not in types:
        number = f"row_number() OVER () + {_n_rows(connection, name)}"  # continues from file to file
        query = f"SELECT *, {number} AS {quoted(ROW)} FROM ({query})"  # noqa: S608 - a constant
        types[ROW] = "BIGINT"
    given = apart(table.name, named(table.name, table.columns, types))
    columns = columns_as_text(str(table.file), table.name, given, table.separator, types)
    if table.source is not None:
        columns += f", {literal(table.source)} AS {SOURCE}"
    query = f"SELECT {columns} FROM ({query})"  # noqa: S608 - names are quoted
    connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS {query} LIMIT 0", parameters)
    for column in connection.sql(query, params=parameters).columns:  # columns that earlier files lack
        connection.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {quoted(column)} VARCHAR")
    first_row = count(connection, name)
    connection.execute(f"INSERT INTO {name} BY NAME {query}", parameters)
    return first_row


def _n_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Count the rows of a table; 0 if the table does not exist."""
    [(exists,)] = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [table]).fetchall()
    return count(connection, table) if exists else 0


def columns_as_text(
    label: str, name: str, columns: Mapping[str, str | None] | None, separator: str, types: Mapping[str, str]
) -> str:
    """Return a select list (SQL) of the standard columns as text; missing columns and empty texts become NULL.

    Lists become text with bars between the elements. Whole numbers in floating-point columns of ids lose their
    decimals.

    Args:
        label: name of the source in messages.
        name: name of the raw table.
        columns: standard column name -> column name in the source, as in `RawTable`.
        separator: separator between the elements of lists.
        types: column name in the source -> DuckDB's type of the column.

    Raises:
        UserError: the source lacks required columns, or has columns that the raw table cannot have.
    """
    selected = selected_columns(label, name, columns, types)
    texts = {ours: _text(column, types) for ours, column in selected.items()}
    for ours in texts.keys() & set(LIST_COLUMNS):
        # lists in JSON's or Python's notation have another separator
        texts[ours] = (
            f"if(regexp_matches({texts[ours]}, {literal(LIST)}), {texts[ours]}, "
            f"replace({texts[ours]}, {literal(separator)}, '|'))"
        )
    for ours in ("user_id", "movie_id"):
        if types.get(selected.get(ours) or "") in ("DOUBLE", "FLOAT"):  # of integers with missing values
            number = quoted(selected[ours] or "")
            whole = f"CAST(try_cast({number} AS HUGEINT) AS VARCHAR)"
            texts[ours] = f"if({number} = trunc({number}), {whole}, nullif({texts[ours]}, 'nan'))"
    return ", ".join(f"{text} AS {quoted(ours)}" for ours, text in texts.items())


def selected_columns(
    label: str, name: str, columns: Mapping[str, str | None] | None, types: Mapping[str, str]
) -> dict[str, str | None]:
    """Return standard column name -> column name in the source (None if missing) for the columns of a raw table.

    Args:
        label: name of the source in messages.
        name: name of the raw table.
        columns: standard column name -> column name in the source, as in `RawTable`.
        types: column name in the source -> type of the column, in upper case.

    Raises:
        UserError: the source lacks required columns, or has columns that the raw table cannot have.
    """
    given = named(name, columns, types)
    selected: dict[str, str | None] = dict.fromkeys(COLUMNS[name]) | dict(given)
    present = f"{label} has the columns {', '.join(types)}"
    missing = {ours: theirs for ours, theirs in given.items() if theirs is not None and theirs not in types}
    if missing:
        raise UserError(
            f"{present}; it lacks {', '.join(missing.values())}: give its names, as in "
            f"{COLUMNS_OF.get(name, 'data.columns')}.{next(iter(missing))}=NAME, or null for a missing column."
        )
    ids = () if name == "descriptions" else ("user_id", "movie_id")  # titles may identify descriptions
    if unnamed := [ours for ours in ids if ours in selected and selected[ours] is None]:
        options = " ".join(f"{COLUMNS_OF.get(name, 'data.columns')}.{ours}=NAME" for ours in unnamed)
        raise UserError(f"{present}; say which of them is {' and which is '.join(unnamed)}: {options}.")
    known = (*COLUMNS["ratings"], *FURTHER_COLUMNS)
    if name == "ratings" and (unknown := [ours for ours in given if ours not in known]):
        raise UserError(f"The columns of ratings must be {', '.join(known)} (got {', '.join(unknown)}).")
    for ours, column in selected.items():
        if ours in _SINGLE and _NESTED.match(kind := types.get(column or "", "")):
            raise UserError(f"{label} must have one value of {column} in a row (got the type {kind}).")
    return selected


def _text(name: str | None, types: Mapping[str, str]) -> str:
    if name is None:
        return "CAST(NULL AS VARCHAR)"
    if types[name].startswith("STRUCT") and types[name].endswith("[]"):
        return f"CAST(to_json({quoted(name)}) AS VARCHAR)"
    if types[name] == "BLOB":  # text, as some programs store it
        return f"nullif(trim(coalesce(try(decode({quoted(name)})), CAST({quoted(name)} AS VARCHAR))), '')"
    if types[name].endswith("[]"):
        return f"array_to_string({quoted(name)}, '|')"
    return f"nullif(trim(CAST({quoted(name)} AS VARCHAR)), '')"


def _encoding(file: Path) -> str:
    """Detect whether a file of a release is in UTF-8 or Latin-1: old releases are in Latin-1, copies often in UTF-8."""
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
