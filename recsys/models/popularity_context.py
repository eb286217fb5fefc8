"""Popularity by context: after the first n interactions of users, around a time, or among users of equal attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys.data.dataset import Dataset

N_MOMENTS = 64  # number of moments at which recent popularity is stored, with equally many interactions between them
DAMPING = 300  # number of average users that are added to each group when shares of its users are computed
HOUR = 3600  # seconds
DAY = 24 * HOUR


def next_popularity(train: Dataset, n_first: int) -> np.ndarray:
    """Count the interactions of each item that are not among the first n of their user, for each n below `n_first`.

    For n above 0, `n_items` pseudo-counts in proportion to popularity are added.

    Args:
        train: the interactions; without times their order is unknown, and each row is the plain popularity.
        n_first: number of rows, for n = 0 to n_first - 1.

    Returns:
        float32 (n_first, n_items), row n for histories of n interactions; row 0 is the plain popularity.
    """
    counts = np.tile(train.item_counts.astype(np.float64), (n_first, 1))
    if train.times is not None:
        places = np.arange(len(train.items)) - np.repeat(train.indptr[:-1], train.user_counts)
        early = places < n_first - 1
        cells = places[early] * train.n_items + train.items[early]
        firsts = train.total(np.bincount(cells, minlength=(n_first - 1) * train.n_items))
        counts[1:] -= firsts.reshape(n_first - 1, train.n_items).cumsum(axis=0)
        counts[1:] += train.n_items * train.item_counts / max(1, train.n_ratings)
    return counts.astype(np.float32)


def recent_popularity(train: Dataset, half_life: float) -> tuple[np.ndarray, np.ndarray]:
    """Count the interactions with each item up to each of at most 64 moments, weighted by recency.

    Equally many interactions are between two moments, the last of which is the time of the last interaction.

    Args:
        train: the interactions.
        half_life: half-life, in days, of the weight of an interaction.

    Returns:
        The moments, int64 (m,) Unix times in seconds, ascending, and the counts at each, float32 (m, n_items). Without
        times, there is one moment, and all counts are zero.
    """
    if train.times is None:
        return np.zeros(1, np.int64), np.zeros((1, train.n_items), np.float32)
    by_time = np.argsort(train.times, kind="stable")
    parts = [part for part in np.array_split(by_time, N_MOMENTS) if len(part)]
    moments = np.array([train.times[part[-1]] for part in parts])
    counts, current, before = np.empty((len(parts), train.n_items), np.float32), np.zeros(train.n_items), moments[0]
    for row, (part, moment) in enumerate(zip(parts, moments, strict=True)):
        weights = np.exp2((train.times[part] - moment) / (half_life * DAY))
        current *= np.exp2((before - moment) / (half_life * DAY))
        current += np.bincount(train.items[part], weights, train.n_items)
        counts[row], before = current, moment
    return moments, counts


def group_factors(train: Dataset, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Compute how much more popular items are in groups of users with equal attributes.

    An item's factor in a group is the share of the group's users who rated the item, damped by 300 average users,
    divided by the share of all users who rated it. A user's factor is the product of the factors in the user's groups,
    as if attributes were independent (naive Bayes).

    Args:
        train: the interactions.
        columns: columns of the table of users; columns that the data lack are ignored.

    Returns:
        The groups of each user as rows of the factors, int64 (n_users + 1, 1 + n_columns), and the factors, float32
        (1 + n_groups, n_items). The last row of the groups is that of unknown users. Row 0 of the factors is 1 for all
        items; all users have it in column 0, and users with a missing value and unknown users in other columns.
    """
    frame = train.user_frame
    groups = [np.zeros(train.n_users + 1, np.int64)]
    factors = [np.ones((1, train.n_items))]
    n_users = max(1, train.n_raters)
    mean = train.item_counts / n_users
    for column in [name for name in columns if name in frame]:
        codes = frame[column].astype("category").cat.codes.to_numpy(np.int64)
        n_groups = codes.max() + 1
        sizes = train.total(np.bincount(codes[(codes >= 0) & (train.user_counts > 0)], minlength=n_groups))
        grouped = codes[train.users] >= 0
        cells = codes[train.users[grouped]] * train.n_items + train.items[grouped]
        counts = train.total(np.bincount(cells, minlength=n_groups * train.n_items)).reshape(n_groups, train.n_items)
        shares = (counts + DAMPING * mean) / (sizes + DAMPING)[:, None]
        first = sum(map(len, factors))
        groups.append(np.append(np.where(codes >= 0, first + codes, 0), 0))
        factors.append(np.divide(shares, mean, out=np.ones_like(shares), where=mean > 0))
    return np.stack(groups, axis=1), np.concatenate(factors).astype(np.float32)


def standardised(counts: np.ndarray) -> np.ndarray:
    """Return each row scaled to mean 0 and standard deviation 1, (n_rows, n_items); equal counts become zeros."""
    spread = counts.std(axis=1, keepdims=True)
    return (counts - counts.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
