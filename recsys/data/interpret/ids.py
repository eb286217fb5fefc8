"""Interpretation of ids: missing ids, invisible characters and quotation marks around ids, and whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from recsys.data.interpret.rows import ABSENT, Rows, is_listed
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
# What spreadsheets and repeated exports put around an id: ="1", "1", '1', “1”; group 2 is the id.
_MARKED = r"""(="|"|'|\x{201c})(.+)("|'|\x{201d})"""

# Notes on what was detected.
WITHOUT_INVISIBLE = "{name} is read without the invisible characters around it"
WHOLE_IDS = "{name} such as 1.0 is read as 1"
WITHOUT_MARKS = "{name} such as {example} is read without the quotation marks"
DIFFERING_BY_ZEROS = "{name} {padded} and {plain} count as different"
PERHAPS_MISSING = "{name} {id!r} is an id (data.missing=[{id!r}] reads it as missing)"


def interpret_ids(rows: Rows, label: str, columns: Mapping[str, str | None], missing: Sequence[str]) -> list[str]:
    """Normalise the notation of ids in place; texts that stand for a missing id become NULL.

    Invisible characters around an id are removed. Quotation marks are removed if all ids of the column have the same
    marks. A whole number such as `7.0` becomes `7`, unless another id of the column is a fraction such as `7.5`.

    Args:
        rows: the rows of one file in a raw table.
        label: name of the file in messages.
        columns: standard column name -> column name in the file.
        missing: texts that stand for a missing id.

    Returns:
        Notes on how ids were changed, and on ids that count as different but may mean the same.

    Raises:
        UserError: an id is a number in scientific notation, which may have been rounded.
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
            rows.update(name, "NULL", is_listed(name, missing))
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
    """Remove quotation marks around the ids of a column if all ids have the same marks.

    The search stops at the first id without marks, so a column without marks costs little. Returns a list with a note
    if marks were removed, otherwise an empty list.
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
    """Return which kinds of ids a column has: a bool each for padded, missing, whole, fractional, rounded, zero-filled.

    Padded ids have invisible characters around them, and zero-filled ids have leading zeros. The last element of the
    tuple is an id that may stand for a missing value, or None.
    """
    kinds = (
        "id <> text",
        is_listed("text", missing),
        f"regexp_full_match(text, '{_WHOLE}')",
        f"regexp_full_match(text, '{_FRACTION}') AND NOT regexp_full_match(text, '{_WHOLE}')",
        f"regexp_full_match(text, '{_ROUNDED}')",
        "regexp_full_match(text, '0[0-9]+')",
    )
    found = rows.connection.execute(
        f"SELECT {', '.join(f'coalesce(bool_or({kind}), false)' for kind in kinds)}, "  # noqa: S608
        f"min(text) FILTER ({is_listed('lower(text)', ABSENT)} AND NOT {is_listed('text', missing)}) "
        f"FROM (SELECT DISTINCT {name} AS id, {_visible('id')} AS text FROM {rows.table} "
        f"WHERE {rows.condition} AND NOT regexp_full_match({name}, '{_PLAIN}'))"
    ).fetchall()
    return found[0]


def _refuse_rounded(rows: Rows, label: str, columns: Mapping[str, str | None], name: str) -> NoReturn:
    """Raise an error that names the first id in scientific notation.

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
    """Return a list with a note and an example if some ids differ only by leading zeros, otherwise an empty list."""
    found = rows.connection.execute(
        f"SELECT min({name}), max({name}) FROM {rows.table} WHERE {rows.condition} "  # noqa: S608
        f"AND regexp_full_match({name}, '[0-9]+') GROUP BY ltrim({name}, '0') HAVING min({name}) < max({name}) "
        "ORDER BY ALL LIMIT 1"
    ).fetchall()
    return [DIFFERING_BY_ZEROS.format(name=name, padded=padded, plain=plain) for padded, plain in found]
