"""Popularity in a context: after users' first n interactions, at a moment, or among users with equal attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys.data.dataset import Dataset

N_MOMENTS = 64  # number of moments at which recent popularity is stored, with equally many interactions between them
DAMPING = 300  # number of average users that are added to each group when shares of its users are computed
HOUR = 3600  # seconds
DAY = 24 * HOUR


def next_popularity(train: Dataset, n_first: int) -> np.ndarray:
    """For n = 0 to `n_first` - 1, count each item's interactions, without the first n of each user.

    For n above 0, pseudo-counts are added in proportion to popularity; over all items they sum to `n_items`.

    Args:
        train: the interactions. If they have no times, their order is unknown, and all rows are the plain popularity.
        n_first: number of rows of the result.

    Returns:
        float32 (n_first, n_items). Row n is for users with histories of n interactions; row 0 is the plain popularity.
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
    """For each of at most 64 moments, count the interactions with each item up to that moment, weighted by recency.

    Equally many interactions are between each moment and the next. The last moment is the time of the last interaction.

    Args:
        train: the interactions.
        half_life: number of days after which the weight of an interaction has halved.

    Returns:
        The moments, int64 (m,) Unix times in seconds, ascending, and the counts at each moment, float32 (m, n_items).
        If the interactions have no times, there is one moment, and all counts are zero.
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
    """Compute how much more popular each item is among users with the same attribute value than among all users.

    Users with the same value of an attribute are a group. An item's factor in a group is the share of the group's users
    who rated the item, divided by the share of all users who rated it. The first share is computed as if 300 average
    users were added to the group. For a user, an item's factor is the product of its factors in all of the user's
    groups, as if attributes were independent (naive Bayes).

    Args:
        train: the interactions.
        columns: columns of the table of users, each an attribute; columns that the data lack are ignored.

    Returns:
        Two arrays, `groups` and `factors`. `groups`, int64 (n_users + 1, 1 + n_columns), holds each user's groups, as
        rows of `factors`; its last row is that of unknown users. `factors`, float32 (1 + n_groups, n_items), holds the
        factors of each group. Row 0 of `factors` belongs to no group and is 1 for all items. `groups` refers to it in
        column 0 for all users, and in the other columns for unknown users and for users without the attribute.
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
    """Scale each row of counts, (n_rows, n_items), to mean 0 and standard deviation 1; equal counts become zeros."""
    spread = counts.std(axis=1, keepdims=True)
    return (counts - counts.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
