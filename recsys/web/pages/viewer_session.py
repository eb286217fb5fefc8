"""The session of an open page: its viewer, their feedback, and the parts of the page that show the feedback."""

from __future__ import annotations

import re
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from secrets import token_hex

from nicegui import ui

from recsys.errors import UserError
from recsys.web.catalogue import Film
from recsys.web.events import Event, Kind, Opinions
from recsys.web.lists import FilmList, ListedFilm
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.cookies import cookie, set_cookie
from recsys.web.pages.layout import Snackbar
from recsys.web.pages.links import address
from recsys.web.pages.rows import Action
from recsys.web.ratings_file import ratings_as_csv
from recsys.web.recommendation_service import RecommendationService, now
from recsys.web.store import EVERYTHING

VIEWER = "visitor"  # cookie with the id of the browser's viewer
NEW_VIEWER = re.compile("web-[0-9a-f]{16}")
MARK_LABELS = {Kind.WATCH_LATER: "Watch later", Kind.SEEN: "Seen it", Kind.NOT_INTERESTED: "Not interested"}
MAX_EVENTS = 200  # latest opinions that a page lists


@dataclass(frozen=True)
class Site:
    """Objects that all pages share.

    Attributes:
        service: the service that answers the pages' requests.
        tensorboard: URL of a TensorBoard to link to, or None.
    """

    service: RecommendationService
    tensorboard: str | None


def viewer_id() -> str:
    """Return the id of the viewer who uses this browser; it is created at the first visit and stored in a cookie."""
    stored = cookie(VIEWER)
    user_id = stored if NEW_VIEWER.fullmatch(stored) else f"web-{token_hex(8)}"
    set_cookie(VIEWER, user_id)
    return user_id


