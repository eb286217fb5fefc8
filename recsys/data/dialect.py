"""Detection of the dialect of delimited text (delimiter, quotation marks, columns) where no setting gives it.

The delimiter is the one that splits the header into the wanted columns. In a file without a header, it is the one that
splits most rows into the expected number of fields, which is the number of column names in the setting `header`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recsys.data.plain import Plain
from recsys.errors import UserError

MISSING = ("NULL", "null", "None", "NA", "N/A", "<NA>", "NaN", "nan", "\\N")
# Parameters for text that needs no interpretation.
AS_IT_IS: Mapping[str, Any] = {"missing": (), "decimal": ".", "time_format": "s"}
_DELIMITERS = (",", "\t", ";", "|", "::", " ")
_USUAL = {".tsv": "\t", ".TSV": "\t", ".tab": "\t"}
_N_SAMPLED = 200  # rows
INVISIBLE = re.compile(r"^[\s\ufeff\u200b]+|[\s\ufeff\u200b]+$")  # around the names of columns
NUMERIC = r" *-?[0-9][-0-9.,:/TZ+ ]*"  # regular expression of numbers and dates


@dataclass(frozen=True)
class Reading:
    """Settings of how to read a file; settings that are None are detected from the file.

    Attributes:
        header: names of all columns in order, for delimited text without a header; empty if the file has a header.
        delimiter: separator between the fields of delimited text.
        quote: quotation mark around fields that contain the delimiter, or "" if fields are never quoted.
        encoding: encoding of text, by its name in Python.
        decimal: decimal mark of ratings and times, a point or a comma.
        time_format: format of times: the unit of numbers that count from 1970 (`s`, `ms`, `us` or `ns`), or a strptime
            format such as `%d.%m.%Y`.
        missing: texts that stand for a missing value.
        constants: column name -> value, for columns that are not in the file and have the same value in all its rows.
        skip: number of lines before the header or, if there is no header, before the first row.

    Raises:
        UserError: a value is not allowed.
    """

    header: Sequence[str] = ()
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    time_format: str | None = None
    missing: Sequence[str] = MISSING
    constants: Mapping[str, str] = field(default_factory=dict)
    skip: int = 0

    def __post_init__(self) -> None:
        if self.skip < 0:
            raise UserError(f"data.skip must be a number of lines, zero or above (got {self.skip}).")
        if len(set(self.header)) < len(self.header):
            raise UserError(f"data.header must name each column once (got {', '.join(self.header)}).")
        if self.delimiter == "":
            raise UserError("data.delimiter must be at least one character (got an empty text).")
        if self.quote is not None and len(self.quote) > 1:
            raise UserError(f"data.quote must be one character, or '' for none (got {self.quote}).")
        if self.decimal not in (None, ".", ","):
            raise UserError(f"data.decimal must be a point or a comma (got {self.decimal}).")

    def parameters(self) -> dict[str, Any]:
        """Return the attributes as the parameters of a `RawTable`.

        `skip` is included only if it is not 0, because fingerprints cover these parameters, and older ones lack `skip`.
        """
        return {name: value for name, value in asdict(self).items() if name != "skip" or value}


@dataclass(frozen=True)
class Dialect:
    """A dialect of delimited text.

    Attributes:
        delimiter: separator between the fields.
        quotings: possible pairs of a quotation mark and an escape character, in order of preference; the first pair
            that fits the whole file is used.
        names: names of all columns, in order.
        has_header: whether the first row contains the names of the columns.
        n_blank: number of blank lines before the first row or header.
        numeric: for each column, whether most of its sampled cells are numbers or dates.
    """

    delimiter: str
    quotings: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    has_header: bool
    n_blank: int
    numeric: tuple[bool, ...]


def detect(file: Path, text: Plain, reading: Reading, wanted: Collection[str]) -> Dialect:
    """Detect the dialect of a file from its first rows.

    Args:
        file: the original file, whose extension decides between delimiters that fit equally well.
        text: the text of the file, converted by `plain`.
        reading: the settings, which take precedence over detection.
        wanted: names of columns that the header should have.

    Raises:
        UserError: the file is empty, no delimiter or more than one fits, other lines precede the header or first row,
            two columns have the same name, or the file has a header although `reading.header` is given.
    """
    lines = text.head().splitlines(keepends=True)
    if not any(line.strip() for line in lines):
        raise UserError(f"{file} has no rows.")
    mark = reading.quote if reading.quote is not None else "'" if lines[0].startswith("'") else '"'
    if reading.delimiter is not None:
        delimiters: Sequence[str] = (reading.delimiter,)
    else:
        delimiters = sorted(_DELIMITERS, key=lambda delimiter: delimiter != usual_delimiter(file))
    samples = {delimiter: _rows(lines, delimiter, mark) for delimiter in delimiters}
    if reading.header:
        delimiter = _by_width(file, samples, len(reading.header))
        names = list(reading.header)
        _check_start(file, lines, [delimiter], mark, lambda row: len(row) == len(names))
        _refuse_header(file, samples[delimiter], reading.missing)
    else:
        _check_start(
            file, lines, delimiters, mark, lambda row: set(wanted) <= {INVISIBLE.sub("", name) for name in row}
        )
        delimiter = _by_names(samples, wanted)
        names = [INVISIBLE.sub("", name) for name in samples[delimiter][0]]
        names = [name or f"column{place}" for place, name in enumerate(names, start=1)]
    folded = [name.casefold() for name in names]
    if twice := [name for name in names if folded.count(name.casefold()) > 1]:
        missing = sorted(set(wanted).difference(names))
        advice = (
            f", and lacks {', '.join(missing)}: name all columns with data.header=[...] if it has no header"
            if missing
            else ""
        )
        raise UserError(f"{file} must name each column once (got {', '.join(twice)}){advice}.")
    n_blank = next(place for place, line in enumerate(lines) if line.strip())
    numeric = _numeric(samples[delimiter][0 if reading.header else 1 :], len(names))
    quotings = _quotings(mark, reading.quote, delimiter, text)
    return Dialect(delimiter, quotings, tuple(names), not reading.header, n_blank, numeric)


def usual_delimiter(file: Path) -> str:
    """Return the delimiter that a file's extension suggests: a tab for .tsv and .tab, otherwise a comma.

    A further extension, such as .gz, is ignored.
    """
    return next((_USUAL[ending] for ending in file.suffixes if ending in _USUAL), ",")


def _rows(lines: Sequence[str], delimiter: str, mark: str) -> list[list[str]]:
    """Split the first `_N_SAMPLED` non-empty rows into fields; return [[""]] if all rows are empty."""
    if len(delimiter) > 1:
        rows = [line.rstrip("\r\n").split(delimiter) for line in lines[: 2 * _N_SAMPLED] if line.strip()]
        return rows[:_N_SAMPLED]
    quoted = {"quotechar": mark} if mark else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, **quoted)
    rows = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) == _N_SAMPLED:
                break
    except csv.Error:  # a field above the csv module's limit, as from a wrong quotation mark
        pass
    return rows or [[""]]


def _by_names(samples: Mapping[str, list[list[str]]], wanted: Collection[str]) -> str:
    """Return the delimiter that splits the header into the wanted columns or, if none does, into the most columns."""
    headers = {delimiter: [INVISIBLE.sub("", name) for name in rows[0]] for delimiter, rows in samples.items()}
    for delimiter, names in headers.items():
        if len(names) > 1 and set(wanted) <= set(names):
            return delimiter
    return max(headers, key=lambda delimiter: len(headers[delimiter]))


def _check_start(
    file: Path, lines: Sequence[str], delimiters: Sequence[str], mark: str, fits: Callable[[Sequence[str]], bool]
) -> None:
    """Check that the header, or the first row, is not preceded by other lines.

    Args:
        file: the original file.
        lines: the first lines of the file.
        delimiters: possible delimiters.
        mark: quotation mark, or "".
        fits: function that returns whether a line, given as its fields, can be the header or the first row.

    Raises:
        UserError: the first line that is not blank does not fit, but a later line does.
    """
    for n_before, line in enumerate(lines[:_N_SAMPLED]):
        if line.strip() and any(fits(_rows([line], delimiter, mark)[0]) for delimiter in delimiters):
            if any(line.strip() for line in lines[:n_before]):
                raise UserError(
                    f"{file} must begin with its columns (got {lines[0].strip()[:80]!r}, and the columns in line "
                    f"{n_before + 1}): set data.skip={n_before}."
                )
            return


def _refuse_header(file: Path, rows: Sequence[Sequence[str]], missing: Collection[str]) -> None:
    """Check that a file that should have no header has none.

    The first row is a header if it has text in every column, although some column has numbers in all other rows.

    Raises:
        UserError: the first row is a header.
    """
    first, *others = rows
    is_text = not any(_is_number(cell) or cell in ("", *missing) for cell in first)
    if others and is_text and any(all(map(_is_number, column)) for column in zip(*others, strict=False)):
        raise UserError(
            f"{file} must have no header if data.header names the columns (got {', '.join(first)!r}): set data.skip=1."
        )


def _is_number(cell: str) -> bool:
    return re.fullmatch(r" *-?[0-9]+([.,][0-9]+)? *", cell) is not None


def _by_width(file: Path, samples: Mapping[str, list[list[str]]], width: int) -> str:
    """Return the delimiter that splits most rows into `width` fields; a single candidate is returned unchecked.

    Raises:
        UserError: no delimiter, or more than one, splits most rows into `width` fields.
    """
    if len(samples) == 1:
        return next(iter(samples))
    fitting = [
        delimiter for delimiter, rows in samples.items() if 2 * sum(len(row) == width for row in rows) > len(rows)
    ]
    if len(fitting) != 1:
        found = " and ".join(map(repr, fitting)) or "none"
        raise UserError(
            f"{file} must have as many fields in a row as data.header has names, {width}, with one of the delimiters "
            f"{', '.join(map(repr, samples))} (got {found}): set data.delimiter."
        )
    return fitting[0]


def _numeric(rows: Sequence[Sequence[str]], width: int) -> tuple[bool, ...]:
    """Return whether most cells of each column are numbers or dates, considering only rows with `width` fields."""
    columns = [[row[place] for row in rows if len(row) == width] for place in range(width)]
    return tuple(2 * sum(re.fullmatch(NUMERIC, cell) is not None for cell in cells) > len(cells) for cells in columns)


def _quotings(mark: str, given: str | None, delimiter: str, text: Plain) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a quotation mark and an escape character that a file may use.

    Inside a quoted field, quotation marks are doubled or escaped by a backslash. In files whose delimiter rarely occurs
    in text, fields are often not quoted, and quotation marks are part of the text.
    """
    if not mark:
        return (("", ""),)
    quoted = ((mark, mark), (mark, "\\"))
    unquoted = (("", ""),) if given is None and text.has_quotes and delimiter in ("\t", "|", "::") else ()
    return quoted + unquoted
