"""Ties in time: ratings of one user at the same second, which are in the order of the source's rows.

A web page on which a user rates several items may store all of these ratings at the same second, so the order of the
rows need not be the order in which the user rated.
"""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset


def tied(dataset: Dataset) -> np.ndarray:
    """Return whether each rating has the same time as the user's previous rating, bool (n,).

    All values are False if the data set has no times.
    """
    marks = np.zeros(len(dataset), bool)
    if dataset.times is not None:
        marks[1:] = (np.diff(dataset.times) == 0) & (np.diff(dataset.users) == 0)
    return marks


def share_of_tied_last_ratings(dataset: Dataset) -> float:
    """Return, of all users with ratings, the share whose last two ratings have equal times, from 0 to 1."""
    has_ratings = dataset.user_counts > 0
    return float(tied(dataset)[dataset.indptr[1:][has_ratings] - 1].mean())


def shuffle_ties(dataset: Dataset, seed: int) -> Dataset:
    """Return the data set with each user's ratings at equal times in random order, or unchanged if it has no times."""
    if dataset.times is None:
        return dataset
    noise = np.random.default_rng(seed).random(len(dataset))
    return dataset.select(np.lexsort((noise, dataset.times, dataset.users)))
