"""Ties in time: ratings of one user at the same second, which are in the order of the source's rows.

A page on which a user rates several items may store all their ratings at the same second, so the order of these rows
need not be the order in which the user rated.
"""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset


def tied(dataset: Dataset) -> np.ndarray:
    """Return whether each rating has the time of the same user's previous rating, bool (n,); False without times."""
    marks = np.zeros(len(dataset), bool)
    if dataset.times is not None:
        marks[1:] = (np.diff(dataset.times) == 0) & (np.diff(dataset.users) == 0)
    return marks


def share_of_tied_last_ratings(dataset: Dataset) -> float:
    """Return the share of users with ratings whose last rating has the time of the one before it, from 0 to 1."""
    has_ratings = dataset.user_counts > 0
    return float(tied(dataset)[dataset.indptr[1:][has_ratings] - 1].mean())


def shuffle_ties(dataset: Dataset, seed: int) -> Dataset:
    """Return the data set with each user's ratings at equal times in random order; unchanged without times."""
    if dataset.times is None:
        return dataset
    noise = np.random.default_rng(seed).random(len(dataset))
    return dataset.select(np.lexsort((noise, dataset.times, dataset.users)))