class ViewerSession:
    """Holds the viewer of an open page, stores their feedback, and updates the parts of the page that depend on it.

    Args:
        site: objects that all pages share.
        user_id: id of a new viewer or of a user of the data set.
        loaded: the run that recommends.
        run: name of the run in the URL, or None for the default run.
        snackbar: the element that shows messages: what was stored, and errors.

    Attributes:
        opinions: the viewer's current opinions.
        events: the events from which the opinions follow, latest first.
    """

    def __init__(self, site: Site, user_id: str, loaded: LoadedRun, run: str | None, snackbar: Snackbar) -> None:
        self.site = site
        self.user_id = user_id
        self.loaded = loaded
        self.run = run
        self.opinions = Opinions()
        self.events: list[Event] = []
        self._followers: list[Callable[[], Awaitable[None]]] = []
        self._n_reads = 0
        self._client = ui.context.client
        self._snackbar = snackbar

    @property
    def is_in_data(self) -> bool:
        """Return whether the viewer is a user of the data set."""
        return self.loaded.has_user(self.user_id)

    @property
    def is_known(self) -> bool:
        """Return whether the viewer has ratings, given on the pages or in the data set."""
        return self.is_in_data or bool(self.opinions.ratings)

    @property
    def is_served(self) -> bool:
        """Return whether the run can recommend to the viewer."""
        return self.is_in_data or self.loaded.scores_new_users

    def runs(self) -> list[str]:
        """Return the names of the runs that can recommend to the viewer."""
        service = self.site.service
        return [name for name in service.run_names() if self.is_in_data or service.loaded_run(name).scores_new_users]

    def film_address(self, film: Film, shown: FilmList | None = None, position: int | None = None) -> str:
        """Return the URL of a film's page for this viewer.

        Args:
            film: the film.
            shown: the list from which the page is opened, or None. The URL contains the id of this list.
            position: position of the film in that list, or None.
        """
        user = self.user_id if self.is_in_data else None
        list_id = None if shown is None else shown.list_id
        return address("film", film.movie_id, user=user, run=self.run, shown=list_id, at=position)

    def follow(self, follower: Callable[[], Awaitable[None]]) -> None:
        """Register a function that is called and awaited whenever the viewer's opinions or the run change."""
        self._followers.append(follower)

    def show_errors(self) -> AbstractContextManager[None]:
        """Show a UserError in the snackbar instead of raising it; see `Snackbar.show_errors`."""
        return self._snackbar.show_errors()

    async def read_opinions(self) -> None:
        """Read the viewer's opinions before the page is built, so that the page does not shift when they are shown."""
        with self.show_errors():
            self.opinions = await to_thread(self.site.service.opinions, self.user_id)

    async def choose_run(self, run: str) -> None:
        """Switch to another run, and update the page."""
        with self.show_errors():
            self.loaded, self.run = await to_thread(self.site.service.loaded_run, run), run
        await self.changed()

    async def changed(self) -> None:
        """Read the viewer's feedback again after a change, and update the parts of the page that depend on it."""
        self._n_reads += 1
        read = self._n_reads
        service = self.site.service
        with self.show_errors():  # if the store fails, the earlier feedback stays
            opinions = await to_thread(service.opinions, self.user_id)
            recent = await to_thread(service.recent, self.user_id, MAX_EVENTS)
            if read != self._n_reads:  # a later call is reading newer feedback
                return
            self.opinions = opinions
            self.events = _current(recent, opinions)
        with self._client:  # the element that was pressed may have been removed from the page
            for follower in self._followers:
                await follower()

    async def rate(
        self, film: Film, stars: float, shown: FilmList | None = None, listed: ListedFilm | None = None
    ) -> None:
        """Store a rating, offer to undo it, and update the page.

        Args:
            film: the film.
            stars: a value of the rating scale.
            shown: the list in which the film was rated, or None.
            listed: the entry of the film in that list, or None.
        """
        noun = "star" if stars == 1 else "stars"
        await self._record(f"{stars:g} {noun}: {film.title}", self._event(Kind.RATING, film, shown, listed, stars))

    async def rate_row(self, action: Action) -> None:
        """Store a rating that the viewer gave in a row of a list; the key of the row is the film's id."""
        await self.rate(self.loaded.catalogue.film(action.key), float(action.value))

    async def mark(
        self, kind: Kind, film: Film, shown: FilmList | None = None, listed: ListedFilm | None = None
    ) -> None:
        """Store a mark (one of `MARKS`) for a film, offer to undo it, and update the page; for arguments see `rate`."""
        await self._record(f"{MARK_LABELS[kind]}: {film.title}", self._event(kind, film, shown, listed))

    async def opened(self, film: Film, list_id: str, position: int) -> None:
        """Store a click on a film in a list, and store it only once even if the film's page is reloaded."""
        click = self._event(Kind.CLICK, film)
        key = f"{list_id}-{position}-click"
        try:
            await to_thread(self.site.service.record, replace(click, key=key, list_id=list_id, position=position))
        except UserError:  # the URL was shared, and names a list of another viewer
            return

    async def remove(self, movie_id: str, kinds: Collection[Kind]) -> None:
        """Undo all feedback of the given kinds that the viewer gave on a film, and update the page."""
        with self.show_errors():
            for event in await to_thread(self.site.service.recent, self.user_id, movie_id=movie_id):
                if event.kind in kinds:
                    await to_thread(self.site.service.record, self._undo_event(event.key))
            self._snackbar.hide()
        await self.changed()

    async def ratings_as_csv(self) -> str:
        """Return the viewer's latest rating of each film as CSV; see `recsys.web.ratings_file.ratings_as_csv`."""
        events = await to_thread(self.site.service.recent, self.user_id, EVERYTHING)
        return await to_thread(ratings_as_csv, events, self.loaded.catalogue)

    async def _record(self, sentence: str, event: Event) -> None:
        with self.show_errors():
            await to_thread(self.site.service.record, event)
            self._snackbar.show(sentence, lambda: self._undo(event))
        await self.changed()

    async def _undo(self, event: Event) -> None:
        with self.show_errors():
            await to_thread(self.site.service.record, self._undo_event(event.key))
            self._snackbar.show("Undone")
        await self.changed()

    def _undo_event(self, key: str) -> Event:
        return Event(token_hex(16), self.user_id, Kind.UNDO, now(), undoes=key)

    def _event(
        self,
        kind: Kind,
        film: Film,
        shown: FilmList | None = None,
        listed: ListedFilm | None = None,
        stars: float | None = None,
    ) -> Event:
        event = Event(token_hex(16), self.user_id, kind, now(), film.movie_id, stars)
        if shown is None or listed is None:
            return event
        return replace(event, run=shown.run, list_id=shown.list_id, position=listed.position)


def _current(recent: Sequence[Event], opinions: Opinions) -> list[Event]:
    """Return those of the recent events from which the viewer's opinions follow, latest first.

    A film whose rating is changed stays at the position of its first rating.
    """
    latest = {(event.movie_id, event.kind): event for event in reversed(recent)}
    return [
        event
        for (movie_id, kind), event in reversed(latest.items())
        if kind is Kind.RATING or opinions.marks.get(str(movie_id)) is kind
    ]
