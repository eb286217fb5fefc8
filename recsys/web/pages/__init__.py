"""The page: what viewers and researchers see of the platform, in NiceGUI on the API's FastAPI application."""

from __future__ import annotations

import warnings
from asyncio import to_thread
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from nicegui import Client, app, ui

from recsys.errors import UserError
from recsys.web.pages.compare import compare
from recsys.web.pages.discover import discover
from recsys.web.pages.elements import Tag, address, notice
from recsys.web.pages.film import film_page
from recsys.web.pages.frame import frame
from recsys.web.pages.people import choose_user, user_page
from recsys.web.pages.runs import runs_page
from recsys.web.pages.visit import Site
from recsys.web.service import Service

PATIENCE = 120  # seconds that a page may take where a run has to be loaded for it
STYLE = Path(__file__).with_name("style.css")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="#b45309"/>'
    '<path d="M12 5l2.1 4.5 4.9.6-3.6 3.4 1 4.9L12 15.9l-4.4 2.5 1-4.9L5 10.1l4.9-.6z" fill="#fff"/></svg>'
)


def add_pages(api: FastAPI, service: Service, tensorboard: str | None = None) -> None:
    """Put the pages on an application, at every address that it has not taken itself; once in a process.

    Args:
        api: the application, with all its routes.
        service: of the runs, and the store.
        tensorboard: its address, where there is one.
    """
    # As it starts, NiceGUI looks at every object that there is, and this one of torch complains about it.
    warnings.filterwarnings("ignore", "`torch.distributed.reduce_op` is deprecated", FutureWarning)
    site = Site(service, tensorboard)

    @ui.page("/", response_timeout=PATIENCE)
    async def _(run: str | None = None) -> None:
        with _or_not_found():
            await discover(site, await to_thread(service.served, run), run)

    @ui.page("/user", response_timeout=PATIENCE)
    async def _(id: str | None = None, run: str | None = None) -> Response | None:
        if id is not None:
            return RedirectResponse(address("user", id.strip(), run=run))
        with _or_not_found():
            await choose_user(await to_thread(service.served, run), run)
        return None

    @ui.page("/user/{user_id:path}", response_timeout=PATIENCE)
    async def _(user_id: str, run: str | None = None) -> None:
        with _or_not_found():
            await user_page(site, await to_thread(service.served, run), user_id, run)

    @ui.page("/film/{movie_id:path}", response_timeout=PATIENCE)
    async def _(movie_id: str, run: str | None = None, user: str | None = None, shown: str = "", at: str = "") -> None:
        clicked = (shown, int(at)) if shown and at.isdecimal() else None
        with _or_not_found():
            await film_page(site, await to_thread(service.served, run), movie_id, run, user, clicked)

    @ui.page("/compare", response_timeout=PATIENCE)
    async def _(a: str | None = None, b: str | None = None, user: str = "") -> None:
        names = service.names()
        with _or_not_found():
            runs = (a or names[0], b or names[-1])
            for run in runs:
                await to_thread(service.served, run)
            await compare(site, runs, user)

    @ui.page("/runs", response_timeout=PATIENCE)
    async def _() -> None:
        with _or_not_found():
            await runs_page(site)

    app.exception_handler(404)(_not_found)
    ui.add_css(STYLE, shared=True)
    ui.run_with(
        api,
        title="recsys",
        favicon=ICON,
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
    )


@contextmanager
def _or_not_found() -> Iterator[None]:
    """Answer what an address names and is not there with a page that says so."""
    try:
        yield
    except UserError as error:
        raise HTTPException(404, str(error)) from error


async def _not_found(request: Request, error: Exception) -> Response:
    """A page in place of one that is not there, with ways on."""
    sentence = error.detail if isinstance(error, HTTPException) else "There is no such page here."
    with Client(ui.page(""), request=request) as client:
        frame("Not found")
        with Tag("div", classes="hero"):
            Tag("h1", "Not found")
            notice(sentence, ("Discover films", "/"), ("Choose a viewer", "/user"))
    return client.build_response(request, 404)
