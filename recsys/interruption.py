"""How a process ends at Ctrl-C, and at SIGTERM, which schedulers and containers send to end it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 128 + signal.SIGINT  # exit statuses, as shells report them
TERMINATED = 128 + signal.SIGTERM


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


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Exit with `INTERRUPTED` and one word at Ctrl-C, where nothing further is to be said."""
    try:
        yield
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
