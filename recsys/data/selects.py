"""Builds SELECTs that read a file of any format, with all options stated: DuckDB's detection drops rows silently."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from recsys.data.dialect import NUMERIC, Dialect, Reading, detect, usual_delimiter
from recsys.data.nesting import check_levels
from recsys.data.plain import Plain, plain
from recsys.data.quoting import file_literal, literal, one_file, quoted
from recsys.errors import UserError

_DELIMITED = """
SELECT * FROM read_csv($file, auto_detect = false, columns = $columns, header = $header, skip = $skip,
    delim = $delimiter, quote = $quote, escape = $escape, comment = '', nullstr = '', compression = 'none',
    strict_mode = true, null_padding = false, ignore_errors = false, max_line_size = 16000000)
"""
_JSON = """
FROM read_json_objects({file}, format = '{layout}', compression = 'uncompressed', maximum_object_size = 16000000)
"""
EXACT_BELOW = {"FLOAT": 2**24, "DOUBLE": 2**53}  # smallest number above which a type does not have all whole numbers
_REFUSALS = {
    r"Line: (\d+)\s+Original Line: (.*?)\s+Expected Number of Columns: (\d+) Found: (\d+)": (
        "{file} must have {2} fields in every row (got {3} in line {0}: {1!r})"
    ),
    r"Line: (\d+)\s+Original Line: (.*?)\s+Value with unterminated quote": (
        "{file} must close every quotation mark at the end of a field (got {1!r} in line {0}; data.quote='' reads "
        "marks as text)"
    ),
    r"Line: (\d+)\s+Value with unterminated quote": (
        "{file} must close every quotation mark at the end of a field (got an open one in line {0}; data.quote='' "
        "reads marks as text)"
    ),
    r"Line: (\d+).*Maximum line size of (\d+) bytes": (
        "{file} must have lines of at most {1} bytes (got a longer one in line {0})"
    ),
    r'"maximum_object_size" of (\d+) bytes': "{file} must have JSON objects of at most {0} bytes (got a longer one)",
    r"Malformed JSON in file .*, at byte (\d+) in (.*?): ": "{file} must be whole JSON (got damage at byte {0} in {1})",
    r"(No magic bytes found|too small to be a Parquet file|Out of buffer)": (
        "{file} is damaged or incomplete: copy or download it again"
    ),
    r"Enclosed rows: (.*)": (
        "{file} must close every quotation mark at the end of a field (got {0!r} in one field; data.quote='' reads "
        "marks as text, and data.quote='\"' reads such fields)"
    ),
}


@dataclass(frozen=True)
class Select:
    """A SELECT that reads a file, and an SQL condition that reveals whether it reads the file wrongly.

    Attributes:
        sql: text of the SELECT.
        parameters: parameters of the SELECT.
        notes: notes on what was detected.
        implausible: SQL condition that no row meets if quotation marks are interpreted correctly.
        suspect: SQL expression for the field to quote in the error message, in a row that meets `implausible`.
    """

    sql: str
    parameters: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    implausible: str = "false"
    suspect: str = "''"


def selects(
    connection: duckdb.DuckDBPyConnection, file: Path, reading: Reading, wanted: Collection[str], scratch: Path
) -> Iterator[Select]:
    """Yield candidate SELECTs for reading a file; the first one that succeeds is the right one.

    Args:
        connection: a DuckDB connection.
        file: the file to read.
        reading: settings of how to read the file.
        wanted: names of columns that the file should have.
        scratch: an existing folder for copies of the file; it must not be deleted until the SELECTs have run.

    Raises:
        UserError: the file is damaged, its dialect is not clear, or its ids may have been rounded.
    """
    text = plain(file, scratch, reading.encoding, reading.skip)
    if text.encoding is None:
        yield _parquet(connection, file, text, reading, wanted)
        return
    if is_json(text, reading):
        yield _json(connection, file, text, text.head(4096).lstrip(), reading, wanted)
        return
    yield from delimited_selects(file, text, detect(file, text, reading, wanted), reading)


def delimited_selects(file: Path, text: Plain, dialect: Dialect, reading: Reading) -> Iterator[Select]:
    """Yield a SELECT for each pair of a quotation mark and an escape character that a delimited text may use.

    The first SELECT that succeeds and reads only plausible rows (`check_plausible`) is the right one.
    """
    notes = _notes(file, text, dialect, reading)
    for quote, escape in dialect.quotings:
        yield _delimited(text, dialect, quote, escape, reading, notes)


def check_plausible(connection: duckdb.DuckDBPyConnection, select: Select) -> None:
    """Check that no row of a SELECT is implausible, which would mean that quotation marks were interpreted wrongly.

    Raises:
        duckdb.Error: a row meets the condition `select.implausible`, or the SELECT cannot read the file.
    """
    if select.implausible != "false":
        sql = f"SELECT {select.suspect} FROM ({select.sql}) WHERE {select.implausible} LIMIT 1"  # noqa: S608 - names are quoted
        for (text,) in connection.execute(sql, select.parameters).fetchall():
            raise duckdb.InvalidInputException(f"Enclosed rows: {text}")


def is_json(text: Plain, reading: Reading) -> bool:
    """Return whether a text is taken for JSON: it begins like an object or array, and `reading.header` is not set."""
    return text.head(4096).lstrip().startswith(("{", "[")) and not reading.header


def _notes(file: Path, text: Plain, dialect: Dialect, reading: Reading) -> tuple[str, ...]:
    """Return notes on the encoding and the delimiter of a text if they are unusual and no setting gives them."""
    notes = [] if text.encoding in ("utf-8", "utf-8-sig", reading.encoding) else [f"encoding {text.encoding}"]
    if dialect.delimiter != (reading.delimiter or usual_delimiter(file)):
        notes.append(f"delimiter {dialect.delimiter!r}")
    return tuple(notes)


def refusal(file: Path, error: duckdb.Error, skip: int = 0) -> UserError:
    """Return a `UserError` to raise for a file that DuckDB cannot read, which explains DuckDB's error.

    Args:
        file: the file to read.
        error: DuckDB's error.
        skip: number of lines skipped at the beginning of the file; DuckDB's line numbers are increased by it.
    """
    text = str(error).partition("Possible fixes")[0]
    text = re.sub(r"Line: (\d+)", lambda line: f"Line: {int(line[1]) + skip}", text)
    # DuckDB numbers damaged lines and records from 2
    text = re.sub(r"in (line|record)(?:/value)? (\d+): ", lambda found: f"in {found[1]} {int(found[2]) - 1}: ", text)
    for pattern, sentence in _REFUSALS.items():
        if found := re.search(pattern, text, re.DOTALL):
            groups = [group.strip()[:80] for group in found.groups()]
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
        "skip": dialect.n_blank,
    }
    implausible = {}
    if reading.quote is None and text.has_quotes:
        for place, name in enumerate(map(quoted, dialect.names)):
            if not quote:  # fields are quoted after all
                implausible[name] = f"regexp_full_match({name}, '\".*\"')"
            elif ("", "") in dialect.quotings:  # marks in two rows seem to enclose the text between them
                implausible[name] = f"contains({name}, chr(10)) AND contains({name}, {literal(dialect.delimiter)})"
            elif any(dialect.numeric):
                rows = literal(_enclosed_rows(dialect, place))
                implausible[name] = f"contains({name}, chr(10)) AND regexp_full_match({name}, {rows})"
    if quote not in ('"', ""):
        notes += (f"quotation mark {quote}",)
    elif not quote and len(dialect.quotings) > 1:
        notes += ("quotation marks belong to the text",)
    suspect = " ".join(f"WHEN {condition} THEN {name}" for name, condition in implausible.items())
    condition = " OR ".join(f"({condition})" for condition in implausible.values())
    return Select(sql, parameters, notes, condition or "false", f"CASE {suspect} END" if suspect else "''")


def _enclosed_rows(dialect: Dialect, place: int) -> str:
    """Return a regular expression for a field that contains the end of one row and the beginning of the next.

    Such a field results if two quotation marks in different rows are part of the text, but are taken to enclose all
    that is between them. A field that is rightly quoted rarely matches, even if it contains line breaks and delimiters:
    its lines would need as many fields as a row, and numbers in the same columns.

    Args:
        dialect: the dialect of the text.
        place: index of the field's column.
    """
    mark = re.escape(dialect.delimiter)
    fields = [NUMERIC if is_numeric else f"[^{mark[-1]}\n]*" for is_numeric in dialect.numeric]
    end, beginning = fields[place + 1 :], fields[:place]
    return f"[^\n]*({''.join(mark + field for field in end)}\n{''.join(field + mark for field in beginning)}[^\n]*)+"


def _parquet(
    connection: duckdb.DuckDBPyConnection, file: Path, plain_file: Plain, reading: Reading, wanted: Collection[str]
) -> Select:
    """Return a SELECT that reads Parquet.

    Raises:
        UserError: the file is damaged, has two columns of the same name, or has ids that may have been rounded.
    """
    path = file_literal(plain_file.path)
    sql = f"SELECT *{_constants(reading)} FROM read_parquet({path}, hive_partitioning = false)"  # noqa: S608
    try:
        columns = connection.sql(f"SELECT * FROM read_parquet({path}, hive_partitioning = false)").columns  # noqa: S608
        stored = connection.sql(f"SELECT name FROM parquet_schema({path})").fetchall()  # noqa: S608
    except duckdb.Error as error:
        raise refusal(file, error) from error
    types = dict(zip(columns, connection.sql(sql).types, strict=False))
    for name in wanted:
        refuse_rounded(connection, str(file), sql, name, str(types.get(name)))
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
    """Return a SELECT that reads JSON with all values as text, because conversion to numbers would change ids.

    Raises:
        UserError: the file is damaged, has no rows, does not consist of one object per row, repeats a key, is nested
            too deeply, or has ids that may have been rounded.
    """
    layout = "array" if start.startswith("[") else "newline_delimited"
    if layout != "array" and not start.partition("\n")[0].rstrip().endswith("}") and "\n" in start:
        layout = "unstructured"  # objects over several lines
    check_levels(file, text.path)
    objects = _JSON.format(file=file_literal(text.path), layout=layout)
    try:
        [(structure, repeats)] = connection.execute(
            "SELECT json_group_structure(json), bool_or(len(json_keys(json)) <> len(list_distinct(json_keys(json)))) "
            + objects
        ).fetchall()
    except duckdb.Error as error:
        raise refusal(file, error) from error
    if structure is None:
        raise UserError(f"{file} has no rows.")
    columns = json.loads(structure)
    if not isinstance(columns, dict):
        raise UserError(f"{file} must hold JSON objects, one for each row (got {start[:40]!r}).")
    if repeats:
        raise UserError(f"{file} must name each key once in an object.")
    for name in wanted:
        _check_json_column(connection, file, objects, name, columns.get(name))
    cells = [f"{_json_text(name)} AS {quoted(name)}" for name in columns if name]  # SQL has no empty names
    notes = tuple(f'{name} such as 7 and "7" count as the same' for name in wanted if columns.get(name) == "JSON")
    return Select(f"SELECT {', '.join(cells) or 'NULL'}{_constants(reading)} {objects}", notes=notes)


def _check_json_column(
    connection: duckdb.DuckDBPyConnection, file: Path, objects: str, name: str, structure: Any
) -> None:
    """Check that a column of a JSON file has one value per row, and that its ids cannot have been rounded.

    Args:
        connection: a DuckDB connection.
        file: the original file, for the message.
        objects: the FROM clause that reads the objects.
        name: name of the column, which is a key of the objects.
        structure: result of DuckDB's `json_group_structure` for the column's values; "JSON" if they differ in type.

    Raises:
        UserError: a row has several values, or an id may have been rounded.
    """
    value, kind = literal(_path(name)), f"json_type(json, {literal(_path(name))})"
    nested = f"SELECT count(*) {objects} WHERE {kind} IN ('ARRAY', 'OBJECT')"
    is_mixed = structure == "JSON" and connection.execute(nested).fetchall() != [(0,)]
    if is_mixed or isinstance(structure, dict | list):
        raise UserError(f"{file} must hold one JSON object for each row, but its {name} has several values.")
    if structure in ("DOUBLE", "JSON"):
        numbers = f"SELECT try_cast(json ->> {value} AS DOUBLE) AS {quoted(name)} {objects} WHERE {kind} = 'DOUBLE'"
        fractions = f"{numbers} AND contains(json ->> {value}, '.')"
        refuse_rounded(connection, str(file), fractions, name, "DOUBLE")


def refuse_rounded(connection: duckdb.DuckDBPyConnection, label: str, sql: str, column: str, kind: str) -> None:
    """Check that ids in a floating-point column cannot have been rounded.

    Ids are exact if their absolute values are below the limit for the type in `EXACT_BELOW`.

    Args:
        connection: a DuckDB connection.
        label: name of the source in messages.
        sql: a SELECT whose rows contain the ids.
        column: name of the column with the ids.
        kind: DuckDB's name of the column's type; the check passes if it is not a floating-point type.

    Raises:
        UserError: an id may have been rounded.
    """
    if kind not in EXACT_BELOW:
        return
    is_rounded = f"isfinite({quoted(column)}) AND abs({quoted(column)}) >= {EXACT_BELOW[kind]}"
    found = f"SELECT CAST(CAST({quoted(column)} AS HUGEINT) AS VARCHAR) FROM ({sql}) WHERE {is_rounded} LIMIT 1"  # noqa: S608
    for (cell,) in connection.execute(found).fetchall():
        raise UserError(
            f"{label} must have whole ids (got {cell} in column {column}, of type {kind}, which may be rounded): "
            "store this column as whole numbers or text."
        )


def _path(name: str) -> str:
    """Return the JSON path of a top-level key of an object."""
    return '$."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _json_text(name: str) -> str:
    """Return SQL for the value of a key as text; the elements of a list are joined by bars, unless some are objects."""
    value, elements = literal(_path(name)), literal(f"{_path(name)}[*]")
    return (
        f"CASE WHEN json_type(json, {value}) = 'ARRAY' AND NOT list_contains(json_type(json, {elements}), 'OBJECT') "
        f"THEN array_to_string(json ->> {elements}, '|') ELSE json ->> {value} END"
    )
