"""Metadata as a sparse indicator matrix with a column for each genre, person, certificate and decade.

A missing value has a column of its own, such as `directors=?`. Values outside the vocabulary, such as a director of too
few items, have no column. The vocabulary names the columns, so that new items are encoded in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

FACTS = ("genres", "year", "certificate", "directors", "actors", "writers")
MISSING = "?"


def vocabulary(frame: pd.DataFrame, facts: Sequence[str] = FACTS, min_count: int = 3) -> np.ndarray:
    """List the metadata values that at least `min_count` rows have.

    Args:
        frame: a row for each item, as `Dataset.item_frame`, or for each user.
        facts: columns of text, of lists of text or, for `year`, of numbers; columns that the frame lacks are left out.
        min_count: minimum number of rows that must have a value.

    Returns:
        Names (f,), text, such as `genres=Comedy`, `year=1990s` or `directors=?` (missing), in the order of `facts`; the
        values of a fact are sorted from the most to the least frequent, and equally frequent ones alphabetically.
    """
    names = []
    for fact in facts:
        if fact in frame:
            counts = (
                _values(frame, fact).value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
            )
            names += counts.index[counts >= min_count].tolist()
    return np.array(names, dtype=str)


def features(frame: pd.DataFrame, names: np.ndarray) -> sparse.csr_matrix:
    """Encode metadata as indicators of a vocabulary's values.

    Args:
        frame: a row for each item or user; a column that the frame lacks counts as missing in all rows.
        names: a vocabulary (f,).

    Returns:
        Float32 (n_rows, f): 1 if the row has the value, else 0.
    """
    columns = pd.Series(np.arange(len(names)), names)
    facts = dict.fromkeys(name.partition("=")[0] for name in names)
    values = pd.concat([_values(frame, fact) for fact in facts]) if facts else pd.Series(dtype=str)
    known = values[values.isin(columns.index)]
    ones = np.ones(len(known), np.float32)
    matrix = sparse.csr_matrix((ones, (known.index, columns[known])), shape=(len(frame), len(names)))
    matrix.data[:] = 1  # also if a list has a value twice
    return matrix


def _values(frame: pd.DataFrame, fact: str) -> pd.Series:
    """Return the values of a column as names such as `genres=Comedy`, indexed by row; a list has one per element."""
    column = frame[fact].reset_index(drop=True) if fact in frame else pd.Series(None, range(len(frame)), dtype=object)
    if fact == "year":
        column = (column.astype("Int64") // 10 * 10).astype("string") + "s"
    values = column.astype(object).explode()  # an empty list becomes a missing value
    return f"{fact}=" + values.where(values.notna(), MISSING).astype(str)
