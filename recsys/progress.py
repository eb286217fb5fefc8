"""Progress of long work: a bar in a terminal, otherwise lines in the log of a run or on stderr."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

LINE_SECONDS = 30.0
LINE = "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} left{postfix}"
UP = "\x1b[A"  # moves the cursor up, from a bar that another one stands above

log = logging.getLogger(__name__)

_is_shown = ContextVar("is_shown", default=True)


@contextmanager
def progress_shown(is_shown: bool) -> Iterator[None]:
    """Show or hide the progress of work and notes on data in the `with` statement; the library hides progress."""
    token = _is_shown.set(is_shown)
    try:
        yield
    finally:
        _is_shown.reset(token)


def is_progress_shown() -> bool:
    """Return whether progress and notes are shown in this context; the default is True."""
    return _is_shown.get()


def progress_options() -> dict[str, Any]:
    """Return options for a `tqdm` bar; without a terminal, it then writes a line every `LINE_SECONDS`."""
    if not is_progress_shown():
        return {"disable": True}
    if sys.stderr.isatty():
        return {"dynamic_ncols": True}
    every = dict.fromkeys(("mininterval", "maxinterval", "delay"), LINE_SECONDS)
    return {"file": _Lines(), "bar_format": LINE, **every}


class _Lines:
    """A file that logs the lines of a progress bar, or prints them on stderr if logging of information is off."""

    def write(self, text: str) -> None:
        """Write a line, without the characters that move the cursor."""
        line = text.replace(UP, "").strip()
        if line and log.isEnabledFor(logging.INFO):
            log.info("%s", line)
        elif line:
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Do nothing, since every line is written immediately."""


@contextmanager
def repeated(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call a function every few seconds, in a thread, during the body of a `with` statement."""
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
