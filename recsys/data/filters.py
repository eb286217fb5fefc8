"""Conditions on films, as one types them: `genre=Comedy`, `year>=1990`, `director=Ethan Coen`."""

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
from recsys.data.raw import LISTS
from recsys.errors import UserError

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(rf"\s*(\w+)\s*({'|'.join(_OPERATORS)})\s*(.*\S)\s*")


def films_passing(dataset: Dataset, conditions: Iterable[str]) -> np.ndarray:
    """Codes, int64 (m,), of the films that pass every condition.

    A condition is a column, one of `= != >= <= > <`, and a value. Numbers and dates compare as such; text does not mind
    case and accents; of a list (`genres`, or `genre`) one element is to be the value. What is not known passes nothing.

    Raises:
        UserError: a condition cannot be read, or no film passes.
    """
    conditions = list(conditions)
    passing = np.ones(dataset.n_items, bool)
    for condition in conditions:
        passing &= _passes(dataset.item_frame, condition)
    if not passing.any():
        raise UserError(f"No film of {dataset.name} passes {' and '.join(conditions)}: ask for less.")
    return np.flatnonzero(passing)


def _passes(item_frame: pd.DataFrame, condition: str) -> np.ndarray:
    """Whether each film passes, bool (n_items,)."""
    match = _CONDITION.fullmatch(condition)
    columns = ", ".join(map(str, item_frame))
    if match is None:
        raise UserError(f"'{condition}' is no filter: write COLUMN=VALUE, or != >= <= > <, of the columns {columns}.")
    name, sign, value = match.groups()
    name = next((column for column in (name.lower(), f"{name.lower()}s") if column in item_frame), name)
    if name not in item_frame:
        raise UserError(f"Films have no '{name}' to filter by: there are {columns}.")
    column = item_frame[name]
    if is_numeric_dtype(column) or is_datetime64_any_dtype(column):
        compared = _OPERATORS[sign](column, _parsed(column, value, condition))
        return compared.to_numpy(bool, na_value=False) & column.notna().to_numpy()
    if sign not in ("=", "!="):
        raise UserError(f"'{condition}' compares text: {name} can be filtered by = and != alone.")
    cells = [cell if name in LISTS else [] if pd.isna(cell) else [str(cell)] for cell in column]
    holding = _holds(cells, value, condition)
    return holding if sign == "=" else ~holding & np.array([len(cell) > 0 for cell in cells], bool)


def _holds(cells: Sequence[Sequence[str]], value: str, condition: str) -> np.ndarray:
    """Whether the value is among each film's; bool (n_items,)."""
    original = {_folded(element): element for cell in cells for element in cell}
    wanted = _folded(value)
    if wanted not in original:
        close = [original[key] for key in difflib.get_close_matches(wanted, original)]
        hint = f"did you mean {' or '.join(close)}?" if close else "choose another value."
        raise UserError(f"No film has what '{condition}' names: {hint}")
    return np.array([wanted in map(_folded, cell) for cell in cells], bool)


def _parsed(column: pd.Series, value: str, condition: str) -> float | pd.Timestamp:
    try:
        return float(value) if is_numeric_dtype(column) else pd.Timestamp(value)
    except ValueError:
        kind = "a number" if is_numeric_dtype(column) else "a date, like 1995-11-22"
        raise UserError(f"'{condition}' needs {kind}, and '{value}' is none.") from None


def _folded(text: str) -> str:
    """Text without case and accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
