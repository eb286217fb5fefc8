"""SELECTs that read a file of any format, with every option stated: DuckDB's own detection drops rows silently."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from recsys.data.dialect import Dialect, Reading, detect, usual_delimiter
from recsys.data.plain import Plain, plain
from recsys.data.quoting import file_literal, literal, one_file, quoted
from recsys.errors import UserError

_DELIMITED = """
SELECT * FROM read_csv($file, auto_detect = false, columns = $columns, header = $header, skip = 0, delim = $delimiter,
    quote = $quote, escape = $escape, comment = '', nullstr = '', compression = 'none', strict_mode = true,
    null_padding = false, ignore_errors = false, max_line_size = 16000000)
"""
_JSON = """
FROM read_json_objects({file}, format = '{layout}', compression = 'uncompressed', maximum_object_size = 16000000)
"""
_REFUSALS = {
    r"Line: (\d+)\s+Original Line: (.*?)\s+Expected Number of Columns: (\d+) Found: (\d+)": (
        "{file} must have {2} fields in every row (got {3} in line {0}: {1!r})"
    ),
    r"Line: (\d+)\s+Original Line: (.*?)\s+Value with unterminated quote": (
        "{file} must close every quotation mark at the end of a field (got {1!r} in line {0}; data.quote='' reads "
        "marks as text)"
    ),
    r"Malformed JSON in file .*, at byte (\d+) in (.*?): ": "{file} must be whole JSON (got damage at byte {0} in {1})",
}


@dataclass(frozen=True)
class Select:
    """A SELECT that reads a file.

    Attributes:
        sql: text of the SELECT.
        parameters: parameters of the SELECT.
        notes: notes on what was detected.
        implausible: SQL condition that no row meets if the dialect is right.
    """

    sql: str
    parameters: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    implausible: str = "false"


def selects(
    connection: duckdb.DuckDBPyConnection, file: Path, reading: Reading, wanted: Collection[str], scratch: Path
) -> Iterator[Select]:
    """Yield SELECTs that may read a file; the first that succeeds is the right one.

    Args:
        connection: a database.
        file: the file.
        reading: settings of how to read the file.
        wanted: names of columns that the file should have.
        scratch: an existing folder for copies, which must exist until the file is read.

    Raises:
        UserError: the file cannot be read.
    """
    text = plain(file, scratch, reading.encoding, reading.skip)
    if text.encoding is None:
        yield _parquet(connection, file, text, reading)
        return
    if is_json(text, reading):
        yield _json(connection, file, text, text.head(4096).lstrip(), reading, wanted)
        return
    dialect = detect(file, text, reading, wanted)
    notes = notes_on(file, text, dialect, reading)
    for quote, escape in dialect.quotings:
        yield _delimited(text, dialect, quote, escape, reading, notes)


def is_json(text: Plain, reading: Reading) -> bool:
    """Return whether a text is JSON: it begins with an object or an array, and no setting names its columns."""
    return text.head(4096).lstrip().startswith(("{", "[")) and not reading.header


def notes_on(file: Path, text: Plain, dialect: Dialect, reading: Reading) -> tuple[str, ...]:
    """Return notes on the encoding and the delimiter of a delimited text, where they are unusual."""
    notes = [] if text.encoding in ("utf-8", "utf-8-sig", reading.encoding) else [f"encoding {text.encoding}"]
    if dialect.delimiter != (reading.delimiter or usual_delimiter(file)):
        notes.append(f"delimiter {dialect.delimiter!r}")
    return tuple(notes)


def refusal(file: Path, error: duckdb.Error, skip: int = 0) -> UserError:
    """Return the error to raise for a file that DuckDB cannot read.

    Args:
        file: the file.
        error: DuckDB's error.
        skip: number of skipped lines at the beginning, which is added to line numbers.
    """
    text = str(error).partition("Possible fixes")[0]
    text = re.sub(r"Line: (\d+)", lambda line: f"Line: {int(line[1]) + skip}", text)
    for pattern, sentence in _REFUSALS.items():
        if found := re.search(pattern, text, re.DOTALL):
            groups = [" ".join(group.split())[:80] for group in found.groups()]
            return UserError(f"{sentence.format(*groups, file=file)}.")
    first = text.partition("\n")[0].partition(": ")[2] or text
    return UserError(f"Cannot read {file}: {' '.join(first.split())}")


def _constants(reading: Reading) -> str:
    return "".join(f", {literal(value)} AS {quoted(name)}" for name, value in reading.constants.items())


def _delimited(
    text: Plain, dialect: Dialect, quote: str, escape: str, reading: Reading, notes: tuple[str, ...]
) -> Select:
    sql = _DELIMITED.replace("*", f"*{_constants(reading)}", 1)
    parameters = {
        "file": one_file(text.path),
        "columns": dict.fromkeys(dialect.names, "VARCHAR"),
        "header": dialect.has_header,
        "delimiter": dialect.delimiter,
        "quote": quote,
        "escape": escape,
    }
    implausible = []
    if ("", "") in dialect.quotings and text.has_quotes and len(dialect.quotings) > 1:
        for name in map(quoted, dialect.names):
            if quote:  # marks in two rows seem to enclose the text between them
                implausible.append(f"contains({name}, chr(10)) AND contains({name}, {literal(dialect.delimiter)})")
            else:  # fields are quoted after all
                implausible.append(f"regexp_full_match({name}, '\".*\"')")
    if quote not in ('"', ""):
        notes += (f"quotation mark {quote}",)
    elif not quote and len(dialect.quotings) > 1:
        notes += ("quotation marks belong to the text",)
    return Select(sql, parameters, notes, " OR ".join(implausible) or "false")


def _parquet(connection: duckdb.DuckDBPyConnection, file: Path, plain_file: Plain, reading: Reading) -> Select:
    path = file_literal(plain_file.path)
    sql = f"SELECT *{_constants(reading)} FROM read_parquet({path}, hive_partitioning = false)"  # noqa: S608
    try:
        columns = connection.sql(f"SELECT * FROM read_parquet({path}, hive_partitioning = false)").columns  # noqa: S608
        stored = connection.sql(f"SELECT name FROM parquet_schema({path})").fetchall()  # noqa: S608
    except duckdb.Error as error:
        raise refusal(file, error) from error
    if renamed := set(columns).difference(name for (name,) in stored):  # DuckDB renames equal names
        raise UserError(f"{file} must name each column once (got {', '.join(sorted(renamed))} after renaming).")
    return Select(sql)


def _json(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    text: Plain,
    start: str,
    reading: Reading,
    wanted: Collection[str],
) -> Select:
    """Return a SELECT that reads JSON as text, because typed numbers would change ids.

    Raises:
        UserError: the file does not have one object for each row, or repeats a key.
    """
    layout = "array" if start.startswith("[") else "newline_delimited"
    if layout != "array" and not start.partition("\n")[0].rstrip().endswith("}") and "\n" in start:
        layout = "unstructured"  # objects over several lines
    objects = _JSON.format(file=file_literal(text.path), layout=layout)
    try:
        [(structure, repeats)] = connection.execute(
            "SELECT json_group_structure(json), bool_or(len(json_keys(json)) <> len(list_distinct(json_keys(json)))) "
            + objects
        ).fetchall()
    except duckdb.Error as error:
        raise refusal(file, error) from error
    columns = json.loads(structure) if structure else {}
    if not isinstance(columns, dict):
        raise UserError(f"{file} must hold JSON objects, one for each row (got {start[:40]!r}).")
    if repeats:
        raise UserError(f"{file} must name each key once in an object.")
    if nested := [name for name in wanted if isinstance(columns.get(name), dict | list)]:
        raise UserError(f"{file} must hold one JSON object for each row, but its {nested[0]} has several values.")
    cells = [f"{_json_text(name)} AS {quoted(name)}" for name in columns]
    notes = tuple(f'{name} such as 7 and "7" count as the same' for name in wanted if columns.get(name) == "JSON")
    return Select(f"SELECT {', '.join(cells) or 'NULL'}{_constants(reading)} {objects}", notes=notes)


def _json_text(name: str) -> str:
    """Return the SQL for a value as text; the elements of a list are joined by bars, unless some are objects."""
    path = '$."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    value, elements = literal(path), literal(f"{path}[*]")
    return (
        f"CASE WHEN json_type(json, {value}) = 'ARRAY' AND NOT list_contains(json_type(json, {elements}), 'OBJECT') "
        f"THEN array_to_string(json ->> {elements}, '|') ELSE json ->> {value} END"
    )
