"""Samples negatives, which are items that a user has not rated."""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Holdout
from recsys.data.query import History


def sample_unrated(holdout: Holdout, n: int, seed: int) -> np.ndarray:
    """Sample unrated items uniformly without replacement, for each user with held-out ratings.

    An item is unrated if the user's rating of it is neither known nor held out.

    Args:
        holdout: the known and the held-out ratings of the users.
        n: number of items for each user.
        seed: seed of the sample.

    Returns:
        int32 (len(holdout.users), n) item codes. A user with fewer than n unrated items gets all of them, padded with
        -1.
    """
    users, n_items = holdout.users, holdout.known.n_items
    rated = _rated_items(holdout)
    n_unrated = n_items - np.diff(rated.indptr)
    if holdout.known.shard is None:
        nth = _sample_subsets(n_unrated, n, np.random.default_rng(seed))
    else:  # the draw of a user depends on those before it, so each process draws for all users
        of_user = np.zeros(holdout.known.n_users, np.int64)
        of_user[users] = 1 + n_unrated
        of_all = holdout.known.total(of_user)
        mine = np.searchsorted(np.flatnonzero(of_all), users)
        nth = _sample_subsets(of_all[of_all > 0] - 1, n, np.random.default_rng(seed))[mine]
    # A user's i-th rated item (from 0) comes after (its code - i) unrated ones. The search counts the rated items
    # before the nth unrated one, whose code is nth plus this count.
    unrated_before = rated.items - (np.arange(len(rated.items)) - rated.indptr[rated.rows])
    rows = np.arange(len(users))[:, None]
    keys = rated.rows * (n_items + 1) + unrated_before
    rated_before = np.searchsorted(keys, rows * (n_items + 1) + nth, side="right") - rated.indptr[:-1, None]
    return np.where(nth >= 0, nth + rated_before, -1).astype(np.int32)


def _rated_items(holdout: Holdout) -> History:
    """Return the items that each user of a holdout has rated, sorted by item code, as a history with a row per user."""
    matrix = holdout.interactions()[holdout.users]
    matrix.sort_indices()
    return History(matrix.indptr.astype(np.int64), matrix.indices, matrix.data)


def _sample_subsets(sizes: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample, for each size, n different whole numbers from 0 to size - 1; every subset of n numbers is equally likely.

    Uses Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", CACM 1987) for all sizes at once.

    Args:
        sizes: int64 (m,) sizes.
        n: number of numbers to sample for each size.
        rng: source of random numbers.

    Returns:
        int64 (m, n) numbers, a row for each size. If a size is less than n, its row starts with padding of -1, and all
        numbers from 0 to size - 1 follow.
    """
    sampled = np.full((len(sizes), n), -1)
    for place in range(n):
        last = sizes - n + place
        number = rng.integers(0, np.maximum(last, 0), endpoint=True)
        taken = (sampled[:, :place] == number[:, None]).any(axis=1)
        sampled[:, place] = np.where(last < 0, -1, np.where(taken, last, number))
    return sampled
