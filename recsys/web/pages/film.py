"""The page of a film: metadata, rating histogram, the viewer's own rating and similar films."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Mapping

from nicegui import ui

from recsys.models.similar import MEASURE
from recsys.web.catalogue import Film
from recsys.web.lists import ListOptions
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Stars, Tag, button, poster, year_and_genres
from recsys.web.pages.layout import page_layout
from recsys.web.pages.viewer_session import Site, ViewerSession, viewer_id

SIMILAR = 14


async def film_page(
    site: Site, loaded: LoadedRun, movie_id: str, run: str | None, user: str | None, clicked: tuple[str, int] | None
) -> None:
    """Build the page of a film.

    Args:
        site: what all pages share.
        loaded: the run that finds similar films.
        movie_id: raw id of the film.
        run: the name by which the address requests the run, or None for the default.
        user: the user of the data set from whose page the film was opened, or None.
        clicked: id of the list from which the film was opened and its position in the list, or None.

    Raises:
        UserError: the film does not exist.
    """
    film = loaded.catalogue.film(movie_id)
    viewer = user if user is not None and loaded.has_user(user) else viewer_id()
    session = ViewerSession(site, viewer, loaded, run, page_layout(film.name))
    with Tag("article", classes="film"):
        poster(film, loaded.catalogue, "large")
        with Tag("div", classes="film-body"):
            Tag("h1", film.title)
            Tag("p", year_and_genres(film), "meta")
            _OwnRating(session, film)
            with Tag("dl", classes="details"):
                for label, words in film.details.items():
                    Tag("dt", label)
                    Tag("dd", words)
            _histogram(await to_thread(loaded.catalogue.histogram, movie_id), loaded.dataset.name)
    with Tag("section", classes="panel") as section:
        heading = Tag("h2", "Similar films")
        section.props["aria-labelledby"] = heading.html_id
        await _similar(session, film)
    await ui.context.client.connected()
    if clicked is not None:
        await session.opened(film, *clicked)
    await session.changed()


class _OwnRating:
    """The viewer's own rating of a film."""

    def __init__(self, session: ViewerSession, film: Film) -> None:
        self.session = session
        self.film = film
        whose = f"Stars of viewer {session.user_id}" if session.is_in_data else "Your stars"
        with Tag("div", classes="own"):
            Tag("span", whose, "field-label")
            self._stars = Stars(
                session.loaded.catalogue.stars,
                None,
                f"{whose} for {film.title}",
                lambda stars: session.rate(film, stars),
            )
            self._take_back = button("Take back", lambda: session.take_back(film.movie_id), "quiet")
            self._take_back.visible = False
        session.follow(self._follow)

    async def _follow(self) -> None:
        given = self.session.opinions.ratings.get(self.film.movie_id)
        self._stars.show(given)
        self._take_back.visible = given is not None


def _histogram(counts: Mapping[float, int], name: str) -> None:
    """Add a histogram of a film's ratings, as bars and as numbers."""
    n_ratings = sum(counts.values())
    with Tag("figure", classes="histogram"):
        if not n_ratings:
            Tag("figcaption", f"It has no ratings in {name}.")
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


async def _similar(session: ViewerSession, film: Film) -> None:
    """Add the most similar films."""
    near = await to_thread(session.loaded.similar, film.movie_id, ListOptions(k=SIMILAR))
    Tag(
        "p",
        f"{MEASURE[0].upper()}{MEASURE[1:]}." if near else "No film has viewers or words in common with it.",
        "meta",
    )
    with Tag("ul", classes="strip"):
        for other, _ in near:
            with Tag("li"):
                poster(other, session.loaded.catalogue)
                Tag("a", other.name, href=session.film_address(other))
