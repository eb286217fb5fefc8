"""Histories that viewers upload for one visit; they are in memory only, and are lost when the server stops."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

VISIT_SECONDS = 12 * 3600  # without use, after which a visit ends
MAX_VISITS = 500  # when there are more, the least recently used one ends


@dataclass(frozen=True)
class BroughtHistory:
    """A history that a viewer uses for a visit.

    Attributes:
        source: name of the file, and of its formats.
        ratings: stars by film id, the oldest rating first; films without a rating have about the mean rating.
    """

    source: str
    ratings: Mapping[str, float]


class Visits:
    """The histories of visits by viewer; safe to use from many threads."""

    def __init__(self) -> None:
        self._histories: dict[str, tuple[float, BroughtHistory]] = {}  # the least recently used first
        self._in_use = Lock()

    def begin(self, user_id: str, history: BroughtHistory) -> None:
        """Use a history for a viewer, in place of an earlier one."""
        with self._in_use:
            self._histories.pop(user_id, None)
            self._histories[user_id] = (time.monotonic(), history)
            if len(self._histories) > MAX_VISITS:
                del self._histories[next(iter(self._histories))]

    def end(self, user_id: str) -> None:
        """Forget the history of a viewer."""
        with self._in_use:
            self._histories.pop(user_id, None)

    def history(self, user_id: str) -> BroughtHistory | None:
        """Return the history of a viewer's visit, or None if there is no visit or it has ended; counts as a use."""
        with self._in_use:
            used, history = self._histories.pop(user_id, (0.0, None))
            if history is None or time.monotonic() - used > VISIT_SECONDS:
                return None
            self._histories[user_id] = (time.monotonic(), history)
            return history
