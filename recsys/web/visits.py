"""Viewing histories that viewers upload for a single visit; they are in memory only, and lost when the server stops."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

VISIT_SECONDS = 12 * 3600  # without use, after which a visit ends
MAX_VISITS = 500  # when there are more, the least recently used one ends


@dataclass(frozen=True)
class BroughtHistory:
    """An uploaded history that a viewer uses during one visit.

    Attributes:
        source: names of the uploaded file and of its formats.
        ratings: stars, keyed by film id, oldest rating first; a film without a rating in the file gets about the mean
            rating.
    """

    source: str
    ratings: Mapping[str, float]


class Visits:
    """The uploaded histories that are in use, at most one for each viewer; safe to use from many threads."""

    def __init__(self) -> None:
        self._histories: dict[str, tuple[float, BroughtHistory]] = {}  # the least recently used first
        self._in_use = Lock()

    def begin(self, user_id: str, history: BroughtHistory) -> None:
        """Begin a viewer's visit with an uploaded history, in place of any history that the viewer uploaded before."""
        with self._in_use:
            self._histories.pop(user_id, None)
            self._histories[user_id] = (time.monotonic(), history)
            if len(self._histories) > MAX_VISITS:
                del self._histories[next(iter(self._histories))]

    def end(self, user_id: str) -> None:
        """End a viewer's visit, and delete its history."""
        with self._in_use:
            self._histories.pop(user_id, None)

    def history(self, user_id: str) -> BroughtHistory | None:
        """Return the history of a viewer's current visit and prolong the visit; return None if there is no visit."""
        with self._in_use:
            used, history = self._histories.pop(user_id, (0.0, None))
            if history is None or time.monotonic() - used > VISIT_SECONDS:
                return None
            self._histories[user_id] = (time.monotonic(), history)
            return history
