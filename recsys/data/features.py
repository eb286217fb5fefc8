"""Encodes metadata as a sparse 0/1 matrix with a column for each genre, person, certificate, decade and so on.

A vocabulary determines the columns, so that new items are encoded in the same way. Missing values have a column of
their own, such as `directors=?`. Values that are not in the vocabulary, such as a director of too few items, are
ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

FACTS = ("genres", "year", "certificate", "directors", "actors", "writers")
MISSING = "?"


def vocabulary(frame: pd.DataFrame, facts: Sequence[str] = FACTS, min_count: int = 3) -> np.ndarray:
    """Return the names of all metadata values that at least `min_count` rows of a data frame have.

    Args:
        frame: a data frame with a row per item, such as `Dataset.item_frame`, or per user.
        facts: names of the columns to use; they contain text, lists of text or, in the case of `year`, numbers. Columns
            that the frame lacks are skipped.
        min_count: minimum number of rows that must have a value.

    Returns:
        Array of text (f,) with names such as `genres=Comedy`, `year=1990s` or `directors=?` (missing), in the order of
        `facts`. Values of the same column are sorted from the most to the least frequent, and alphabetically if equally
        frequent.
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
    """Encode metadata as a 0/1 matrix with a column for each name of a vocabulary.

    Args:
        frame: a data frame with a row per item or user; if it lacks a column, the column counts as missing in all rows.
        names: the vocabulary (f,), as `vocabulary` returns it.

    Returns:
        CSR matrix, float32 (n_rows, f): 1 if the row of the frame has the value, else 0.
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
    """Return a column's values as names such as `genres=Comedy`, indexed by row; a list yields a name per element."""
    column = frame[fact].reset_index(drop=True) if fact in frame else pd.Series(None, range(len(frame)), dtype=object)
    if fact == "year":
        column = (column.astype("Int64") // 10 * 10).astype("string") + "s"
    values = column.astype(object).explode()  # an empty list becomes a missing value
    return f"{fact}=" + values.where(values.notna(), MISSING).astype(str)
