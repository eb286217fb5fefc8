"""Pages about users of the data set: one to choose a user, and one for each user."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from recsys.counted import counted
from recsys.web.catalogue import Film
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Section, Tag, button, fixed_stars, yield_to_requests
from recsys.web.pages.feedback_panel import OWN_FILMS, WATCHLIST, FeedbackPanel
from recsys.web.pages.hanging_up import connected
from recsys.web.pages.layout import page_layout
from recsys.web.pages.links import address
from recsys.web.pages.recommendations import Recommendations
from recsys.web.pages.viewer_session import Site, ViewerSession

N_EXAMPLES = 12
N_SHOWN = 15  # ratings of a history that are shown before "Show all"

Rated = tuple[Film, float, int | None]


async def viewers_page(loaded: LoadedRun, run: str | None) -> None:
    """Build the page on which a user of the data set is chosen."""
    page_layout("Viewers", "/user")
    with Tag("div", classes="hero"):
        Tag("h1", "See what a viewer would see")
        Tag("p", f"{loaded.dataset.name} has {counted(loaded.dataset.n_users, 'viewer')}, known by id only.")
        with Tag("form", classes="line", action="/user", method="get"):
            with Tag("label", classes="field"):
                Tag("span", "Viewer's id", "field-label")
                Tag("input", name="id", required=True, maxlength=255, autocomplete="off")
            if run is not None:
                Tag("input", type="hidden", name="run", value=run)
            Tag("button", "Show", "button strong", type="submit")
    with Tag("section", classes="panel"):
        Tag("h2", "Examples, from the fewest ratings to the most")
        with Tag("ul", classes="chips"):
            for user_id in loaded.example_users(N_EXAMPLES):
                with Tag("li"):
                    Tag("a", user_id, "chip", href=address("user", user_id, run=run))


async def viewer_page(site: Site, loaded: LoadedRun, user_id: str, run: str | None) -> None:
    """Build the page of one user of the data set.

    Raises:
        UserError: the data set has no such user.
    """
    rated: Sequence[Rated] = await to_thread(loaded.ratings_of_user, user_id)
    segment = await to_thread(loaded.segment, user_id)
    session = ViewerSession(site, user_id, loaded, run, page_layout(f"Viewer {user_id}", "/user"))
    with Tag("div", classes="hero"):
        Tag("h1", f"Viewer {user_id}")
        Tag("p", f"{counted(len(rated), 'rating')} in {loaded.dataset.name}.")
        if segment is not None:
            with Tag("p", classes="segment"):
                Tag("span", "Taste", "meta")
                Tag("strong", segment)
    panels = WATCHLIST, replace(OWN_FILMS, title="Feedback on this page")
    with Tag("div", classes="columns"):
        Recommendations(session, "Recommended", panels)
        await yield_to_requests()
        with Tag("aside", classes="side", aria_label="Feedback and history of this viewer"):
            for panel in panels:
                FeedbackPanel(session, panel)
            _history(session, rated)
    await connected()
    await session.changed()


def _history(session: ViewerSession, rated: Sequence[Rated]) -> None:
    """Add a list of the user's ratings in the data set, latest first.

    Only the latest `N_SHOWN` are shown until the viewer presses "Show all".
    """
    with Section("History"):
        rows = Tag("ul", classes="rows")

        def show(ratings: Sequence[Rated]) -> None:
            with rows:
                for film, stars, time in ratings:
                    with Tag("li"):
                        with Tag("div", classes="row-body"):
                            Tag("a", film.name, href=session.film_address(film))
                            if time is not None:
                                Tag("span", f"{datetime.fromtimestamp(time, UTC):%-d %B %Y}", "meta")
                        fixed_stars(stars)

        def show_rest() -> None:
            show(rated[N_SHOWN:])
            rest.delete()

        show(rated[:N_SHOWN])
        if len(rated) > N_SHOWN:
            rest = button(f"Show all {len(rated):,}", show_rest, "more")
