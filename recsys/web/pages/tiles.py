"""Films as tiles of a strip: poster, title and year, and stars to rate them in place."""

from __future__ import annotations

from recsys.web.catalogue import Film
from recsys.web.lists import FilmList, ListedFilm
from recsys.web.pages.components import EXPLORED, Stars, Tag, poster
from recsys.web.pages.viewer_session import ViewerSession


def film_tile(session: ViewerSession, film: Film) -> None:
    """Add a film that cannot be rated in place."""
    with Tag("li"):
        _poster_and_title(session, film, session.film_address(film))


def rated_tile(session: ViewerSession, film: Film) -> Stars:
    """Add a film with the viewer's stars, and return these."""
    with Tag("li"):
        _poster_and_title(session, film, session.film_address(film))
        given, label = session.opinions.ratings.get(film.movie_id), f"Your stars for {film.name}"
        return Stars(session.loaded.catalogue.stars, given, label, lambda stars: session.rate(film, stars))


def listed_tile(session: ViewerSession, shown: FilmList, listed: ListedFilm) -> None:
    """Add a film of a list, to be rated."""
    film = listed.film
    with Tag("li"):
        _poster_and_title(session, film, session.film_address(film, shown, listed.position))
        if listed.is_explored:
            Tag("span", EXPLORED, "badge")
        label = f"Your stars for {film.name}"
        Stars(session.loaded.catalogue.stars, None, label, lambda stars: session.rate(film, stars, shown, listed))


def _poster_and_title(session: ViewerSession, film: Film, href: str) -> None:
    poster(film, session.loaded.catalogue)
    with Tag("div", classes="row-body"):
        Tag("a", film.title, href=href)
        Tag("span", "" if film.year is None else str(film.year), "meta")
