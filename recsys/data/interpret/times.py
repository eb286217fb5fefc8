"""Interpretation of times: units of numeric times, dates written as one number, and dates not in ISO format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import duckdb

from recsys.data.interpret.rows import Rows
from recsys.data.quoting import literal
from recsys.errors import UserError

UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
UNIT_NAMES = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "%Y": "years"}
LEAST = {"ns": 1e17, "us": 1e14, "ms": 1e11}  # smallest number of a time since 1973, by unit
# Formats of dates that are written as one number -> the smallest and largest plausible number.
COMPACT = {"%Y": (1800, 2100), "%Y%m%d": (18000101, 21001231), "%Y%m%d%H%M%S": (18000101000000, 21001231235959)}
_DAYS = (
    *("%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y.%m.%d"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", ", %H:%M:%S", ", %H:%M")
# Those of mail and web servers, of the programming language C, and of Twitter.
_STAMPS = ("%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%Y%m%dT%H%M%SZ")

TIMES = "times are {name} (data.time_format={format})"  # a note on what was detected
NOT_A_FORMAT = (
    "data.time_format must be s, ms, us or ns, or a format as for strptime, such as %d/%m/%Y (got {given!r})."
)

_IS_NUMBER = "try_cast(time AS DOUBLE) IS NOT NULL"
IS_TEXT = "time IS NOT NULL AND try_cast(time AS DOUBLE) IS NULL"
_IS_ODD_TIME = "time IS NOT NULL AND try_cast(time AS DOUBLE) IS NULL AND try_cast(time AS TIMESTAMP) IS NULL"
_HAS_OFFSET = "regexp_matches(time, ':[0-9.]+ ?[+-][0-9]{2}(:?[0-9]{2})?$')"
# The time with seconds and without a space before the offset, as TIMESTAMPTZ needs it.
_WITH_OFFSET = r"""try_cast(regexp_replace(regexp_replace(time, ' ([+-][0-9:]+)$', '\1'),
    '([T ][0-9]{2}:[0-9]{2})([+-])', '\1:00\2') AS TIMESTAMPTZ)"""
# Such as 1.1E+12, as spreadsheets write it.
IS_ROUNDED = f"strlen(time) < 12 AND contains(time, 'E+') AND {_IS_NUMBER}"


def interpret_times(rows: Rows, label: str, given: str | None) -> list[str]:
    """Convert times that are neither Unix seconds nor ISO dates to Unix seconds, in place.

    Returns a list with a note on the format if it was detected, otherwise an empty list.

    Args:
        rows: the rows of one file in the raw table of ratings.
        label: name of the file in messages.
        given: unit or format of the times as the user set it, see `Reading.time_format`; None to detect it.

    Raises:
        UserError: the given format is not valid, or more than one format fits the times.
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
    """Return the unit of numeric times, or the format if they are dates written as numbers; None for seconds.

    The unit is judged by the magnitude of the numbers, of which more than half must be large enough for it.
    """
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
    """Return the format that fits all dates not in ISO format, or None if none fits or there are no such dates.

    Raises:
        UserError: more than one format fits.
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


def apply_offsets(rows: Rows) -> None:
    """Convert ISO dates with a UTC offset to Unix seconds, in place, since DuckDB's TIMESTAMP ignores offsets."""
    rows.update("time", f"epoch({_WITH_OFFSET})", f"{_HAS_OFFSET} AND {_WITH_OFFSET} IS NOT NULL")


def refuse_rounded_time(rows: Rows, label: str, columns: Mapping[str, str | None], row: int) -> NoReturn:
    """Raise an error that names a time in scientific notation; `row` is DuckDB's row id of the row that has it.

    Raises:
        UserError: always.
    """
    [(cell,)] = rows.connection.execute(f"SELECT time FROM {rows.table} WHERE rowid = {row:d}").fetchall()  # noqa: S608
    raise UserError(
        f"{label} must have whole times (got {cell!r} in column {columns.get('time') or 'time'}, "
        f"row {row - rows.first + 1}, which may be rounded): export this column as text."
    )
