"""The web pages for viewers and researchers, built with NiceGUI on top of the API's FastAPI application."""

from __future__ import annotations

import re
import warnings
from asyncio import to_thread
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import cast

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from nicegui import Client, app, ui
from starlette.exceptions import HTTPException as StarletteHTTPException

from recsys.errors import UserError
from recsys.web.catalogue import NotFoundError
from recsys.web.errors import SERVER_ERROR
from recsys.web.pages.compare import compare_page
from recsys.web.pages.components import Tag, notice
from recsys.web.pages.discover import discover_page
from recsys.web.pages.film import film_page
from recsys.web.pages.hanging_up import forget_clients_that_hang_up
from recsys.web.pages.layout import page_layout
from recsys.web.pages.links import address
from recsys.web.pages.own_history import history_page
from recsys.web.pages.packets import bound_waiting_packets, report_malformed_packets
from recsys.web.pages.rows import add_action_script
from recsys.web.pages.runs import runs_page
from recsys.web.pages.signatures import remember_signatures
from recsys.web.pages.viewer_session import Site
from recsys.web.pages.viewers import viewer_page, viewers_page
from recsys.web.pages.waiting import bound_waiting_pages
from recsys.web.recommendation_service import RecommendationService

POSITION = re.compile("[0-9]{1,4}")
RESPONSE_SECONDS = 120  # a page may take this long if a run must be loaded for it
RECONNECT_SECONDS = 60  # a page survives a shorter loss of its connection, as with a busy server or a sleeping phone
NO_PAGE = "There is no page at this address."
NO_SUCH_REQUEST = "This page does not take this kind of request."
STYLE = Path(__file__).with_name("style.css")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="#b45309"/>'
    '<path d="M12 5l2.1 4.5 4.9.6-3.6 3.4 1 4.9L12 15.9l-4.4 2.5 1-4.9L5 10.1l4.9-.6z" fill="#fff"/></svg>'
)


def add_pages(api: FastAPI, service: RecommendationService, tensorboard: str | None = None) -> None:
    """Add the pages to an application; call this only once in a process.

    The pages answer the requests to all paths for which the application has no route.

    Args:
        api: the application, with all its routes.
        service: the service that answers the pages' requests.
        tensorboard: URL of a TensorBoard to link to, or None.
    """
    # NiceGUI inspects every object at its start, and access to this one triggers a warning of torch.
    warnings.filterwarnings("ignore", "`torch.distributed.reduce_op` is deprecated", FutureWarning)
    site = Site(service, tensorboard)

    @ui.page("/", response_timeout=RESPONSE_SECONDS)
    async def _(run: str | None = None) -> None:
        with _errors_as_pages():
            await discover_page(site, await to_thread(service.loaded_run, run), run)

    @ui.page("/history", response_timeout=RESPONSE_SECONDS)
    async def _(run: str | None = None) -> None:
        with _errors_as_pages():
            await history_page(site, await to_thread(service.loaded_run, run), run)

    @ui.page("/user", response_timeout=RESPONSE_SECONDS)
    async def _(id: str | None = None, run: str | None = None) -> Response | None:
        if id is not None:
            return RedirectResponse(address("user", id.strip(), run=run))
        with _errors_as_pages():
            await viewers_page(await to_thread(service.loaded_run, run), run)
        return None

    @ui.page("/user/{user_id:path}", response_timeout=RESPONSE_SECONDS)
    async def _(user_id: str, run: str | None = None) -> None:
        with _errors_as_pages():
            await viewer_page(site, await to_thread(service.loaded_run, run), user_id, run)

    @ui.page("/film/{movie_id:path}", response_timeout=RESPONSE_SECONDS)
    async def _(movie_id: str, run: str | None = None, user: str | None = None, shown: str = "", at: str = "") -> None:
        clicked = (shown, int(at)) if shown and POSITION.fullmatch(at) else None
        with _errors_as_pages():
            await film_page(site, await to_thread(service.loaded_run, run), movie_id, run, user, clicked)

    @ui.page("/compare", response_timeout=RESPONSE_SECONDS)
    async def _(a: str | None = None, b: str | None = None, user: str = "") -> None:
        names = service.run_names()
        with _errors_as_pages():
            runs = (a or names[0], b or names[-1])
            for run in runs:
                await to_thread(service.loaded_run, run)
            await compare_page(site, runs, user)

    @ui.page("/runs", response_timeout=RESPONSE_SECONDS)
    async def _() -> None:
        with _errors_as_pages():
            await runs_page(site)

    report_malformed_packets()
    bound_waiting_packets()
    bound_waiting_pages(RECONNECT_SECONDS)
    forget_clients_that_hang_up()
    remember_signatures()
    for errors in (404, StarletteHTTPException):  # for 404, NiceGUI has a page of its own
        app.exception_handler(errors)(_error_page)
    app.exception_handler(Exception)(_server_error_page)  # NiceGUI's own shows the exception
    ui.add_css(STYLE, shared=True)
    add_action_script()
    ui.add_body_html("<noscript>This page needs JavaScript; the API at /api does not.</noscript>", shared=True)
    ui.run_with(
        api,
        title="recsys",
        favicon=ICON,
        dark=None,
        language="en-US",
        tailwind=False,
        reconnect_timeout=RECONNECT_SECONDS,
        show_welcome_message=False,
    )


async def _server_error_page(request: Request, error: Exception) -> Response:
    return await _error_page(request, HTTPException(500, SERVER_ERROR))


@contextmanager
def _errors_as_pages() -> Iterator[None]:
    """Turn a UserError in the `with` statement into an error page.

    The status is 404 if something in the URL does not exist, and otherwise 503.
    """
    try:
        yield
    except UserError as error:
        raise HTTPException(404 if isinstance(error, NotFoundError) else 503, str(error)) from error


async def _error_page(request: Request, error: Exception) -> Response:
    """Build an error page with the reason of the error and links to other pages."""
    http_error = cast(StarletteHTTPException, error)
    unexplained = NO_PAGE if http_error.status_code == 404 else NO_SUCH_REQUEST
    sentence = http_error.detail if isinstance(error, HTTPException) else unexplained
    heading = HTTPStatus(http_error.status_code).phrase.capitalize()
    with Client(ui.page(""), request=request) as client:
        page_layout(heading)
        with Tag("div", classes="hero"):
            Tag("h1", heading)
            notice(sentence, ("Discover films", "/"), ("Choose a viewer", "/user"))
    response = client.build_response(request, http_error.status_code)
    response.headers.update(http_error.headers or {})
    return response
