"""Packets of sockets: one that NiceGUI cannot read is one line of the log, and those that wait are few."""

import asyncio
import logging
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from engineio.async_socket import AsyncSocket
from nicegui import core

from recsys.web.connections import LimitedWebSocket
from recsys.web.pages.packets import (
    EVENTS,
    WAITING_PACKETS,
    _in_one_line,
    _reported,
    bound_waiting_packets,
    report_malformed_packets,
)


@pytest.fixture
def handlers(monkeypatch):
    """NiceGUI's handlers, wrapped; the original ones come back after the test."""
    original = dict(core.sio.handlers["/"])
    filters = {name: [*logging.getLogger(name).filters] for name in ("engineio.server", "uvicorn.error")}
    report_malformed_packets()
    yield core.sio.handlers["/"]
    core.sio.handlers["/"].update(original)
    for name, before in filters.items():
        logging.getLogger(name).filters[:] = before


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("packet", [(), (1,), ({},), ({"client_id": []},), (None, None, None)])
def test_a_malformed_packet_is_logged_in_one_line(handlers, caplog, event: str, packet: tuple):
    if event == "connect":
        packet = ({"QUERY_STRING": "implicit_handshake=true"},)
    assert asyncio.run(handlers[event]("sid", *packet)) in (False, None)
    assert [record.exc_info for record in caplog.records] == [None]
    assert f"of the kind {event} is malformed" in caplog.text


def test_a_socket_whose_packets_are_not_read_is_closed(monkeypatch):
    server = core.sio.eio
    monkeypatch.setattr(server, "send_packet", server.send_packet)  # restores it after the test
    bound_waiting_packets()

    async def send() -> None:
        sockets = {name: AsyncSocket(server, name) for name in ("reads", "waits")}
        monkeypatch.setattr(server, "sockets", dict(sockets))
        for _ in range(WAITING_PACKETS + 1):
            await server.send("waits", "update")
            await server.send("reads", "update")
            await sockets["reads"].poll()
        assert sockets["waits"].closed
        assert sockets["waits"].queue.qsize() == WAITING_PACKETS
        assert [*server.sockets] == ["reads"]

    asyncio.run(send())


def test_what_a_handler_answers_is_passed_on():
    async def later(sid: str) -> str:
        return sid

    assert asyncio.run(_reported("event", later)("a")) == "a"
    assert asyncio.run(_reported("event", lambda sid: sid)("a")) == "a"


@pytest.mark.usefixtures("handlers")
def test_a_message_that_is_not_text_is_logged_in_one_line(caplog):
    received = {"frames": [b"\xff"], "curr_msg_data_type": "text", "close_sent": False, "queue": asyncio.Queue()}
    socket = SimpleNamespace(
        **received, conn=MagicMock(), logger=logging.getLogger("uvicorn.error"), handle_parser_exception=MagicMock()
    )
    LimitedWebSocket.send_receive_event_to_app(socket)
    assert [record.exc_info for record in caplog.records] == [None]
    assert "cannot be decoded (UnicodeDecodeError: " in caplog.text


@pytest.mark.parametrize(("logger", "is_short"), [("engineio.server", True), ("uvicorn.error", False)])
def test_undecodable_packets_are_logged_in_one_line_and_other_errors_with_their_traceback(logger: str, is_short: bool):
    try:
        int("x")
    except ValueError as error:
        raised = (ValueError, error, error.__traceback__)
    record = logging.LogRecord(logger, logging.ERROR, __file__, 1, "message handler error", (), raised)
    assert _in_one_line(record)
    assert (record.exc_info is None) == is_short
