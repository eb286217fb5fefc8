"""The switch that shows or hides the progress of long work, and repeated calls during such work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_shown = ContextVar("is_shown", default=True)


@contextmanager
def progress_shown(is_shown: bool) -> Iterator[None]:
    """Show or hide the progress of work, and notes on data, inside the `with` block."""
    token = _is_shown.set(is_shown)
    try:
        yield
    finally:
        _is_shown.reset(token)


def is_progress_shown() -> bool:
    """Return whether progress and notes are shown in this context; the default is True."""
    return _is_shown.get()


@contextmanager
def repeated(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call a function repeatedly, in a thread, during the body of a `with` statement.

    Args:
        action: function to call; the calls end if it raises an exception.
        seconds: time before the first call, and from the end of each call to the next, in seconds.
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
