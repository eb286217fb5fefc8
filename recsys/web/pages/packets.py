"""Limits what clients can cause with packets on the WebSockets of the pages.

A malformed packet is logged in one line instead of a traceback, and a socket whose client does not read is closed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from traceback import walk_tb
from typing import Any

from nicegui import core
from socketio.exceptions import ConnectionRefusedError as RefusedError

WAITING_PACKETS = 200  # unread packets of a socket; an open page has a few
EVENTS = ("connect", "handshake", "event", "javascript_response", "ack", "log")

log = logging.getLogger(__name__)


def report_malformed_packets() -> None:
    """Log each malformed packet in one line, without a traceback; call this only once in a process."""
    for event in EVENTS:
        core.sio.on(event, handler=_reported(event, core.sio.handlers["/"][event]))
    for logger in ("engineio.server", "uvicorn.error"):
        logging.getLogger(logger).addFilter(_in_one_line)


def bound_waiting_packets() -> None:
    """Close a WebSocket if too many packets wait for its client to read them; call this only once in a process."""
    server = core.sio.eio
    send = server.send_packet

    async def send_packet(sid: str, packet: Any) -> None:
        socket = server.sockets.get(sid)
        if socket is None or socket.queue.qsize() < WAITING_PACKETS:
            await send(sid, packet)
            return
        log.warning("A socket was closed, because %s packets waited to be read", WAITING_PACKETS)
        await socket.close(wait=False, abort=True)
        server.sockets.pop(sid, None)

    server.send_packet = send_packet


def _reported(event: str, handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Wrap a handler of NiceGUI so that errors caused by a packet are logged in one line.

    The handler itself catches errors of the pages, so any error that it raises is caused by the packet.
    """

    async def handle(*arguments: Any) -> Any:
        try:
            answer = handler(*arguments)
            return await answer if isawaitable(answer) else answer
        except RefusedError:
            raise
        except Exception as error:
            log.warning("A socket packet of the kind %s is malformed (%s: %.80s)", event, type(error).__name__, error)
            return False  # refuses a connection

    return handle


def _in_one_line(record: logging.LogRecord) -> bool:
    """Shorten a log record with the traceback of a packet that could not be decoded, and return True.

    The function is a filter that passes every record; see `logging.Filter`. Either the text of a WebSocket message or
    the packet in this text may be undecodable.
    """
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and (
        record.name.startswith("engineio")
        or _is_raised_by("engineio", error)
        or (isinstance(error, UnicodeDecodeError) and _is_raised_by("uvicorn", error))
    ):
        record.msg = f"A socket packet cannot be decoded ({type(error).__name__}: {str(error)[:80]!r})"
        record.args, record.exc_info = (), None
    return True


def _is_raised_by(package: str, error: BaseException) -> bool:
    """Return whether an error was raised in the code of a package, and not in other code that the package calls."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].partition(".")[0] == package
