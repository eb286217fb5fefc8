"""How a process ends at Ctrl-C, and at SIGTERM, which schedulers and containers send to end it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 128 + signal.SIGINT  # exit statuses, as shells report them
TERMINATED = 128 + signal.SIGTERM


def exit_on_interrupt_of_imports() -> None:
    """Exit with `INTERRUPTED` and one word at Ctrl-C, from a program's first line until `exit_on_interrupt`.

    An exception would end in a traceback, or get lost where a module turns it into an ImportError. SIGTERM needs no
    handler: by default, it ends a program without a word.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background may ignore it
        signal.signal(signal.SIGINT, _exit_at_once)


def _exit_at_once(number: int, frame: object) -> None:
    os.write(2, b"\nInterrupted.\n")
    os._exit(INTERRUPTED)


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
    """Exit at Ctrl-C with `INTERRUPTED` and one word, for programs that have no advice to print."""
    if signal.getsignal(signal.SIGINT) is _exit_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
