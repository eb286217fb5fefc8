"""Handles browsers that disconnect while a page is built for them: construction stops, and no error is logged."""

from __future__ import annotations

import logging
from asyncio import CancelledError

from nicegui import ui

GONE = ("Client has been deleted", "The client this element belongs to has been deleted")  # messages of NiceGUI


async def connected() -> None:
    """Wait until the browser has connected to the page, and stop the construction of the page if it never does.

    Raises:
        CancelledError: the browser has not connected for a minute, and NiceGUI has deleted the page.
    """
    client = ui.context.client
    await client.connected()
    if client.is_deleted:
        raise CancelledError


def forget_clients_that_hang_up() -> None:
    """Drop NiceGUI's log records about pages that were deleted while a list was computed for them.

    Call this only once in a process.
    """
    logging.getLogger("nicegui").addFilter(_is_of_an_open_page)


def _is_of_an_open_page(record: logging.LogRecord) -> bool:
    """Return False for a log record about a deleted page, which drops the record, else True; see `logging.Filter`."""
    return not record.getMessage().startswith(GONE)
