"""Reading of files into raw tables: the source's text under our column names.

The SELECTs are in `sql/read`, one for each format.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from recsys.data.clean import LABEL, SQL, count
from recsys.data.columns import apart, named
from recsys.data.quoting import literal, quoted
from recsys.data.raw import COLUMNS, LIST_COLUMNS, Raw, RawTable
from recsys.errors import UserError

SOURCE = "source"  # column with the name of the gathered source of a row
LIST = r"""^\s*[\[{]\s*['"\[{]"""  # how a list in JSON's or Python's notation begins
ROW = "row"  # in place of a column of times: the number of the row, from 1, where rows are in order of time
HEADERLESS = "headerless"
# Every option is stated, since the sniffer of `delimited.sql` silently drops rows that do not fit the names of columns.
# (Not in sql/, whose files are part of the fingerprint of every data set.)
_HEADERLESS = """
SELECT * FROM read_csv($file, header = false, auto_detect = false, delim = $delimiter, quote = $quote, escape = $quote,
    columns = $columns)
"""


def read(connection: duckdb.DuckDBPyConnection, raw: Raw) -> None:
    """Create a table `raw_NAME` for each name in `COLUMNS` from a source's unpacked files; without a file it is empty.

    Rows are in the order of their files. In gathered data, each row has the name of its `source`.

    Raises:
        UserError: a file cannot be read, lacks columns, has no rows, or has text where numbers belong.
    """
    if "ratings" not in (table.name for table in raw.tables):
        raise UserError(f"{raw.origin} has no ratings: combine it with a source that has ratings, by data=gathered.")
    for name, columns in COLUMNS.items():
        if name not in (table.name for table in raw.tables):
            connection.execute(f"CREATE TABLE raw_{name} ({', '.join(f'{column} VARCHAR' for column in columns)})")
    for table in raw.tables:
        first_row, end = insert(connection, table)
        if table.name == "ratings":
            if first_row == end:
                raise UserError(f"{table.file} has no rows.")
            _check_numbers(connection, table, first_row, raw.numeric_ids)


def insert(connection: duckdb.DuckDBPyConnection, table: RawTable) -> tuple[int, int]:
    """Append the rows of a file to its raw table.

    Returns:
        The position of the first of these rows in the table, and the table's new length.

    Raises:
        UserError: the file cannot be read or lacks columns.
    """
    query = _select(table.query)
    parameters = {"file": str(table.file), **table.parameters}
    if "$files" in query:
        parameters["files"] = [str(parameters.pop("file")), *map(str, table.others)]
    if "$encoding" in query:
        parameters["encoding"] = _encoding(table.file)
    name = f"raw_{table.name}"
    try:
        found = connection.sql(query, params=parameters)
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        if table.source is not None:
            types.pop(SOURCE, None)  # from gathering before
        if (table.columns or {}).get("time") == ROW and ROW not in types:
            query = f"SELECT *, row_number() OVER () AS {quoted(ROW)} FROM ({query})"  # noqa: S608 - a constant
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
    except duckdb.Error as error:
        reason = str(error).partition("Possible fixes")[0]  # of a parser whose options are not the user's
        raise UserError(f"Cannot read {table.file}: {' '.join(reason.split())}") from error
    return first_row, count(connection, name)


def _select(query: str) -> str:
    """Return the SELECT of a format."""
    if query.lstrip().startswith("SELECT"):
        return query
    return _HEADERLESS if query == HEADERLESS else (SQL / "read" / f"{query}.sql").read_text(encoding="utf-8")


def _check_numbers(connection: duckdb.DuckDBPyConnection, table: RawTable, first_row: int, numeric_ids: bool) -> None:
    sql = (SQL / "read" / "unreadable.sql").read_text(encoding="utf-8")
    cells = connection.execute(sql, {"first_row": first_row, "numeric_ids": numeric_ids}).fetchall()
    for row, name, cell in cells:
        column = (table.columns or {}).get(name) or name
        raise UserError(
            f"{table.file} has text where a number belongs: {cell!r} in column {column}, row {row - first_row + 1}."
        )


def columns_as_text(
    label: str, name: str, columns: Mapping[str, str | None] | None, separator: str, types: Mapping[str, str]
) -> str:
    """Write the select list of our columns as text; columns that a source lacks and empty text are NULL.

    Args:
        label: name of the source in messages.
        name: name of the raw table.
        columns: our name -> the source's name of each column, as in `RawTable`.
        separator: separator of the elements of lists.
        types: DuckDB's type of each column of the source.

    Raises:
        UserError: the source lacks columns, or has columns that the raw table cannot have.
    """
    given = named(name, columns, types)
    selected: dict[str, str | None] = dict.fromkeys(COLUMNS[name]) | dict(given)
    present = f"{label} has the columns {', '.join(types)}"
    if missing := [column for column in given.values() if column is not None and column not in types]:
        raise UserError(f"{present}; it lacks {', '.join(missing)}: give other names, or null for a missing column.")
    ids = () if name == "descriptions" else ("user_id", "movie_id")  # titles may identify descriptions
    if unnamed := [ours for ours in ids if ours in selected and selected[ours] is None]:
        raise UserError(f"{present}; say which of them is {' and which is '.join(unnamed)}.")
    if name == "ratings" and (unknown := [ours for ours in given if ours not in (*COLUMNS["ratings"], LABEL)]):
        raise UserError(f"The columns of ratings must be {', '.join(COLUMNS['ratings'])} (got {', '.join(unknown)}).")
    texts = {ours: _text(column, types) for ours, column in selected.items()}
    for ours in texts.keys() & set(LIST_COLUMNS):
        # lists in JSON's or Python's notation have separators of their own
        texts[ours] = (
            f"if(regexp_matches({texts[ours]}, {literal(LIST)}), {texts[ours]}, "
            f"replace({texts[ours]}, {literal(separator)}, '|'))"
        )
    for ours in ("user_id", "movie_id"):
        if types.get(selected.get(ours) or "") == "DOUBLE":  # whole numbers, if some are missing
            texts[ours] = f"nullif(regexp_replace({texts[ours]}, '\\.0$', ''), 'nan')"
    return ", ".join(f"{text} AS {quoted(ours)}" for ours, text in texts.items())


def _text(name: str | None, types: Mapping[str, str]) -> str:
    if name is None:
        return "CAST(NULL AS VARCHAR)"
    if types[name].startswith("STRUCT") and types[name].endswith("[]"):
        return f"CAST(to_json({quoted(name)}) AS VARCHAR)"
    if types[name].endswith("[]"):
        return f"array_to_string({quoted(name)}, '|')"
    return f"nullif(trim(CAST({quoted(name)} AS VARCHAR)), '')"


def _encoding(file: Path) -> str:
    """Detect the encoding: older releases are in Latin-1, copies of them often in UTF-8."""
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
