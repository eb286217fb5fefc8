"""Genres as numbers: of films, and of what people watched."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.data.dataset import History


def genres(films: pd.DataFrame) -> np.ndarray:
    """Float32 (n_films, g): 1 where a film has a genre; g is 0 where no film has any."""
    lists = films["genres"] if "genres" in films else pd.Series([[]] * len(films))
    values = lists.reset_index(drop=True).explode().dropna()
    codes, names = pd.factorize(values)
    hot = np.zeros((len(films), len(names)), np.float32)
    hot[values.index, codes] = 1.0
    return hot


def shares(counts: np.ndarray) -> np.ndarray:
    """Rows (n, g) that each sum to 1, or to 0 where there was nothing: p(genre | film) of what `genres` gives."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def tastes(history: History, of_films: np.ndarray) -> np.ndarray:
    """Float32 (B, g): the mean p(genre | film), `of_films` (n_items, g), over each history; zeros for an empty one."""
    return shares(history.matrix(len(of_films)) @ of_films)
