"""The start page: somebody rates films that are found or well known, and recommendations follow."""

from __future__ import annotations

from asyncio import to_thread

from nicegui import ui

from recsys.web.catalogue import Film
from recsys.web.pages.elements import Stars, Tag, let_others_in, poster
from recsys.web.pages.frame import frame
from recsys.web.pages.picks import Picks
from recsys.web.pages.said import Said
from recsys.web.pages.search import Search
from recsys.web.pages.visit import Site, Visit, visitor
from recsys.web.served import Served

WELL_KNOWN = 9
ENOUGH = 5  # ratings from which on the films to start from are folded away


async def discover(site: Site, served: Served, run: str | None) -> None:
    """Build the page for whoever looks at it."""
    visit = Visit(site, visitor(), served, run, frame("Discover films", "/"))
    with Tag("div", classes="hero parted"):
        with Tag("div"):
            Tag("h1", "What would you like to watch?")
            Tag("p", "Rate a few films you know. Recommendations follow each rating, with the reason for every one.")
        Search(visit)
    await let_others_in()
    start = _Start(visit)
    await let_others_in()
    with Tag("div", classes="columns"):
        Picks(visit, "For you")
        await let_others_in()
        with Tag("aside", classes="side", aria_label="What you said"):
            Said(visit, "Your films")
    await ui.context.client.connected()
    await visit.changed()
    await start.fill()


class _Start:
    """Well-known films to start from, with stars to give."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self._shown: dict[str, Stars] = {}
        with Tag("details", classes="start", open=True) as self._details:
            with Tag("summary"):
                Tag("h2", "Some to start from")
            with Tag("ul", classes="strip") as self._strip:
                for _ in range(WELL_KNOWN):
                    with Tag("li", classes="skeleton", aria_hidden="true"):
                        Tag("div", classes="poster")
        visit.follow(self._follow)

    async def fill(self) -> None:
        """Show the films, folded away where the person needs none of them any more."""
        films = await to_thread(self.visit.served.catalogue.well_known, WELL_KNOWN)
        self._details.props["open"] = len(self.visit.opinions.ratings) < ENOUGH
        self._strip.clear()
        with self._strip:
            for film in films:
                self._tile(film)

    def _tile(self, film: Film) -> None:
        with Tag("li"):
            poster(film, self.visit.served.catalogue)
            Tag("a", film.name, href=self.visit.film_address(film))
            given, label = self.visit.opinions.ratings.get(film.movie_id), f"Your stars for {film.name}"
            self._shown[film.movie_id] = Stars(
                self.visit.served.catalogue.stars, given, label, lambda stars: self.visit.rate(film, stars)
            )

    async def _follow(self) -> None:
        for movie_id, stars in self._shown.items():
            stars.show(self.visit.opinions.ratings.get(movie_id))
