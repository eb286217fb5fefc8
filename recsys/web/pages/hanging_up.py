"""Clients that disconnect while a page is built for them: the construction stops, and no error is logged."""

from __future__ import annotations

import logging
from asyncio import CancelledError

from nicegui import ui

GONE = ("Client has been deleted", "The client this element belongs to has been deleted")  # messages of NiceGUI


async def connected() -> None:
    """Wait until the browser has connected, and cancel the construction of the page if it never does.

    Raises:
        CancelledError: the client has not connected for a minute, and NiceGUI has deleted the page.
    """
    client = ui.context.client
    await client.connected()
    if client.is_deleted:
        raise CancelledError


def forget_clients_that_hang_up() -> None:
    """Filter NiceGUI's log records about pages deleted while a list was computed; call it once in a process."""
    logging.getLogger("nicegui").addFilter(_is_of_an_open_page)


def _is_of_an_open_page(record: logging.LogRecord) -> bool:
    """Return whether a record is about anything but a deleted page; see `logging.Filter`."""
    return not record.getMessage().startswith(GONE)
