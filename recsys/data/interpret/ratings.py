"""Interpretation of the rows of ratings files: decimal commas and times, and checks that cells have valid values."""

from __future__ import annotations

from collections.abc import Mapping

from recsys.data.clean import LABEL, PLAYS, SQL
from recsys.data.dialect import Reading
from recsys.data.interpret.ids import IDS
from recsys.data.interpret.rows import ABSENT, Rows, is_listed
from recsys.data.interpret.times import IS_ROUNDED, IS_TEXT, apply_offsets, interpret_times, refuse_rounded_time
from recsys.errors import UserError

DECIMAL_COMMAS = "{name} has decimal commas (data.decimal=',')"  # a note on what was detected

_IS_ODD_RATING = "rating IS NOT NULL AND try_cast(rating AS DOUBLE) IS NULL"
_MARKS = "'\"\u201c\u2018"
# Optional column -> what its cells must be, and the SQL condition that wrong cells meet.
_WRONG = {
    LABEL: ("a number, true or false", "try_cast(label AS DOUBLE) IS NULL AND try_cast(label AS BOOLEAN) IS NULL"),
    PLAYS: ("a number that is not negative", "coalesce(try_cast(plays AS DOUBLE), -1) NOT BETWEEN 0 AND 1e15"),
}


def interpret_ratings(rows: Rows, label: str, columns: Mapping[str, str | None], reading: Reading) -> list[str]:
    """Convert the ratings, times and optional columns (labels and plays) of a file to standard notation, in place.

    Args:
        rows: the rows of one file in the raw table of ratings.
        label: name of the file in messages.
        columns: standard column name -> column name in the file.
        reading: settings of how to read the file.

    Returns:
        Notes on the notations that were detected.

    Raises:
        UserError: a row repeats the header, a cell cannot be read as a number or a date, or the notation of numbers or
            dates is ambiguous.
    """
    repeated = " AND ".join(is_listed(name, spellings(columns.get(name) or name, name)) for name in IDS)
    n_odd_ratings, n_texts, header, n_times, n_rounded, first_rounded = rows.select(
        f"count(*) FILTER ({_IS_ODD_RATING} OR {is_listed('rating', reading.missing)})",
        f"count(*) FILTER ({IS_TEXT} OR {is_listed('time', reading.missing)})",
        f"min(rowid) FILTER ({repeated})",
        "count(time)",
        f"count(*) FILTER ({IS_ROUNDED})",
        f"min(rowid) FILTER ({IS_ROUNDED})",
    )
    if header is not None:
        raise UserError(f"{label} repeats its header in row {header - rows.first + 1}: remove this line.")
    if 2 * n_rounded > n_times:
        refuse_rounded_time(rows, label, columns, first_rounded)
    notes = []
    if n_odd_ratings:
        notes += _interpret_numbers(rows, label, "rating", reading)
    if n_texts:
        notes += _interpret_numbers(rows, label, "time", reading)
    for name in rows.further:
        notes += _interpret_numbers(rows, label, name, reading)
    notes += interpret_times(rows, label, reading.time_format)
    if n_texts:
        apply_offsets(rows)
    if n_odd_ratings or n_texts:
        check_numbers(rows, label, columns)
    return notes


def spellings(*names: str) -> list[str]:
    """Return column names in the spellings that headers use, such as `user_id`, `userid`, `userId` and `USER_ID`."""
    joined = [name.replace("_", "") for name in names]
    camel = [name[:1].lower() + name.title().replace("_", "")[1:] for name in names]
    every = (*names, *joined, *camel)
    return [*dict.fromkeys(s for name in every for s in (name, name.lower(), name.upper(), name.title()))]


def _interpret_numbers(rows: Rows, label: str, name: str, reading: Reading) -> list[str]:
    """Set missing values in a column to NULL, replace decimal commas by points, and return notes on what was detected.

    Commas are left as they are in a column that also has decimal points.

    Raises:
        UserError: it is unclear whether the commas are decimal marks or separate thousands.
    """
    rows.update(name, "NULL", is_listed(name, reading.missing))
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
        UserError: it is unclear whether the commas are decimal marks or separate thousands.
    """
    if not n_commas or n_points or reading.decimal == ".":
        return False
    if n_commas == n_thousands and reading.decimal is None:
        raise UserError(
            f"{label} has numbers such as 1,234 in its column of {name}: set data.decimal=',' if the comma is a "
            "decimal mark, or write the numbers without commas."
        )
    return True


def check_numbers(rows: Rows, label: str, columns: Mapping[str, str | None], numeric_ids: bool = False) -> None:
    """Check that ratings are numbers, that times are numbers or ISO dates and, if `numeric_ids`, that ids are numbers.

    Empty cells (NULL) pass the check, and so do ids that are numbers but not whole, such as 1.5.

    Args:
        rows: the rows of one file in the table `raw_ratings`.
        label: name of the file in messages.
        columns: standard column name -> column name in the file, for messages.
        numeric_ids: whether ids are checked too.

    Raises:
        UserError: a cell is not as required; the message names the first such cell.
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
    """Return the end of an error message about a cell: the setting that would make it readable, or ""."""
    if cell.lower() in ABSENT:
        return f": data.missing=[{cell!r}] reads it as missing"
    if name == "time":
        return ": data.time_format says how times are written"
    if cell.lower() in ("true", "false"):
        return ": data.columns.label reads a column of truth values"
    return ": data.quote names the quotation mark" if cell[:1] in _MARKS else ""


def check_further(rows: Rows, label: str, columns: Mapping[str, str | None]) -> None:
    """Check the cells of the optional columns `label` and `plays`.

    Raises:
        UserError: a cell is not a valid value of its column (see `_WRONG`); the message names the first such cell.
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
