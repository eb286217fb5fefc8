"""Genres as numbers: which genres an item has, and how a history is distributed over them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.data.query import History


def genre_indicators(item_frame: pd.DataFrame) -> np.ndarray:
    """Return a matrix with a row per item and a column per genre, float32 (n_items, g): 1 where the item has the genre.

    Args:
        item_frame: data frame with a row for each item. Its column `genres` has lists of names, or None. If there is no
            such column, or no item has a genre, g is 0.
    """
    lists = item_frame["genres"] if "genres" in item_frame else pd.Series([[]] * len(item_frame))
    values = lists.reset_index(drop=True).explode().dropna()
    codes, names = pd.factorize(values)
    indicators = np.zeros((len(item_frame), len(names)), np.float32)
    indicators[values.index, codes] = 1.0
    return indicators


def distributions(counts: np.ndarray) -> np.ndarray:
    """Divide each row of counts (n, g) by its sum; a row of zeros stays zero.

    Applied to `genre_indicators`, this returns p(genre | item).
    """
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def history_distributions(history: History, item_distributions: np.ndarray) -> np.ndarray:
    """Return p(genre | user), float32 (B, g): the mean of p(genre | item) over the items of the user's history.

    Items without genres do not count in the mean; if no item has genres, the row is zero.

    Args:
        history: histories of the B users.
        item_distributions: float32 (n_items, g) p(genre | item).
    """
    return distributions(history.matrix(len(item_distributions)) @ item_distributions)
