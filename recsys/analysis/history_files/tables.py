"""Reads delimited text, JSON, and zip archives of such files as tables of text.

Uploaded files are not trusted: files that are too large are refused, nothing is unpacked to disk, and the sizes that an
archive declares are not relied on.
"""

from __future__ import annotations

import csv
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from recsys.analysis.history_files.formats import NO_HISTORIES
from recsys.errors import UserError

MAX_BYTES = 5 * 2**20  # of a file
MAX_UNPACKED = 20 * 2**20  # bytes of the unpacked files of a zip archive
MAX_MEMBERS = 1000  # files of a zip archive
MAX_ROWS = 50_000  # of a table
MAX_COLUMNS = 500  # of a table
MAX_DEPTH = 2  # of records inside records
MAX_CELL = 500  # characters of a cell that are read; titles are shorter
DELIMITERS = ",;\t|"
TEXT = (".csv", ".tsv", ".txt", ".json")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class Table:
    """A file that was read as a table of text.

    Attributes:
        name: name of the file.
        columns: names of the columns in lower case, with spaces in place of underscores and hyphens.
        rows: the rows, each a mapping from column to cell; columns for which a row has no cell are missing in it.
        uneven: numbers of the lines that have more cells than there are columns; `rows` does not include these lines.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    uneven: tuple[int, ...] = ()


def read_tables(name: str, content: bytes) -> list[Table]:
    """Read a file as a table or, if it is a zip archive, its text files as tables, in the order of their paths.

    In an archive, only files with an ending in `TEXT` are read. Files whose name (without the ending) or folder is in
    `NO_HISTORIES`, such as `watchlist.csv`, are left out.

    Args:
        name: name of the file, for error messages and the table; the tables of an archive are named after its files.
        content: the file's bytes.

    Raises:
        UserError: the file or its unpacked contents are too large, it has too many rows, columns or files, it is
            damaged, or it is neither text nor a zip archive of text files.
    """
    if len(content) > MAX_BYTES:
        raise UserError(
            f"{name} must have at most {MAX_BYTES // 2**20} MB (got more): leave out what does not belong to a history."
        )
    if content.startswith(b"PK\x03\x04"):
        return [_table(member, text) for member, text in _members(name, content)]
    return [_table(name, content)]


def _members(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of those files in an archive that may be histories."""
    left = MAX_UNPACKED
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            if "[Content_Types].xml" in archive.namelist():
                raise UserError(f"{name} must be text (got a spreadsheet or document): save it as CSV.")
            if (n_members := len(archive.namelist())) > MAX_MEMBERS:
                raise UserError(f"{name} must have at most {MAX_MEMBERS:,} files (got {n_members:,}): leave some out.")
            for member in sorted(filter(_may_be_a_history, archive.namelist())):
                with archive.open(member) as packed:
                    text = packed.read(left + 1)  # the sizes that the archive states may be wrong
                left -= len(text)
                if left < 0:
                    raise UserError(
                        f"{name} must unpack to at most {MAX_UNPACKED // 2**20} MB: leave out what does not belong to "
                        "a history."
                    )
                yield PurePosixPath(member).name, text
    except _DAMAGED as error:
        raise UserError(f"{name} cannot be unpacked here ({error}): unpack it first.") from error


def _may_be_a_history(member: str) -> bool:
    path = PurePosixPath(member.lower())
    return path.suffix in TEXT and not {*path.parts[:-1], path.stem} & set(NO_HISTORIES)


def _table(name: str, content: bytes) -> Table:
    text = _decoded(name, content)
    return _of_json(name, text) if text.lstrip()[:1] in ("[", "{") else _of_delimited(name, text)


def _decoded(name: str, content: bytes) -> str:
    """Decode UTF-16 with a byte order mark, UTF-8 with or without such a mark, or else Windows-1252, as in old exports.

    Raises:
        UserError: the file is not text.
    """
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise UserError(f"{name} must be a CSV file, a JSON file or a zip archive of them (got other data).")


def _of_delimited(name: str, text: str) -> Table:
    lines = text.lstrip().splitlines()
    delimiter = max(DELIMITERS, key=lines[0].count) if lines else ","
    rows: list[Mapping[str, str]] = []
    uneven = []
    try:
        reader = csv.reader(StringIO(text.lstrip(), newline=""), delimiter=delimiter, strict=True)
        header = next(reader, [])
        _check_width(name, header)
        columns = tuple(map(_column, header))
        for cells in reader:
            if not any(cells):
                continue
            if any(cells[len(columns) :]):
                uneven.append(reader.line_num)
                continue
            rows.append(dict(zip(columns, map(_cell, cells), strict=False)))
            _check_length(name, rows)
    except csv.Error as error:
        raise UserError(f"{name} is not valid CSV near line {reader.line_num} ({error}): export it again.") from error
    return Table(name, columns, tuple(rows), tuple(uneven))


def _of_json(name: str, text: str) -> Table:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is not valid JSON ({error}): export it again.") from error
    lists = parsed.values() if isinstance(parsed, dict) else [parsed]
    records = [record for values in lists if isinstance(values, list) for record in values if isinstance(record, dict)]
    _check_length(name, records)
    rows = []
    for record in records:
        cells = list(islice(_cells(record), MAX_COLUMNS + 1))
        _check_width(name, cells)
        rows.append(dict(cells))
    return Table(name, tuple(dict.fromkeys(column for row in rows for column in row)), tuple(rows))


def _cells(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each column and cell of a JSON record, including those of nested records, but no lists.

    Args:
        record: the record.
        prefix: start of the names of the columns, such as `movie.` for the fields of a nested record.
    """
    for key, value in record.items():
        column = prefix + _column(str(key))
        if isinstance(value, dict) and prefix.count(".") < MAX_DEPTH:
            yield from _cells(value, f"{column}.")
        elif value is not None and not isinstance(value, list | dict):
            yield column, _cell(str(value))


def _cell(text: str) -> str:
    """Return the first `MAX_CELL` printable characters of a cell; other characters could control a terminal."""
    if not text.isprintable():
        text = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return text.strip()[:MAX_CELL]


def _column(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text).strip().lower()


def _check_width(name: str, cells: Sequence[Any]) -> None:
    if len(cells) > MAX_COLUMNS:
        raise UserError(f"{name} must have at most {MAX_COLUMNS:,} columns (got more): leave some out.")


def _check_length(name: str, rows: list[Any]) -> None:
    if len(rows) > MAX_ROWS:
        raise UserError(f"{name} must have at most {MAX_ROWS:,} rows (got {len(rows):,}): leave out the oldest.")
