"""Packets of sockets that NiceGUI cannot read: each is one line of the log."""

import asyncio
import logging

import pytest
from nicegui import core

from recsys.web.pages.packets import EVENTS, _in_one_line, _reported, report_malformed_packets


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
def test_a_malformed_packet_is_one_line(handlers, caplog, event: str, packet: tuple):
    if event == "connect":
        packet = ({"QUERY_STRING": "implicit_handshake=true"},)
    assert asyncio.run(handlers[event]("sid", *packet)) in (False, None)
    assert [record.exc_info for record in caplog.records] == [None]
    assert f"of the kind {event} is malformed" in caplog.text


def test_what_a_handler_answers_is_passed_on():
    async def later(sid: str) -> str:
        return sid

    assert asyncio.run(_reported("event", later)("a")) == "a"
    assert asyncio.run(_reported("event", lambda sid: sid)("a")) == "a"


@pytest.mark.parametrize(("logger", "is_short"), [("engineio.server", True), ("uvicorn.error", False)])
def test_a_packet_that_cannot_be_decoded_is_one_line_and_other_errors_keep_their_traceback(logger: str, is_short: bool):
    try:
        int("x")
    except ValueError as error:
        raised = (ValueError, error, error.__traceback__)
    record = logging.LogRecord(logger, logging.ERROR, __file__, 1, "message handler error", (), raised)
    assert _in_one_line(record)
    assert (record.exc_info is None) == is_short
