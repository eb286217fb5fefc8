"""HTTP connections that hold little memory and end in time, whatever their clients send.

uvicorn limits neither the time that a request may take to arrive, nor that which a client may take to read the answer,
nor the connections of one address. So a client that sends requests halfway and then waits, or reads no answers, would
keep connections open until the server has no more of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from recsys.web.errors import error_response

HEADER_BYTES = 32 * 1024  # of a request before its body, and of what delimits the parts of a body
REQUEST_SECONDS = 20.0  # from the first byte of a request, or from the beginning of a connection, to the last byte
CONNECTIONS = 100  # open ones of a client address; a browser needs about seven
ANSWER_SECONDS = 20.0  # for a client to take what is written to it, of which the system holds some megabytes itself
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class AnswerDeadline(asyncio.Protocol):
    """A protocol of uvicorn, which closes a connection if its client does not take what is written to it."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _answer_deadline: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Wait for the client to take what was written, for a while; see `asyncio.Protocol`."""
        super().pause_writing()
        self._answer_deadline = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._end_answer_deadline()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._end_answer_deadline()
        super().connection_lost(exc)

    def _end_answer_deadline(self) -> None:
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None


class LimitedWebSocket(AnswerDeadline, WebSocketsSansIOProtocol):
    """A WebSocket that is closed if its messages take too long to be taken."""


class LimitedConnection(AnswerDeadline, H11Protocol):
    """A connection of HTTP/1.1 that is closed if a request takes too long to arrive, or an answer to be taken.

    Args:
        *arguments: see `H11Protocol`.
        proxies: addresses of proxies, from which any number of connections is accepted.
        **settings: see `H11Protocol`.
    """

    def __init__(self, *arguments: Any, proxies: Collection[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.proxies = proxies
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection beyond the limit of its address; see `asyncio.Protocol`."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that writing pauses as soon as a client does not take what it gets
        address = self.client and self.client[0]
        clients = [getattr(other, "client", None) for other in self.connections]
        own = [client for client in clients if client and client[0] == address]
        if len(own) > CONNECTIONS and address not in self.proxies:
            transport.write(REFUSED)
            transport.close()
            return
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request, which must be complete by the deadline; see `asyncio.Protocol`."""
        self._expect_request()
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._end_deadline()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Pass the connection on to the WebSocket protocol, which has a deadline of its own for the handshake."""
        self._end_deadline()
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._end_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP request, in the form of every error; see `H11Protocol`."""
        refusal = error_response(400, msg)
        start = h11.Response(status_code=400, headers=[*refusal.raw_headers, (b"connection", b"close")])
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
