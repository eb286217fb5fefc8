"""Ties in time: ratings of one user at the same second, whose order the source's rows decide.

A page that shows several items to rate stores them at the same second, so that the order of such ratings may be that of
the page, or of the file.
"""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset


def tied(dataset: Dataset) -> np.ndarray:
    """Mark the ratings that have the time of the one before by the same user, bool (n,); none without times."""
    marks = np.zeros(len(dataset), bool)
    if dataset.times is not None:
        marks[1:] = (np.diff(dataset.times) == 0) & (np.diff(dataset.users) == 0)
    return marks


def share_of_tied_last_ratings(dataset: Dataset) -> float:
    """Return the share of the users whose last rating has the time of the one before."""
    has_ratings = dataset.user_counts > 0
    return float(tied(dataset)[dataset.indptr[1:][has_ratings] - 1].mean())


def shuffle_ties(dataset: Dataset, seed: int) -> Dataset:
    """Return the data set with each user's ratings of the same second in random order; without times, unchanged."""
    if dataset.times is None:
        return dataset
    noise = np.random.default_rng(seed).random(len(dataset))
    return dataset.select(np.lexsort((noise, dataset.times, dataset.users)))
