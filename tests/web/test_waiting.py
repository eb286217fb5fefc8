"""Pages that no browser shows are few for each address, whether a browser is still to come or gone."""

import asyncio

import pytest
from nicegui import Client, core, ui
from starlette.requests import Request

from recsys.web.pages.waiting import WAITING_PAGES, delete_pages_beyond_the_share


@pytest.fixture
def open_page(monkeypatch):
    """Open a page for an address; the pages of other tests are not counted."""
    monkeypatch.setattr(Client, "instances", {})

    def open_page(address: str) -> Client:
        monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
        scope = {"type": "http", "path": "/", "query_string": b"", "headers": [], "client": (address, 1)}
        return Client(ui.page(""), request=Request(scope))

    return open_page


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["2001:db8::1", "2001:db8::2"]])
def test_the_oldest_pages_of_an_address_are_deleted(addresses, open_page):
    async def attack() -> None:
        shown = open_page(addresses[0])
        shown.tab_id = "tab"  # of a browser
        of_another = open_page("10.0.0.9")
        waiting = [open_page(addresses[place % len(addresses)]) for place in range(WAITING_PAGES + 3)]
        delete_pages_beyond_the_share()
        assert [client.is_deleted for client in waiting] == [True] * 3 + [False] * WAITING_PAGES
        assert not shown.is_deleted
        assert not of_another.is_deleted

    asyncio.run(attack())


def test_pages_whose_browser_is_gone_count_too(open_page):
    async def attack() -> None:
        gone = open_page("10.0.0.1")
        await gone.handle_handshake("socket", "tab", None, "document", None)
        gone.handle_disconnect("socket")
        (deletion,) = gone._delete_tasks.values()
        for _ in range(WAITING_PAGES):
            open_page("10.0.0.1")
        delete_pages_beyond_the_share()
        await asyncio.wait([deletion])
        assert gone.is_deleted
        assert deletion.cancelled()

    asyncio.run(attack())
