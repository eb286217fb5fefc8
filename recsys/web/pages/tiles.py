"""Films as tiles of a strip: poster, title and year, and stars to rate them in place."""

from __future__ import annotations

from recsys.web.catalogue import Film
from recsys.web.lists import FilmList, ListedFilm
from recsys.web.pages.components import EXPLORED, Stars, Tag, poster
from recsys.web.pages.viewer_session import ViewerSession


def film_tile(session: ViewerSession, film: Film) -> None:
    """Add a tile of a film, without stars to rate it."""
    with Tag("li"):
        _poster_and_title(session, film)


def rated_tile(session: ViewerSession, film: Film) -> Stars:
    """Add a tile of a film with stars to rate it, and return the stars."""
    with Tag("li", data_key=film.movie_id):
        _poster_and_title(session, film)
        return viewer_stars(session, film)


Listing = tuple[FilmList, ListedFilm]  # a film and the list in which it is


class ListedTile:
    """A row of a shelf: the tile of a recommended film, with stars to rate it."""

    def __init__(self, session: ViewerSession, listing: Listing) -> None:
        self.session = session
        film = listing[1].film
        with Tag("li", data_key=film.movie_id) as self.element:
            self._link = _poster_and_title(session, film)
            self._badge = Tag("span", "", "badge")
            viewer_stars(session, film)
        self.show(listing)

    def show(self, listing: Listing) -> None:
        """Update the film's position in the list, and whether the film was drawn at random."""
        shown, listed = listing
        self._link.props["href"] = self.session.film_address(listed.film, shown, listed.position)
        self._badge.text = EXPLORED if listed.is_explored else ""


def viewer_stars(session: ViewerSession, film: Film) -> Stars:
    """Add stars that show the viewer's rating of a film and with which the viewer can change it."""
    given = session.opinions.ratings.get(film.movie_id)
    return Stars(session.loaded.catalogue.stars, given, f"Your stars for {film.name}")


def _poster_and_title(session: ViewerSession, film: Film) -> Tag:
    poster(film, session.loaded.catalogue)
    with Tag("div", classes="row-body"):
        link = Tag("a", film.title, href=session.film_address(film))
        Tag("span", "" if film.year is None else str(film.year), "meta")
    return link
