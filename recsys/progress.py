"""A switch that shows or hides progress, and repeated calls of a function during long work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_shown = ContextVar("is_shown", default=True)


@contextmanager
def progress_shown(is_shown: bool) -> Iterator[None]:
    """Show or hide progress, and notes on the data, for all work inside the `with` block."""
    token = _is_shown.set(is_shown)
    try:
        yield
    finally:
        _is_shown.reset(token)


def is_progress_shown() -> bool:
    """Return whether progress and notes are shown; True unless `progress_shown` has hidden them."""
    return _is_shown.get()


@contextmanager
def repeated(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call a function repeatedly, in another thread, while the `with` block runs.

    Args:
        action: function to call; if it raises an exception, it is not called again.
        seconds: seconds before the first call, and between the end of a call and the next call.
    """
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
