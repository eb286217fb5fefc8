"""Connections of a server over loopback: what a client sends halfway, endlessly or in too many connections ends."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import uvicorn

from recsys.web import connections
from recsys.web.connections import CONNECTIONS, HEADER_BYTES, AnswerDeadline, LimitedConnection, LimitedWebSocket

SECONDS = 60  # that a busy machine may take for an answer
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n"


UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def answer_with_client(scope, receive, send):
    """An application that answers with the address of its client, once the body has arrived; /long is 64 MB long.

    To a WebSocket it sends messages until it is closed.
    """
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "bytes": bytes(2**20)})
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/long":
        await send({"type": "http.response.body", "body": bytes(2**26), "more_body": True})
    await send({"type": "http.response.body", "body": scope["client"][0].encode()})


@contextlib.asynccontextmanager
async def serving(**settings) -> AsyncIterator[Callable]:
    """Serve the application; gives a function that opens a connection, sends bytes and returns reader and writer."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        answer_with_client,
        http=partial(LimitedConnection, proxies=settings.get("forwarded_allow_ips", ())),
        ws=LimitedWebSocket,
        h11_max_incomplete_event_size=HEADER_BYTES,
        lifespan="off",
        log_config=None,
        proxy_headers=bool(settings),
        **settings,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    running = asyncio.create_task(server._serve([listening]))
    opened: list[asyncio.StreamWriter] = []

    async def connect(sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        opened.append(writer)
        writer.write(sent)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in opened:
            writer.close()
        server.should_exit = True
        await running


async def read(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes the connection; empty if it resets the connection."""
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), SECONDS)
    return b""


def test_a_request_that_does_not_arrive_in_time_ends(monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.05)

    async def attack() -> None:
        async with serving() as connect:
            body = REQUEST + b"content-length: 10\r\n\r\n12345"
            for sent in (b"", b"GET", REQUEST, REQUEST + b"x: 1\r\n", body):
                reader, _ = await connect(sent)
                assert await read(reader) == b"", sent

    asyncio.run(attack())


def test_a_request_in_time_is_answered_and_its_connection_can_be_used_again():
    async def use() -> None:
        async with serving() as connect:
            reader, writer = await connect(REQUEST + b"\r\n")
            await asyncio.wait_for(reader.readuntil(b"127.0.0.1"), SECONDS)
            writer.write(REQUEST + b"connection: close\r\n\r\n")
            assert b"200 OK" in await read(reader)

    asyncio.run(use())


@pytest.mark.parametrize("sent", [b"GET /long HTTP/1.1\r\nhost: localhost\r\n\r\n", UPGRADE])
def test_an_answer_that_is_not_read_in_time_ends(monkeypatch, sent: bytes):
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.05)
    closed = asyncio.Event()
    lost = AnswerDeadline.connection_lost

    def connection_lost(self, error) -> None:
        lost(self, error)
        closed.set()

    monkeypatch.setattr(AnswerDeadline, "connection_lost", connection_lost)

    async def attack() -> None:
        async with serving() as connect:
            reader, _ = await connect(sent)
            reader._transport.pause_reading()
            await asyncio.wait_for(closed.wait(), SECONDS)

    asyncio.run(attack())


@pytest.mark.parametrize("part", [b"x: " + b"y" * 1000 + b"\r\n", b"y" * 1000])
def test_endless_headers_end(part: bytes):
    async def attack() -> None:
        async with serving() as connect:
            reader, writer = await connect(REQUEST)
            sent = 0
            with contextlib.suppress(ConnectionError):
                while not writer.is_closing() and sent < 1000 * HEADER_BYTES:
                    writer.write(part)
                    sent += len(part)
                    await writer.drain()
            assert b" 200 " not in await read(reader)
            assert sent < 1000 * HEADER_BYTES

    asyncio.run(attack())


@pytest.mark.parametrize(
    "sent",
    ["GET /api/films/七人の侍 HTTP/1.1\r\nhost: localhost\r\n\r\n".encode(), REQUEST + b"content-length: x\r\n\r\n"],
)
def test_a_request_that_is_not_http_is_refused_as_json(sent: bytes):
    async def ask() -> None:
        async with serving() as connect:
            reader, _ = await connect(sent)
            head, _, body = (await read(reader)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert b"application/json" in head
            assert json.loads(body)["error"]["status"] == 400

    asyncio.run(ask())


def test_one_address_has_a_share_of_the_connections_only():
    async def attack() -> None:
        async with serving() as connect:
            for _ in range(CONNECTIONS):
                await connect(b"GET")
            reader, _ = await connect(REQUEST + b"\r\n")
            head, _, body = (await read(reader)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert json.loads(body)["error"]["status"] == 503

    asyncio.run(attack())


@pytest.mark.parametrize(
    ("proxies", "client"), [((), b"127.0.0.1"), (["127.0.0.1"], b"10.9.8.7"), (["10.0.0.1"], b"127.0.0.1")]
)
def test_only_a_proxy_names_another_client(proxies, client):
    async def claim() -> None:
        settings = {"forwarded_allow_ips": proxies} if proxies else {}
        async with serving(**settings) as connect:
            reader, _ = await connect(REQUEST + b"x-forwarded-for: 10.9.8.7\r\nconnection: close\r\n\r\n")
            assert client in await read(reader)

    asyncio.run(claim())
