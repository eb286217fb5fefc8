"""Hands over browsers' connections between the worker processes of a server.

A page exists only in the worker that built it, and a history that a viewer uploaded for a visit exists only in the
worker that received it. Each worker therefore sets a cookie with its own name. A worker that accepts a new connection
may find the cookie of another worker in the first request. It then passes the connection on to that worker: it sends
the file descriptor and the bytes read so far over a Unix socket.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from secrets import token_hex

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "recsys_worker"
OWNER = re.compile(rb"^cookie:.*\b" + COOKIE.encode() + rb"=([0-9a-f]{16})\b", re.IGNORECASE | re.MULTILINE)


class Handover:
    """Passes connections on to other workers, and receives those that other workers pass on; needs Linux.

    Args:
        directory: existing directory in which every worker of the server creates a socket. No other user of the system
            may be able to enter it.

    Attributes:
        name: name of this worker, 16 random hexadecimal digits; also the value of its cookie, see `WorkerCookie`.
    """

    def __init__(self, directory: Path) -> None:
        self.name = token_hex(8)
        self._directory = directory
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._inbox.setblocking(False)
        self._inbox.bind(str(directory / self.name))
        self._accepting: set[asyncio.Task[object]] = set()

    def pass_on(self, connection: socket.socket, received: bytes) -> bool:
        """Pass a connection on to the worker that is named by the cookie in its first request.

        Args:
            connection: the connection. If it was passed on, the caller must close its own copy of the socket.
            received: all bytes read from the connection so far, including the whole head of the first request.

        Returns:
            True if the connection was passed on; False if the request names no other worker, or if the named worker
            has ended or is too busy.
        """
        owner = OWNER.search(received.partition(b"\r\n\r\n")[0])
        if owner is None or owner[1].decode() == self.name:
            return False
        address = str(self._directory / owner[1].decode())
        read = os.memfd_create("received")  # which, unlike a message, can be of any size
        try:
            os.write(read, received)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outbox:
                outbox.setblocking(False)
                outbox.connect(address)
                socket.send_fds(outbox, [b"\0"], [connection.fileno(), read])
        except OSError:
            return False
        finally:
            os.close(read)
        return True

    def receive(self, protocol: Callable[..., asyncio.Protocol]) -> None:
        """Start to serve the connections that other workers pass on; call this in the running event loop.

        Args:
            protocol: function that creates the protocol object of a connection. Its argument `received` is the bytes
                that the other worker has read from the connection.
        """
        asyncio.get_running_loop().add_reader(self._inbox, self._accept, protocol)

    def _accept(self, protocol: Callable[..., asyncio.Protocol]) -> None:
        _, (connection, read), _, _ = socket.recv_fds(self._inbox, 1, 2)
        with os.fdopen(read, "rb") as file:
            file.seek(0)
            received = file.read()
        loop = asyncio.get_running_loop()
        accepting = loop.create_task(
            loop.connect_accepted_socket(partial(protocol, received=received), socket.socket(fileno=connection))
        )
        self._accepting.add(accepting)  # the loop has only a weak reference
        accepting.add_done_callback(self._accepting.discard)


class WorkerCookie:
    """ASGI middleware that adds a cookie with the name of the worker to HTML pages, unless the browser already has it.

    Args:
        app: the application.
        name: name of the worker.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request as an ASGI application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_known = cookie_parser(Headers(scope=scope).get("cookie", "")).get(COOKIE) == self.name

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_known:
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.append("set-cookie", f"{COOKIE}={self.name}; Path=/; HttpOnly; SameSite=Lax")
            await send(message)

        await self.app(scope, receive, send_with_cookie)
