"""Users of the data set: a page to choose one, and a page of each."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Sequence
from datetime import UTC, datetime

from nicegui import ui

from recsys.web.catalogue import Film
from recsys.web.pages.elements import Tag, address, button, let_others_in, stars_given
from recsys.web.pages.frame import frame
from recsys.web.pages.picks import Picks
from recsys.web.pages.said import Said
from recsys.web.pages.visit import Site, Visit
from recsys.web.served import Served

TO_TRY = 12
SHOWN = 15  # ratings of a history, before one asks for all

Rated = tuple[Film, float, int | None]


async def choose_user(served: Served, run: str | None) -> None:
    """Build the page on which one chooses a user."""
    frame("Viewers", "/user")
    with Tag("div", classes="hero"):
        Tag("h1", "Look through a viewer's eyes")
        Tag("p", f"{served.dataset.name} has {served.dataset.n_users:,} viewers, who are known by their ids alone.")
        with Tag("form", classes="line", action="/user", method="get"):
            with Tag("label", classes="field"):
                Tag("span", "Id of a viewer", "field-label")
                Tag("input", name="id", required=True, maxlength=255, autocomplete="off")
            if run is not None:
                Tag("input", type="hidden", name="run", value=run)
            Tag("button", "Show", "button strong", type="submit")
    with Tag("section", classes="panel"):
        Tag("h2", "Some to try, from few ratings to many")
        with Tag("ul", classes="chips"):
            for user_id in served.some_users(TO_TRY):
                with Tag("li"):
                    Tag("a", user_id, "chip", href=address("user", user_id, run=run))


async def user_page(site: Site, served: Served, user_id: str, run: str | None) -> None:
    """Build the page of one user.

    Raises:
        UserError: there is no such user.
    """
    rated: Sequence[Rated] = await to_thread(served.rated, user_id)
    segment = await to_thread(served.segment, user_id)
    visit = Visit(site, user_id, served, run, frame(f"Viewer {user_id}", "/user"))
    with Tag("div", classes="hero"):
        Tag("h1", f"Viewer {user_id}")
        Tag("p", f"{len(rated):,} ratings in {served.dataset.name}.")
        if segment is not None:
            with Tag("p", classes="segment"):
                Tag("span", "Taste", "meta")
                Tag("strong", segment)
    with Tag("div", classes="columns"):
        Picks(visit, "Recommended")
        await let_others_in()
        with Tag("aside", classes="side", aria_label="What this viewer said"):
            Said(visit, "Said on this page")
            _history(visit, rated)
    await ui.context.client.connected()
    await visit.changed()


def _history(visit: Visit, rated: Sequence[Rated]) -> None:
    """What the data set knows, the latest first; a part of it until one asks for all."""
    with Tag("section", classes="panel") as section:
        heading = Tag("h2", "History")
        section.props["aria-labelledby"] = heading.html_id
        rows = Tag("ul", classes="rows")

        def show(some: Sequence[Rated]) -> None:
            with rows:
                for film, stars, time in some:
                    with Tag("li"):
                        with Tag("div", classes="row-body"):
                            Tag("a", film.name, href=visit.film_address(film))
                            if time is not None:
                                Tag("span", f"{datetime.fromtimestamp(time, UTC):%-d %B %Y}", "meta")
                        stars_given(stars)

        def show_rest() -> None:
            show(rated[SHOWN:])
            rest.delete()

        show(rated[:SHOWN])
        if len(rated) > SHOWN:
            rest = button(f"Show all {len(rated):,}", show_rest, "more")
