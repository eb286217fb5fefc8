"""Ties in time: ratings of one user at the same second, whose order the source's rows decide.

A page that shows several items to rate stores them at the same second, so that the order of such ratings may be that of
the page, or of the file.
"""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset


def share_of_tied_last_ratings(dataset: Dataset) -> float:
    """Return the share of users whose last rating has the time of the one before, among users with two or more.

    0 where the source has no times, or no user has two ratings.
    """
    last = dataset.indptr[1:][dataset.user_counts >= 2] - 1
    if dataset.times is None or not len(last):
        return 0.0
    return float((dataset.times[last] == dataset.times[last - 1]).mean())


def shuffle_ties(dataset: Dataset, seed: int) -> Dataset:
    """Return the data set with each user's ratings of the same second in random order; without times, unchanged."""
    if dataset.times is None:
        return dataset
    noise = np.random.default_rng(seed).random(len(dataset))
    return dataset.select(np.lexsort((noise, dataset.times, dataset.users)))
