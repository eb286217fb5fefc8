"""The page of one film: what is known of it, how it was rated, one's own stars, and films like it."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Mapping

from nicegui import ui

from recsys.errors import UserError
from recsys.web.catalogue import Film
from recsys.web.pages.elements import Stars, Tag, button, notice, poster, told
from recsys.web.pages.frame import frame
from recsys.web.pages.visit import Site, Visit, visitor
from recsys.web.served import Served, Wish

SIMILAR = 14


async def film_page(
    site: Site, served: Served, movie_id: str, run: str | None, user: str | None, clicked: tuple[str, int] | None
) -> None:
    """Build the page of a film.

    Args:
        site: what all pages share.
        served: the run that is asked.
        movie_id: of the film.
        run: the name that the run was asked for by, or None.
        user: of the data set, whose page one came from, or None.
        clicked: the list that one came from and the film's position in it, or None.

    Raises:
        UserError: there is no such film.
    """
    film = served.catalogue.film(movie_id)
    person = user if user is not None and served.is_known(user) else visitor()
    visit = Visit(site, person, served, run, frame(film.name))
    with Tag("article", classes="film"):
        poster(film, served.catalogue, "large")
        with Tag("div", classes="film-body"):
            Tag("h1", film.title)
            Tag("p", told(film), "meta")
            _Own(visit, film)
            with Tag("dl", classes="details"):
                for label, words in film.details.items():
                    Tag("dt", label)
                    Tag("dd", words)
            _histogram(await to_thread(served.catalogue.histogram, movie_id), served.dataset.name)
    with Tag("section", classes="panel") as section:
        heading = Tag("h2", "Films like it")
        section.props["aria-labelledby"] = heading.html_id
        await _similar(visit, film)
    await ui.context.client.connected()
    if clicked is not None:
        await visit.opened(film, *clicked)
    await visit.changed()


class _Own:
    """One's own stars for a film."""

    def __init__(self, visit: Visit, film: Film) -> None:
        self.visit = visit
        self.film = film
        whose = f"Stars of viewer {visit.user_id}" if visit.is_known else "Your stars"
        with Tag("div", classes="own"):
            Tag("span", whose, "field-label")
            self._stars = Stars(
                visit.served.catalogue.stars, None, f"{whose} for {film.title}", lambda stars: visit.rate(film, stars)
            )
            self._back = button("Take back", lambda: visit.take_back(film.movie_id), "quiet")
            self._back.visible = False
        visit.follow(self._follow)

    async def _follow(self) -> None:
        given = self.visit.opinions.ratings.get(self.film.movie_id)
        self._stars.show(given)
        self._back.visible = given is not None


def _histogram(counts: Mapping[float, int], name: str) -> None:
    """How many ratings gave a film each number of stars, as bars and as figures."""
    n_ratings = sum(counts.values())
    with Tag("figure", classes="histogram"):
        if not n_ratings:
            Tag("figcaption", f"Nobody has rated it in {name}.")
            return
        mean = sum(stars * count for stars, count in counts.items()) / n_ratings
        Tag("figcaption", f"{n_ratings:,} ratings in {name}, {mean:.1f} stars on average")
        with Tag("table"), Tag("tbody"):
            for stars, count in sorted(counts.items(), reverse=True):
                with Tag("tr"):
                    Tag("th", f"{stars:g} ★", scope="row", aria_label=f"{stars:g} stars")
                    with Tag("td", classes="bar-cell", aria_hidden="true"):
                        Tag("span", classes="bar").style(f"width: {100 * count / max(counts.values()):.1f}%")
                    Tag("td", f"{count:,}", "number")


async def _similar(visit: Visit, film: Film) -> None:
    try:
        measure, near = await to_thread(visit.served.similar, film.movie_id, Wish(k=SIMILAR))
    except UserError as error:
        notice(str(error))
        return
    Tag("p", f"By {measure}.", "meta")
    with Tag("ul", classes="strip"):
        for other, _ in near:
            with Tag("li"):
                poster(other, visit.served.catalogue)
                Tag("a", other.name, href=visit.film_address(other))
