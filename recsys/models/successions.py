"""Successions: pairs of an earlier and a later item of a history, by their distance in places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recsys.data.query import History


def successions(history: History, max_distance: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield, for each distance from 1, all pairs of items that are this many places apart in a row of the history.

    The flat interactions are paired with themselves, shifted by the distance; pairs across rows are left out.

    Args:
        history: rows in time order.
        max_distance: largest distance; distances that do not occur in the longest row are not yielded.

    Yields:
        The distance, and int32 (P,) codes of the earlier and of the later items.
    """
    longest = int(history.lengths.max(initial=0))
    places = history.places_from_the_end
    for distance in range(1, min(max_distance, longest - 1) + 1):
        positions = np.flatnonzero(places >= distance)
        yield distance, history.items[positions], history.items[positions + distance]
