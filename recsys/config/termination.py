"""Conversion of SIGTERM, which schedulers and containers send to end a process, to an exception."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

TERMINATED = 128 + signal.SIGTERM  # the exit status, as shells report it


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Exit with `TERMINATED` at SIGTERM; Lightning calls this handler after its own, and shuts down gracefully."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(TERMINATED)

    earlier = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
