"""Interpretation of the text of ratings: missing values, ids that are numbers, decimal commas, and units of times.

Afterwards ids are text, ratings are numbers, and times are seconds since 1970 or ISO dates, as the SQL of cleaning
expects them. What was detected, because no setting gives it, is returned as notes for the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import duckdb

from recsys.data.clean import FURTHER_COLUMNS, LABEL, PLAYS, SQL
from recsys.data.dialect import Reading
from recsys.data.quoting import literal
from recsys.errors import UserError

IDS = ("user_id", "movie_id")
# Regular expressions of ids: those that need no interpretation, invisible characters around others (byte order marks,
# tabs), whole numbers with a decimal point, other fractions, and scientific notation, as spreadsheets write it.
_PLAIN = "[1-9][0-9]*"
_INVISIBLE = r"^[\p{Cc}\p{Cf}\p{Z}]+|[\p{Cc}\p{Cf}\p{Z}]+$"
_WHOLE = "-?[0-9]+[.]0+"
_FRACTION = "-?[0-9]*[.][0-9]+"
_ROUNDED = "-?[0-9][.][0-9]+[eE][+]?[0-9]+|-?[0-9]+[eE][+][0-9]+"
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
UNIT_NAMES = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "%Y": "years"}
LEAST = {"ns": 1e17, "us": 1e14, "ms": 1e11}  # smallest number of a time since 1973, by unit
# Formats of dates that are written as one number -> the smallest and largest plausible number.
COMPACT = {"%Y": (1800, 2100), "%Y%m%d": (18000101, 21001231), "%Y%m%d%H%M%S": (18000101000000, 21001231235959)}
_SCALES = ((0.0, 1.0), (1.0, 5.0), (0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.5, 10.0), (0.0, 10.0), (0.0, 100.0))
_DAYS = (
    *("%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y.%m.%d"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", ", %H:%M:%S", ", %H:%M")
# Those of mail and web servers, of the programming language C, and of Twitter.
_STAMPS = ("%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%Y%m%dT%H%M%SZ")

# Notes on what was detected.
WITHOUT_INVISIBLE = "{name} is read without the invisible characters around it"
WHOLE_IDS = "{name} such as 1.0 is read as 1"
WITHOUT_MARKS = "{name} such as {example} is read without the quotation marks"
DIFFERING_BY_ZEROS = "{name} {padded} and {plain} count as different"
PERHAPS_MISSING = "{name} {id!r} is an id (data.missing=[{id!r}] reads it as missing)"
DECIMAL_COMMAS = "{name} has decimal commas (data.decimal=',')"
TIMES = "times are {name} (data.time_format={format})"

NOT_A_FORMAT = (
    "data.time_format must be s, ms, us or ns, or a format as for strptime, such as %d/%m/%Y (got {given!r})."
)

_IS_ODD_RATING = "rating IS NOT NULL AND try_cast(rating AS DOUBLE) IS NULL"
_IS_NUMBER = "try_cast(time AS DOUBLE) IS NOT NULL"
_IS_TEXT = "time IS NOT NULL AND try_cast(time AS DOUBLE) IS NULL"
_IS_ODD_TIME = "time IS NOT NULL AND try_cast(time AS DOUBLE) IS NULL AND try_cast(time AS TIMESTAMP) IS NULL"
_HAS_OFFSET = "regexp_matches(time, ':[0-9.]+ ?[+-][0-9]{2}(:?[0-9]{2})?$')"
# The time with seconds and without a space before the offset, as TIMESTAMPTZ needs it.
_WITH_OFFSET = r"""try_cast(regexp_replace(regexp_replace(time, ' ([+-][0-9:]+)$', '\1'),
    '([T ][0-9]{2}:[0-9]{2})([+-])', '\1:00\2') AS TIMESTAMPTZ)"""
_IS_SHORT = "strlen(time) < 12 AND contains(time, 'E+')"  # such as 1.1E+12, as spreadsheets write it
# Words in lower case that may stand for a missing value, if `Reading.missing` has them or they are set to it.
ABSENT = (
    *("null", "none", "na", "n/a", "#n/a", "<na>", "nan", "nat", "nil", "undefined", "(null)", "[null]", "\\n"),
    *("-", "--", "?", ".", "n.a.", "missing"),
)
_MARKS = "'\"\u201c\u2018"
# What spreadsheets and repeated exports put around an id: ="1", "1", '1', “1”; group 2 is the id.
_MARKED = r"""(="|"|'|\x{201c})(.+)("|'|\x{201d})"""
# Optional column -> what its cells must be, and the SQL condition that wrong cells meet.
_WRONG = {
    LABEL: ("a number, true or false", "try_cast(label AS DOUBLE) IS NULL AND try_cast(label AS BOOLEAN) IS NULL"),
    PLAYS: ("a number that is not negative", "coalesce(try_cast(plays AS DOUBLE), -1) NOT BETWEEN 0 AND 1e15"),
}


@dataclass(frozen=True)
class Rows:
    """The rows of one file in a raw table.

    Attributes:
        connection: a database with the table.
        table: name of the table.
        first: position of the first row; the others follow it.
    """

    connection: duckdb.DuckDBPyConnection
    table: str
    first: int

    @property
    def condition(self) -> str:
        """SQL condition that exactly these rows meet."""
        return f"rowid >= {self.first:d}" if self.first else "true"

    @property
    def further(self) -> list[str]:
        """The optional columns (`FURTHER_COLUMNS`) that the table has."""
        return [name for name in self.connection.table(self.table).columns if name in FURTHER_COLUMNS]

    def select(self, *expressions: str) -> tuple[Any, ...]:
        """Return aggregates over the rows."""
        sql = f"SELECT {', '.join(expressions)} FROM {self.table} WHERE {self.condition}"  # noqa: S608
        return self.connection.execute(sql).fetchall()[0]

    def count(self, condition: str) -> int:
        """Count the rows that meet a condition."""
        return self.select(f"count(*) FILTER ({condition})")[0]

    def update(self, column: str, expression: str, condition: str) -> None:
        """Replace a column where a condition is met."""
        self.connection.execute(
            f"UPDATE {self.table} SET {column} = {expression} WHERE {self.condition} AND ({condition})"  # noqa: S608
        )


def interpret_ids(rows: Rows, label: str, columns: Mapping[str, str | None], missing: Sequence[str]) -> list[str]:
    """Set ids that stand for a missing value to NULL, and normalise the notation of the others.

    Invisible characters around an id are removed, and so is the decimal point of whole numbers.

    Args:
        rows: the file's rows in a raw table.
        label: name of the file in messages.
        columns: standard name -> the file's name of each column.
        missing: texts that stand for a missing id.

    Returns:
        Notes on changed ids, and on ids that count as different but may mean the same.

    Raises:
        UserError: an id is a number in scientific notation, which may be rounded.
    """
    notes: list[str] = []
    for name in (name for name in IDS if name in rows.connection.table(rows.table).columns):
        notes += _remove_marks(rows, name)
        is_padded, is_missing, is_whole, is_fraction, is_rounded, has_zeros, absent = _kinds_of_ids(rows, name, missing)
        if is_rounded:
            _refuse_rounded(rows, label, columns, name)
        if is_padded:
            rows.update(name, f"nullif({_visible(name)}, '')", f"{name} <> {_visible(name)}")
            notes.append(WITHOUT_INVISIBLE.format(name=name))
        if is_missing:
            rows.update(name, "NULL", _is_listed(name, missing))
        if is_whole and not is_fraction:
            rows.update(name, f"split_part({name}, '.', 1)", f"regexp_full_match({name}, '{_WHOLE}')")
            notes.append(WHOLE_IDS.format(name=name))
        if has_zeros:
            notes += _differing_by_zeros(rows, name)
        if absent is not None:
            notes.append(PERHAPS_MISSING.format(name=name, id=absent))
    return notes


def _visible(name: str) -> str:
    return f"regexp_replace({name}, '{_INVISIBLE}', '', 'g')"


def _remove_marks(rows: Rows, name: str) -> list[str]:
    """Remove quotation marks around the ids of a column if all of them have the same, and return notes on it.

    If ids have no marks, this looks at few rows.
    """
    is_marked = f"regexp_full_match(trim({name}), {literal(_MARKED)})"
    others = f"SELECT 1 FROM {rows.table} WHERE {rows.condition} AND {name} IS NOT NULL AND NOT {is_marked} LIMIT 1"  # noqa: S608
    if rows.connection.execute(others).fetchall():
        return []
    n_kinds, example = rows.select(f"count(DISTINCT regexp_extract({name}, {literal(_MARKED)}, 1))", f"min({name})")
    if n_kinds != 1:
        return []
    rows.update(name, f"regexp_extract(trim({name}), {literal(_MARKED)}, 2)", is_marked)
    return [WITHOUT_MARKS.format(name=name, example=example)]


def _kinds_of_ids(rows: Rows, name: str, missing: Sequence[str]) -> tuple[Any, ...]:
    """Return whether there are padded, missing, whole, fractional, rounded and zero-filled ids, in this order.

    The last element is an id that may stand for a missing one, or None.
    """
    kinds = (
        "id <> text",
        _is_listed("text", missing),
        f"regexp_full_match(text, '{_WHOLE}')",
        f"regexp_full_match(text, '{_FRACTION}') AND NOT regexp_full_match(text, '{_WHOLE}')",
        f"regexp_full_match(text, '{_ROUNDED}')",
        "regexp_full_match(text, '0[0-9]+')",
    )
    found = rows.connection.execute(
        f"SELECT {', '.join(f'coalesce(bool_or({kind}), false)' for kind in kinds)}, "  # noqa: S608
        f"min(text) FILTER ({_is_listed('lower(text)', ABSENT)} AND NOT {_is_listed('text', missing)}) "
        f"FROM (SELECT DISTINCT {name} AS id, {_visible('id')} AS text FROM {rows.table} "
        f"WHERE {rows.condition} AND NOT regexp_full_match({name}, '{_PLAIN}'))"
    ).fetchall()
    return found[0]


def _refuse_rounded(rows: Rows, label: str, columns: Mapping[str, str | None], name: str) -> NoReturn:
    """Raise the error for ids in scientific notation, naming the first such id.

    Raises:
        UserError: always.
    """
    is_rounded = f"FILTER (regexp_full_match({_visible(name)}, '{_ROUNDED}'))"
    row, cell = rows.select(f"min(rowid) {is_rounded}", f"arg_min({name}, rowid) {is_rounded}")
    raise UserError(
        f"{label} must have whole ids (got {cell!r} in column {columns.get(name) or name}, "
        f"row {row - rows.first + 1}, which may be rounded): export this column as text."
    )


def _differing_by_zeros(rows: Rows, name: str) -> list[str]:
    """Return a note with an example if ids differ only by leading zeros."""
    found = rows.connection.execute(
        f"SELECT min({name}), max({name}) FROM {rows.table} WHERE {rows.condition} "  # noqa: S608
        f"AND regexp_full_match({name}, '[0-9]+') GROUP BY ltrim({name}, '0') HAVING min({name}) < max({name}) "
        "ORDER BY ALL LIMIT 1"
    ).fetchall()
    return [DIFFERING_BY_ZEROS.format(name=name, padded=padded, plain=plain) for padded, plain in found]


def interpret_ratings(rows: Rows, label: str, columns: Mapping[str, str | None], reading: Reading) -> list[str]:
    """Interpret the ratings and times of a file.

    Args:
        rows: the file's rows in the raw table of ratings.
        label: name of the file in messages.
        columns: standard name -> the file's name of each column.
        reading: settings of how to read the file.

    Returns:
        Notes on what was detected.

    Raises:
        UserError: a row repeats the header, a cell is not a number or a date, or the notation of numbers or dates is
            ambiguous.
    """
    repeated = " AND ".join(_is_listed(name, spellings(columns.get(name) or name, name)) for name in IDS)
    n_odd_ratings, n_texts, header, n_times, n_short, short = rows.select(
        f"count(*) FILTER ({_IS_ODD_RATING} OR {_is_listed('rating', reading.missing)})",
        f"count(*) FILTER ({_IS_TEXT} OR {_is_listed('time', reading.missing)})",
        f"min(rowid) FILTER ({repeated})",
        "count(time)",
        f"count(*) FILTER ({_IS_SHORT} AND {_IS_NUMBER})",
        f"min(rowid) FILTER ({_IS_SHORT} AND {_IS_NUMBER})",
    )
    if header is not None:
        raise UserError(f"{label} repeats its header in row {header - rows.first + 1}: remove this line.")
    if 2 * n_short > n_times:
        [(cell,)] = rows.connection.execute(f"SELECT time FROM {rows.table} WHERE rowid = {short}").fetchall()  # noqa: S608
        raise UserError(
            f"{label} must have whole times (got {cell!r} in column {columns.get('time') or 'time'}, "
            f"row {short - rows.first + 1}, which may be rounded): export this column as text."
        )
    notes = []
    if n_odd_ratings:
        notes += _interpret_numbers(rows, label, "rating", reading)
    if n_texts:
        notes += _interpret_numbers(rows, label, "time", reading)
    for name in rows.further:
        notes += _interpret_numbers(rows, label, name, reading)
    notes += _interpret_times(rows, label, reading.time_format)
    if n_texts:
        # TIMESTAMP ignores offsets
        rows.update("time", f"epoch({_WITH_OFFSET})", f"{_HAS_OFFSET} AND {_WITH_OFFSET} IS NOT NULL")
    if n_odd_ratings or n_texts:
        check_numbers(rows, label, columns)
    return notes


def spellings(*names: str) -> list[str]:
    """Return the spellings of the names of a column that a header may have."""
    joined = [name.replace("_", "") for name in names]
    camel = [name[:1].lower() + name.title().replace("_", "")[1:] for name in names]
    every = (*names, *joined, *camel)
    return [*dict.fromkeys(s for name in every for s in (name, name.lower(), name.upper(), name.title()))]


def check_numbers(rows: Rows, label: str, columns: Mapping[str, str | None], numeric_ids: bool = False) -> None:
    """Check that ratings are numbers, times are numbers or dates and, for some sources, that ids are numbers.

    Raises:
        UserError: a cell is not; the message names the first such cell.
    """
    sql = (SQL / "read" / "unreadable.sql").read_text(encoding="utf-8")
    cells = rows.connection.execute(sql, {"first_row": rows.first, "numeric_ids": numeric_ids}).fetchall()
    for row, name, cell in cells:
        hint = _hint(name, cell)
        raise UserError(
            f"{label} has text where a number belongs: {cell!r} in column {columns.get(name) or name}, "
            f"row {row - rows.first + 1}{hint}."
        )


def _hint(name: str, cell: str) -> str:
    """Return the end of the sentence that refuses a cell: the setting that may read it."""
    if cell.lower() in ABSENT:
        return f": data.missing=[{cell!r}] reads it as missing"
    if name == "time":
        return ": data.time_format says how times are written"
    if cell.lower() in ("true", "false"):
        return ": data.columns.label reads a column of truth values"
    return ": data.quote names the quotation mark" if cell[:1] in _MARKS else ""


def check_further(rows: Rows, label: str, columns: Mapping[str, str | None]) -> None:
    """Check the optional columns of ratings: labels and plays.

    Raises:
        UserError: a cell is not of the required kind (`_WRONG`); the message names the first such cell.
    """
    for name in rows.further:
        wanted, condition = _WRONG[name]
        is_wrong = f"FILTER ({name} IS NOT NULL AND {condition})"
        row, cell = rows.select(f"min(rowid) {is_wrong}", f"arg_min({name}, rowid) {is_wrong}")
        if row is not None:
            raise UserError(
                f"The {name} of a row of {label} must be {wanted} (got {cell!r} in column {columns.get(name) or name}, "
                f"row {row - rows.first + 1}): choose another column as data.columns.{name}."
            )


def _is_listed(name: str, texts: Sequence[str]) -> str:
    return f"{name} IN ({', '.join(map(literal, texts))})" if texts else "false"


def _interpret_numbers(rows: Rows, label: str, name: str, reading: Reading) -> list[str]:
    """Set missing values to NULL, and replace decimal commas in a column that has no decimal points."""
    rows.update(name, "NULL", _is_listed(name, reading.missing))
    with_comma = f"regexp_full_match({name}, '-?[0-9]*,[0-9]+')"
    n_commas, n_thousands, n_points = rows.select(
        f"count(*) FILTER ({with_comma})",
        f"count(*) FILTER (regexp_full_match({name}, '-?[0-9]+,[0-9]{{3}}'))",
        f"count(*) FILTER (contains({name}, '.') AND try_cast({name} AS DOUBLE) IS NOT NULL)",
    )
    if not has_decimal_commas(label, name, reading, n_commas, n_thousands, n_points):
        return []
    rows.update(name, f"replace({name}, ',', '.')", with_comma)
    return [] if reading.decimal else [DECIMAL_COMMAS.format(name=name)]


def has_decimal_commas(label: str, name: str, reading: Reading, n_commas: int, n_thousands: int, n_points: int) -> bool:
    """Return whether the commas in a column of numbers are decimal marks.

    Args:
        label: name of the file in messages.
        name: standard name of the column.
        reading: settings of how to read the file.
        n_commas: number of cells that consist of digits and one comma.
        n_thousands: number of these cells that have exactly three digits after the comma.
        n_points: number of cells that are numbers with a decimal point.

    Raises:
        UserError: the commas may also separate thousands.
    """
    if not n_commas or n_points or reading.decimal == ".":
        return False
    if n_commas == n_thousands and reading.decimal is None:
        raise UserError(
            f"{label} has numbers such as 1,234 in its column of {name}: set data.decimal=',' if the comma is a "
            "decimal mark, or write the numbers without commas."
        )
    return True


def _interpret_times(rows: Rows, label: str, given: str | None) -> list[str]:
    """Convert times to seconds, unless they already are seconds or ISO dates; return a note if the format is detected.

    Raises:
        UserError: the given format is not valid, or several formats fit.
    """
    if given is not None and given not in UNITS and "%" not in given:
        raise UserError(NOT_A_FORMAT.format(given=given))
    chosen = given or _format_of_numbers(rows) or _format_of_dates(rows, label)
    if chosen is None:
        return []
    if chosen in UNITS:
        whole, divisor = "try_cast(time AS HUGEINT)", UNITS[chosen]  # // would round negative times up
        rows.update("time", f"({whole} - ({whole} % {divisor} + {divisor}) % {divisor}) // {divisor}", _IS_NUMBER)
    else:
        parsed = f"try_strptime(time, {literal(chosen)})"
        try:
            rows.update("time", f"epoch({parsed})", f"{parsed} IS NOT NULL")
        except duckdb.InvalidInputException as error:
            raise UserError(NOT_A_FORMAT.format(given=chosen)) from error
    return [] if given else [TIMES.format(name=UNIT_NAMES.get(chosen, chosen), format=chosen)]


def _format_of_numbers(rows: Rows) -> str | None:
    """Return the unit of most times that are numbers, or the format of dates written as numbers; None for seconds."""
    size = "abs(try_cast(time AS DOUBLE))"
    n, first, last, *n_larger = rows.select(
        f"count({size})",
        f"min({size})",
        f"max({size})",
        *(f"count(*) FILTER ({size} >= {limit})" for limit in LEAST.values()),
    )
    units = [unit for unit, count in zip(LEAST, n_larger, strict=True) if 2 * count > n]
    compact = [written for written, (low, high) in COMPACT.items() if n and low <= first <= last <= high]
    dates = [written for written in compact if not rows.count(f"{_IS_NUMBER} AND {_cannot_be(written)}")]
    return next(iter([*dates, *units]), None)


def _format_of_dates(rows: Rows, label: str) -> str | None:
    """Return the only format that fits all dates which are not ISO dates, or None if none does.

    Raises:
        UserError: several formats fit.
    """
    odd = f"FROM {rows.table} WHERE {rows.condition} AND {_IS_ODD_TIME}"
    select = "SELECT count(*), {checks} FROM (SELECT time {odd} {limit})"
    fitting = [*(day + clock for day in _DAYS for clock in _CLOCKS), *_STAMPS]
    for limit in ("LIMIT 100", ""):  # most formats fail soon
        checks = ", ".join(f"count(*) FILTER ({_cannot_be(written)})" for written in fitting)
        sql = select.format(checks=checks, odd=odd, limit=limit)
        n, *n_failing = rows.connection.execute(sql).fetchall()[0]
        fitting = [written for written, failing in zip(fitting, n_failing, strict=True) if not failing]
        if not n or not fitting:
            return None
    if len({written.replace("%B", "%b") for written in fitting}) > 1:  # in May, %b and %B read the same
        raise UserError(
            f"{label} has dates in which the order of day and month is ambiguous: set data.time_format to "
            f"{' or '.join(repr(written) for written in fitting)}."
        )
    return fitting[0]


def _cannot_be(written: str) -> str:
    return f"try_strptime(time, {literal(written)}) IS NULL"


def guessed_scale(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """Guess the scale of the ratings in the raw table; see `scale_of`."""
    number = "try_cast(rating AS FLOAT)"
    sql = f"SELECT min({number}), max({number}) FROM raw_ratings "  # noqa: S608 - a constant
    sql += f"WHERE isfinite({number}) AND user_id IS NOT NULL AND movie_id IS NOT NULL"
    return scale_of(*connection.execute(sql).fetchall()[0])


def scale_of(lowest: float | None, highest: float | None) -> tuple[float, float]:
    """Return the first common rating scale that contains all ratings, otherwise the range of the ratings.

    If all ratings are 1, they only state that an item was seen, and the scale is 1 to 1.

    Args:
        lowest: the lowest rating, or None if there is no rating.
        highest: the highest rating, or None.
    """
    if lowest is None or highest is None or lowest == highest == 1:
        return (1.0, 1.0)
    usual = (scale for scale in _SCALES if scale[0] <= lowest and highest <= scale[1])
    return next(usual, (lowest, highest))
