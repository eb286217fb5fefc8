"""Facts about films as columns of a matrix: a one for each genre, person, certificate and decade that a film has.

What is not known of a film is a fact too, `directors=?`, apart from what the vocabulary leaves out: a director of too
few films has no column. A vocabulary is the columns' names, so that films that come later are laid out like those that
it was made of.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

FACTS = ("genres", "year", "certificate", "directors", "actors", "writers")
MISSING = "?"


def vocabulary(films: pd.DataFrame, facts: Sequence[str] = FACTS, min_count: int = 3) -> np.ndarray:
    """The facts that enough films have.

    Args:
        films: a row a film, as `Dataset.item_frame`.
        facts: columns of text, lists of text or, `year`, numbers; those that no film has are left out.
        min_count: films that a fact must be true of.

    Returns:
        Text (f,): `genres=Comedy`, `year=1990s`, `directors=?`, ...; column by column, the most frequent first.
    """
    names = []
    for fact in facts:
        if fact in films:
            counts = (
                _stated(films, fact).value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
            )
            names += counts.index[counts >= min_count].tolist()
    return np.array(names, dtype=str)


def features(films: pd.DataFrame, names: np.ndarray) -> sparse.csr_matrix:
    """Which facts are true of which film.

    Args:
        films: a row a film; a column that is not there is missing for all of them.
        names: a vocabulary (f,).

    Returns:
        Float32 (n_films, f): 1 where the fact is true, else 0.
    """
    columns = pd.Series(np.arange(len(names)), names)
    facts = dict.fromkeys(name.partition("=")[0] for name in names)
    stated = pd.concat([_stated(films, fact) for fact in facts]) if facts else pd.Series(dtype=str)
    known = stated[stated.isin(columns.index)]
    ones = np.ones(len(known), np.float32)
    matrix = sparse.csr_matrix((ones, (known.index, columns[known])), shape=(len(films), len(names)))
    matrix.data[:] = 1  # also where a list has something twice
    return matrix


def _stated(films: pd.DataFrame, fact: str) -> pd.Series:
    """Names of the facts true of each film, indexed by the film's row."""
    values = films[fact].reset_index(drop=True) if fact in films else pd.Series(None, range(len(films)), dtype=object)
    if fact == "year":
        values = (values.astype("Int64") // 10 * 10).astype("string") + "s"
    stated = values.astype(object).explode()  # an empty list becomes a missing value
    return f"{fact}=" + stated.where(stated.notna(), MISSING).astype(str)
