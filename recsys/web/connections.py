"""HTTP connections whose use of memory and time is limited, whatever their clients send.

uvicorn does not limit the time in which a request must arrive, the time in which a client must read the response, or
the number of connections from one address. A client that sends incomplete requests, or never reads responses, could
hold connections open until the server has none left.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from recsys.web.errors import error_response
from recsys.web.handover import Handover

HEADER_BYTES = 32 * 1024  # of a request line with its headers, and of the framing of a chunked body
REQUEST_SECONDS = 20.0  # from the start of a connection or the first byte of a request to its last byte
CONNECTIONS = 100  # open connections from one client address; a browser needs about seven
ANSWER_SECONDS = 20.0  # for a client to read a response, beyond the megabytes that the operating system buffers
HEAD_END = re.compile(rb"\n\r?\n")


class AnswerDeadline(asyncio.Protocol):
    """Mixin for uvicorn's protocols: closes a connection whose client takes too long to read what the server sends."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _answer_deadline: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Start the time limit for the client to read what the server has sent; see `asyncio.Protocol`."""
        super().pause_writing()
        self._answer_deadline = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the time limit, since the client has read what the server has sent; see `asyncio.Protocol`."""
        self._end_answer_deadline()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the time limit for the client to read, since the connection is closed; see `asyncio.Protocol`."""
        self._end_answer_deadline()
        super().connection_lost(exc)

    def _end_answer_deadline(self) -> None:
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None


class LimitedWebSocket(AnswerDeadline, WebSocketsSansIOProtocol):
    """A WebSocket that is closed if its client takes too long to read messages."""


class LimitedConnection(AnswerDeadline, H11Protocol):
    """An HTTP/1.1 connection with time limits: for a request to arrive, and for the client to read the response.

    Args:
        *arguments: see `H11Protocol`.
        proxies: IP addresses of proxies; the number of connections from these addresses is not limited.
        handover: passes the connection on to another worker if a cookie in its first request names that
            worker; None for a server of a single process.
        received: bytes that another worker has read from the connection before passing it on.
        **settings: see `H11Protocol`.
    """

    def __init__(
        self,
        *arguments: Any,
        proxies: Collection[str] = (),
        handover: Handover | None = None,
        received: bytes = b"",
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.proxies = proxies
        self._handover = handover  # until the first request is known
        self._received = received
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse the connection if its client address already has `CONNECTIONS` open ones; see `asyncio.Protocol`."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that writing pauses as soon as a client stops reading
        address = self.client and self.client[0]
        clients = [getattr(other, "client", None) for other in self.connections]
        own = [client for client in clients if client and client[0] == address]
        if len(own) > CONNECTIONS and address not in self.proxies:
            self._refuse(503, f"An address may have {CONNECTIONS} connections at a time: close some.")
            return
        self._expect_request()
        if self._received:
            received, self._received = self._received, b""
            self.data_received(received)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; the whole request must arrive in `REQUEST_SECONDS`; see `asyncio.Protocol`."""
        self._expect_request()
        if self._handover is not None:
            self._received += data
            if len(self._received) <= HEADER_BYTES and not HEAD_END.search(self._received):
                return
            if self._handover.pass_on(self.transport.get_extra_info("socket"), self._received):
                self.transport.abort()  # closes this process's descriptor only
                return
            data, self._handover = self._received, None
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._end_deadline()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Switch the connection to the WebSocket protocol, which has its own time limit for the handshake."""
        self._end_deadline()
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the time limit for a request to arrive, since the connection is closed; see `asyncio.Protocol`."""
        self._end_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Send an error response in the API's format, since the client has sent no valid request; see `H11Protocol`."""
        self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        """Send an error response in the API's format, and close the connection."""
        refusal = error_response(status, message)
        start = h11.Response(status_code=status, headers=[*refusal.raw_headers, (b"connection", b"close")])
        for event in (start, h11.Data(data=bytes(refusal.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
