"""The start page: viewers rate films, and recommendations follow at once."""

from __future__ import annotations

from asyncio import to_thread

from nicegui import ui

from recsys.web.catalogue import Film
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Stars, Tag, poster, yield_to_requests
from recsys.web.pages.feedback_panel import FeedbackPanel
from recsys.web.pages.layout import page_layout
from recsys.web.pages.recommendations import Recommendations
from recsys.web.pages.search import Search
from recsys.web.pages.viewer_session import Site, ViewerSession, viewer_id

WELL_KNOWN = 9
ENOUGH = 5  # ratings at which the well-known films are collapsed


async def discover_page(site: Site, loaded: LoadedRun, run: str | None) -> None:
    """Build the page.

    Args:
        site: what all pages share.
        loaded: the run that recommends.
        run: the name by which the address requests the run, or None for the default.
    """
    session = ViewerSession(site, viewer_id(), loaded, run, page_layout("Discover films", "/"))
    with Tag("div", classes="hero parted"):
        with Tag("div"):
            Tag("h1", "What would you like to watch?")
            Tag("p", "Rate a few films you know. Recommendations follow each rating, with the reason for every one.")
        Search(session)
    await yield_to_requests()
    well_known = _WellKnownFilms(session)
    await yield_to_requests()
    with Tag("div", classes="columns"):
        Recommendations(session, "For you")
        await yield_to_requests()
        with Tag("aside", classes="side", aria_label="Your feedback"):
            FeedbackPanel(session, "Your films")
    await ui.context.client.connected()
    await session.changed()
    await well_known.fill()


class _WellKnownFilms:
    """Well-known films for a new viewer to rate."""

    def __init__(self, session: ViewerSession) -> None:
        self.session = session
        self._shown: dict[str, Stars] = {}
        with Tag("details", classes="start", open=True) as self._details:
            with Tag("summary"):
                Tag("h2", "Some to start from")
            with Tag("ul", classes="strip") as self._strip:
                for _ in range(WELL_KNOWN):
                    with Tag("li", classes="skeleton", aria_hidden="true"):
                        Tag("div", classes="poster")
        session.follow(self._follow)

    async def fill(self) -> None:
        """Show the films, collapsed if the viewer has rated enough."""
        films = await to_thread(self.session.loaded.first_films, WELL_KNOWN)
        self._details.props["open"] = len(self.session.opinions.ratings) < ENOUGH
        self._strip.clear()
        with self._strip:
            for film in films:
                self._tile(film)

    def _tile(self, film: Film) -> None:
        with Tag("li"):
            poster(film, self.session.loaded.catalogue)
            Tag("a", film.name, href=self.session.film_address(film))
            given, label = self.session.opinions.ratings.get(film.movie_id), f"Your stars for {film.name}"
            self._shown[film.movie_id] = Stars(
                self.session.loaded.catalogue.stars, given, label, lambda stars: self.session.rate(film, stars)
            )

    async def _follow(self) -> None:
        for movie_id, stars in self._shown.items():
            stars.show(self.session.opinions.ratings.get(movie_id))
