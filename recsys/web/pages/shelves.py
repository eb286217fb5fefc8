"""Shelves: lists of recommended films, one for each genre, shown as strips of tiles."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

from recsys.web.lists import FilmList, ListOptions
from recsys.web.pages.components import Section, Tag
from recsys.web.pages.rows import Rows
from recsys.web.pages.tiles import ListedTile, Listing
from recsys.web.pages.viewer_session import ViewerSession

N_SHELVES = 6
LENGTH = 10
N_BEST = 50  # best films, whose most frequent genres get a shelf


@dataclass(frozen=True)
class Shelf:
    """A list of recommended films of one genre or of all genres.

    Attributes:
        genre: the genre, or "" for a list of all genres.
        options: the options with which the list was built.
        listed: the list of films.
    """

    genre: str
    options: ListOptions
    listed: FilmList

    @property
    def listings(self) -> dict[str, Listing]:
        """Return each film together with its list, keyed by film id."""
        return {listed.film.movie_id: (self.listed, listed) for listed in self.listed.films}


def build_shelves(session: ViewerSession, options: ListOptions) -> list[Shelf]:
    """Build a shelf for each chosen genre or, if none is chosen, for each frequent genre of the viewer's best films.

    No film is on two shelves, and shelves without films are left out.

    Raises:
        UserError: see `LoadedRun.recommend`.
    """
    service = session.site.service
    shelves: list[Shelf] = []
    for genre in options.genres or _frequent_genres(session, options):
        shown = tuple(listed.film.movie_id for shelf in shelves for listed in shelf.listed.films)
        of_genre = replace(options, k=LENGTH, genres=(genre,), without=shown)
        shelves.append(Shelf(genre, of_genre, service.build_list(session.user_id, of_genre, session.run)))
    return [shelf for shelf in shelves if shelf.listed.films]


def _frequent_genres(session: ViewerSession, options: ListOptions) -> list[str]:
    """Return the most frequent genres among the viewer's best films, most frequent first."""
    best = session.site.service.best_films(session.user_id, replace(options, k=N_BEST), session.run)
    counts = Counter(genre for film in best for genre in film.genres)
    return [genre for genre, _ in counts.most_common(N_SHELVES)]


class ShelfRow:
    """A row of the recommendations: a shelf with its films."""

    def __init__(self, session: ViewerSession, shelf: Shelf) -> None:
        self.session = session
        self.element: Tag = Section(shelf.genre, "shelf", "h3")
        with self.element:
            self._tiles: Rows[Listing] = Rows(Tag("ul", classes="strip row"))
        self.show(shelf)

    def show(self, shelf: Shelf) -> None:
        """Update the films of the shelf."""
        self._tiles.show(shelf.listings, partial(ListedTile, self.session))
