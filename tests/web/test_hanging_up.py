"""Clients that hang up while a page is built for them leave nothing in the log."""

import asyncio
import logging

import pytest
from nicegui import Client, core, ui
from starlette.requests import Request

from recsys.web.pages.components import Tag
from recsys.web.pages.hanging_up import connected, forget_clients_that_hang_up


@pytest.fixture
def page(monkeypatch):
    """Run a function with a page's client, in the loop that NiceGUI works in, with its log filtered."""
    logger = logging.getLogger("nicegui")
    before = [*logger.filters]
    forget_clients_that_hang_up()

    def page(build) -> None:
        async def run() -> None:
            monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
            with Client(
                ui.page(""), request=Request({"type": "http", "path": "/", "query_string": b"", "headers": []})
            ) as client:
                await build(client)

        asyncio.run(run())

    yield page
    logger.filters[:] = before


def test_a_page_is_built_no_further_when_its_client_has_hung_up(page, caplog):
    reached = []

    async def build(client: Client) -> None:
        async def rest_of_the_page() -> None:
            with client:
                await connected()
                reached.append(client)

        task = asyncio.create_task(rest_of_the_page())
        await asyncio.sleep(0)
        client.delete()
        with pytest.raises(asyncio.CancelledError):
            await task

    page(build)
    assert (reached, caplog.records) == ([], [])


def test_a_page_that_is_deleted_while_a_list_is_computed_is_not_an_error(page, caplog):
    async def build(client: Client) -> None:
        client.delete()
        Tag("p", "computed too late")

    page(build)
    assert caplog.records == []


def test_other_errors_of_pages_are_logged(page, caplog):
    async def build(client: Client) -> None:
        for error in (RuntimeError("The client this element belongs to has been deleted."), RuntimeError("other")):
            core.app.handle_exception(error)
        client.delete()

    page(build)
    assert [record.getMessage() for record in caplog.records] == ["other"]
