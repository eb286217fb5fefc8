"""Clean exits of a process: on Ctrl-C, on SIGTERM (which schedulers and containers send), and on a closed pipe."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 128 + signal.SIGINT  # exit statuses, as shells report them
TERMINATED = 128 + signal.SIGTERM
UNREAD = 128 + signal.SIGPIPE
STDOUT = 1  # its file descriptor


def exit_on_interrupt_of_imports() -> None:
    """On Ctrl-C, print "Interrupted." and exit with status `INTERRUPTED`, until `exit_on_interrupt` takes over.

    This is for Ctrl-C while modules are imported. A KeyboardInterrupt would then end in a traceback, or be lost in a
    module that turns it into an ImportError. SIGTERM needs no handler: by default, it ends a program without a message.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background may ignore it
        signal.signal(signal.SIGINT, _exit_at_once)


def _exit_at_once(number: int, frame: object) -> None:
    os.write(2, b"\nInterrupted.\n")
    os._exit(INTERRUPTED)


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Exit with status `TERMINATED` on a SIGTERM inside the `with` block.

    Lightning's own handler, which shuts a fit down gracefully, afterwards calls the handler that is set here.
    """

    def leave(number: int, frame: object) -> None:
        raise SystemExit(TERMINATED)

    earlier = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """On Ctrl-C inside the `with` block, print "Interrupted." and exit with status `INTERRUPTED`."""
    if signal.getsignal(signal.SIGINT) is _exit_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


@contextmanager
def exit_on_closed_pipe() -> Iterator[None]:
    """Exit with status `UNREAD`, without a message, if the program that reads stdout (such as `head`) has ended."""
    try:
        try:
            yield
        finally:
            print(end="", flush=True)  # otherwise Python reports the error when it flushes stdout at the end
    except BrokenPipeError:
        if not _is_unread():
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDOUT)  # which Python flushes once more
        raise SystemExit(UNREAD) from None


def _is_unread() -> bool:
    """Return whether stdout is a pipe or socket that no program reads any more.

    This tells whether a BrokenPipeError concerns stdout or another connection.
    """
    poll = select.poll()
    poll.register(STDOUT, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
