"""Successions: pairs of an earlier and a later item of the same history, grouped by their distance in places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recsys.data.query import History


def successions(history: History, max_distance: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield, for each distance from 1 on, all pairs of items that are this many places apart in the same row.

    The array of all interactions is paired with itself, shifted by the distance; pairs from different rows are left
    out.

    Args:
        history: histories, each row in time order.
        max_distance: largest distance; nothing is yielded for distances that do not occur even in the longest row.

    Yields:
        The distance, the codes of the earlier items, int32 (P,), and the codes of the later items, int32 (P,).
    """
    longest = int(history.lengths.max(initial=0))
    places = history.places_from_the_end
    for distance in range(1, min(max_distance, longest - 1) + 1):
        positions = np.flatnonzero(places >= distance)
        yield distance, history.items[positions], history.items[positions + distance]
