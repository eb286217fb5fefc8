"""One open page and the person whose films it shows: what is said there is kept, and the page follows."""

from __future__ import annotations

import re
from asyncio import to_thread
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from secrets import token_hex

from nicegui import ui

from recsys.errors import UserError
from recsys.web.catalogue import Film
from recsys.web.events import Event, Kind, Opinions
from recsys.web.pages.elements import address, cookie, set_cookie
from recsys.web.pages.frame import Bar
from recsys.web.served import FilmList, Listed, Served
from recsys.web.service import Service, now

VISITOR = re.compile("web-[0-9a-f]{16}")
SAID = {Kind.SEEN: "Seen", Kind.NOT_INTERESTED: "Not interested"}
MOST_SAID = 200  # opinions that a page lists


@dataclass(frozen=True)
class Site:
    """What all pages share.

    Attributes:
        service: of the runs, and the store.
        tensorboard: its address, or None.
    """

    service: Service
    tensorboard: str | None


def visitor() -> str:
    """The id of whoever looks at a page: made at the first visit, and kept by the browser."""
    kept = cookie("visitor")
    user_id = kept if VISITOR.fullmatch(kept) else f"web-{token_hex(8)}"
    set_cookie("visitor", user_id)
    return user_id


class Visit:
    """What an open page knows of one person, and tells the store.

    Args:
        site: what all pages share.
        user_id: who: somebody new, or a user of the data set.
        served: the run that is asked.
        run: the name that it was asked for by, or None for the default.
        bar: says what was kept.

    Attributes:
        opinions: what the person said so far.
        said: the latest event about each film that counts, latest first.
    """

    def __init__(self, site: Site, user_id: str, served: Served, run: str | None, bar: Bar) -> None:
        self.site = site
        self.user_id = user_id
        self.served = served
        self.run = run
        self.opinions = Opinions()
        self.said: list[Event] = []
        self._followers: list[Callable[[], Awaitable[None]]] = []
        self._asked = 0
        self._client = ui.context.client
        self._bar = bar

    @property
    def is_known(self) -> bool:
        """Whether the person is a user of the data set."""
        return self.served.is_known(self.user_id)

    def film_address(self, film: Film, shown: FilmList | None = None, position: int | None = None) -> str:
        """The address of a film's page for this person; of a film in a list, it says which."""
        user = self.user_id if self.is_known else None
        in_list = None if shown is None else shown.list_id
        return address("film", film.movie_id, user=user, run=self.run, shown=in_list, at=position)

    def follow(self, follower: Callable[[], Awaitable[None]]) -> None:
        """Have a part of the page told when opinions or the run have changed."""
        self._followers.append(follower)

    async def choose(self, run: str) -> None:
        """Ask another run from now on."""
        with self._bar.refusals():
            self.served, self.run = await to_thread(self.site.service.served, run), run
        await self.changed()

    async def changed(self) -> None:
        """Read anew what the person said, and tell the parts of the page."""
        self._asked += 1
        asked = self._asked
        store = self.site.service.store
        opinions = await to_thread(store.opinions, self.user_id)
        recent = await to_thread(store.recent, self.user_id, MOST_SAID)
        if asked != self._asked:  # more was said meanwhile, and is being read
            return
        self.opinions = opinions
        self.said = list({event.movie_id: event for event in reversed(recent)}.values())[::-1]
        with self._client:  # what was pressed to come here may be gone from the page by now
            for follower in self._followers:
                await follower()

    async def rate(self, film: Film, stars: float, shown: FilmList | None = None, listed: Listed | None = None) -> None:
        """Keep a rating."""
        await self._say(f"{film.title}: {stars:g} stars", self._event(Kind.RATING, film, shown, listed, stars))

    async def hide(self, kind: Kind, film: Film, shown: FilmList, listed: Listed) -> None:
        """Keep that a film was seen, or is of no interest."""
        await self._say(f"{film.title}: {SAID[kind].lower()}", self._event(kind, film, shown, listed))

    async def opened(self, film: Film, list_id: str, position: int) -> None:
        """Keep that a film's page was opened from a list; once, however often it is loaded again."""
        click = self._event(Kind.CLICK, film)
        key = f"{list_id}-{position}-click"
        try:
            await to_thread(self.site.service.tell, replace(click, key=key, list_id=list_id, position=position))
        except UserError:  # an address that was passed on names somebody else's list
            return

    async def take_back(self, movie_id: str) -> None:
        """Undo all that was said of a film."""
        events = await to_thread(self.site.service.store.recent, self.user_id, MOST_SAID)
        with self._bar.refusals():
            for event in events:
                if event.movie_id == movie_id:
                    await to_thread(self.site.service.tell, self._undo(event.key))
            self._bar.hide()
        await self.changed()

    async def _say(self, sentence: str, event: Event) -> None:
        with self._bar.refusals():
            await to_thread(self.site.service.tell, event)
            self._bar.show(sentence, lambda: self._unsay(event))
        await self.changed()

    async def _unsay(self, event: Event) -> None:
        with self._bar.refusals():
            await to_thread(self.site.service.tell, self._undo(event.key))
            self._bar.show("Taken back.")
        await self.changed()

    def _undo(self, key: str) -> Event:
        return Event(token_hex(16), self.user_id, Kind.UNDO, now(), undoes=key)

    def _event(
        self,
        kind: Kind,
        film: Film,
        shown: FilmList | None = None,
        listed: Listed | None = None,
        stars: float | None = None,
    ) -> Event:
        event = Event(token_hex(16), self.user_id, kind, now(), film.movie_id, stars)
        if shown is None or listed is None:
            return event
        return replace(event, run=shown.run, list_id=shown.list_id, position=listed.position)
