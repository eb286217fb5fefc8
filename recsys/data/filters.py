"""Filters items by conditions on their metadata, such as `genre=Comedy`, `year>=1990` or `director=Ethan Coen`."""

from __future__ import annotations

import difflib
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

from recsys.data.dataset import Dataset
from recsys.data.raw import LIST_COLUMNS
from recsys.errors import UserError

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
N_EXAMPLES = 20  # values of a column that an error names
_CONDITION = re.compile(rf"\s*(\w+)\s*({'|'.join(_OPERATORS)})\s*(.*\S)\s*")


def items_meeting(dataset: Dataset, conditions: Iterable[str]) -> np.ndarray:
    """Select the items that meet every condition.

    A condition consists of a column, one of `= != >= <= > <`, and a value. Numbers and dates are compared by size; text
    is compared ignoring case and accents, and only with `=` and `!=`. For a column of lists (such as `genres`, or
    `genre` for short), `=` means that the list contains the value. An item whose value is missing meets no condition,
    not even `!=`.

    Returns:
        Item codes, int64 (m,), ascending; all items if there are no conditions.

    Raises:
        UserError: a condition cannot be parsed, names an unknown column, or has a text value that no item has; or no
            item meets all conditions.
    """
    conditions = list(conditions)
    met = np.ones(dataset.n_items, bool)
    for condition in conditions:
        met &= _meets(dataset.item_frame, condition)
    if not met.any():
        raise UserError(f"No item of {dataset.name} meets {' and '.join(conditions)}: give fewer or weaker conditions.")
    return np.flatnonzero(met)


def _meets(item_frame: pd.DataFrame, condition: str) -> np.ndarray:
    """Return whether each item meets a condition, bool (n_items,).

    Raises:
        UserError: the condition is not valid; see `items_meeting`.
    """
    match = _CONDITION.fullmatch(condition)
    columns = ", ".join(map(str, item_frame))
    if match is None:
        raise UserError(
            "A condition must be COLUMN=VALUE, or have != >= <= > < instead of =, where the column is one of "
            f"{columns} (got '{condition}')."
        )
    name, sign, value = match.groups()
    name = next((column for column in (name.lower(), f"{name.lower()}s") if column in item_frame), name)
    if name not in item_frame:
        raise UserError(f"The column of a condition must be one of {columns} (got '{name}').")
    column = item_frame[name]
    if is_numeric_dtype(column) or is_datetime64_any_dtype(column):
        compared = _OPERATORS[sign](column, _parsed(column, value, condition))
        return compared.to_numpy(bool, na_value=False) & column.notna().to_numpy()
    if sign not in ("=", "!="):
        raise UserError(f"A condition on {name} must use = or != (got '{condition}').")
    cells = [cell if name in LIST_COLUMNS else [] if pd.isna(cell) else [str(cell)] for cell in column]
    holding = _holds(cells, value, condition)
    return holding if sign == "=" else ~holding & np.array([len(cell) > 0 for cell in cells], bool)


def _holds(cells: Sequence[Sequence[str]], value: str, condition: str) -> np.ndarray:
    """Return whether each cell, the list of an item's texts, contains a value, bool (n_items,).

    Raises:
        UserError: no cell contains the value; the message suggests similar values.
    """
    original = {_folded(element): element for cell in cells for element in cell}
    wanted = _folded(value)
    if wanted not in original:
        close = [original[key] for key in difflib.get_close_matches(wanted, original)]
        known = sorted(original.values(), key=_folded)
        examples = f"choose another value, such as {', '.join(known[:N_EXAMPLES])}." if known else "all are missing."
        hint = f"did you mean {' or '.join(close)}?" if close else examples
        raise UserError(f"No item has the value of '{condition}': {hint}")
    return np.array([wanted in map(_folded, cell) for cell in cells], bool)


def _parsed(column: pd.Series, value: str, condition: str) -> float | pd.Timestamp:
    try:
        return float(value) if is_numeric_dtype(column) else pd.Timestamp(value)
    except ValueError:
        kind = "a number" if is_numeric_dtype(column) else "a date, such as 1995-11-22"
        raise UserError(f"The value of '{condition}' must be {kind} (got '{value}').") from None


def _folded(text: str) -> str:
    """Return text in lower case and without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
