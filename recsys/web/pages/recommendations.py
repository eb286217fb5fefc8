"""The recommendations on a page, which are updated when the viewer gives feedback or changes a filter."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from recsys.errors import UserError
from recsys.web.events import Kind
from recsys.web.lists import ListOptions, Order
from recsys.web.pages.components import (
    RATE,
    Skeletons,
    Tag,
    button,
    explored_badge,
    facts_line,
    notice,
    poster,
    reason_kinds,
    restore_focus,
)
from recsys.web.pages.controls import PAGE_SIZE, Controls
from recsys.web.pages.feedback_panel import Panel, panel_links
from recsys.web.pages.rows import Action, Row, Rows, action_button, on_action
from recsys.web.pages.shelves import Shelf, ShelfRow, build_shelves
from recsys.web.pages.tiles import Listing, viewer_stars
from recsys.web.pages.viewer_session import MARK_LABELS, ViewerSession

NOTHING_LEFT = "You have rated or hidden all films of these genres and years. Choose other genres or a longer period."


class Recommendations:
    """A section with recommended films, as a list of cards or as a shelf for each genre, and controls to change them.

    Args:
        session: the viewer's session.
        title: heading of the section.
        panels: feedback panels to link to on narrow screens, on which the panels are below the list.
    """

    def __init__(self, session: ViewerSession, title: str, panels: Sequence[Panel]) -> None:
        self.session = session
        self._cards: dict[str, Listing] = {}  # by id of the film
        self._listings: dict[str, Listing] = {}  # by id of every film shown: its latest list
        self._kinds: list[str] = []  # of reasons
        self._n_requests = 0
        self._display = asyncio.Lock()
        self._focus_place: int | None = None  # index of the card that was used, to restore the focus to
        with Tag("section", classes="recommendations") as section:
            with Tag("div", classes="list-head"):
                self.heading = Tag("h2", title, tabindex=-1)
                panel_links(session, panels)
                self._controls = Controls(session, self.refresh)
            section.props["aria-labelledby"] = self.heading.html_id
            self._status = Tag("p", "", "visually-hidden", role="status")
            with Tag("div", classes="cards") as self._place:
                Skeletons(6, cards=True)
            self._rows: Rows[Any] = Rows(self._place)  # cards or shelves
            on_action(self._place, self._act)
            self._more = button("Show more", self._show_more, "more")
            self._more.visible = False
            self._why = Tag("div")
        self._controls.element.visible = session.is_known
        session.follow(self.refresh)

    async def refresh(self) -> None:
        """Compute the list or the shelves again, from the current feedback and controls, and show the result."""
        self._place.props["aria-busy"] = "true"
        options = self._controls.options
        if self._controls.is_in_shelves:
            await self._request(partial(build_shelves, self.session, options), self._show_shelves)
            return
        options = replace(options, k=max(PAGE_SIZE, len(self._cards)))
        await self._request(partial(self._build, options), self._show_list)

    async def _request(self, build: Callable[[], list[Shelf]], show: Callable[[list[Shelf]], None]) -> None:
        """Compute lists of films and show them, unless a later request has begun by then.

        A list is logged before it is shown, so that a click on it never precedes its impressions. Only one request at a
        time is logged and shown, so that every logged list is shown.
        """
        self._n_requests += 1
        request = self._n_requests
        session = self.session
        is_known = session.is_known
        try:
            shelves = await to_thread(build) if is_known else []
            async with self._display:
                if request != self._n_requests:
                    return
                self._controls.element.visible = is_known
                if not is_known:
                    self._show_invitation()
                    return
                for shelf in shelves:
                    if shelf.listed.films:
                        log = session.site.service.log_list
                        await to_thread(log, session.user_id, shelf.options, shelf.listed)
                show(shelves)
        except UserError as error:
            if request == self._n_requests:
                self._show_notice(str(error))

    def _build(self, options: ListOptions) -> list[Shelf]:
        session = self.session
        return [Shelf("", options, session.site.service.build_list(session.user_id, options, session.run))]

    async def _show_more(self) -> None:
        """Append further films to the list or, if it is ordered by year, insert them in that order."""
        options = self._controls.options
        if options.order is Order.BEST:
            self._focus_place = len(self._cards)
            further = replace(options, without=tuple(self._cards))
            await self._request(partial(self._build, further), self._add_cards)
        else:
            longer = replace(options, k=len(self._cards) + PAGE_SIZE)
            await self._request(partial(self._build, longer), self._show_list)

    async def _act(self, action: Action) -> None:
        """Store a rating or mark of a film, even if the list no longer has the film."""
        if action.key not in self._listings:
            return
        shown, listed = self._listings[action.key]
        self._focus_place = [*self._cards].index(action.key) if action.key in self._cards else None
        if action.name == RATE:
            await self.session.rate(listed.film, float(action.value), shown, listed)
        elif action.name in MARK_LABELS:
            await self.session.mark(Kind(action.name), listed.film, shown, listed)

    def _show_list(self, shelves: list[Shelf]) -> None:
        self._cards.clear()
        if shelves[0].listed.films:
            self._add_cards(shelves)
        else:
            self._show_notice(NOTHING_LEFT)

    def _add_cards(self, shelves: list[Shelf]) -> None:
        [shelf] = shelves
        self._cards |= shelf.listings
        n_films, films = len(shelf.listings), "more films" if shelf.options.without else "films"
        first = f", starting with {shelf.listed.films[0].film.title}" if n_films else ""
        self._show(self._cards, partial(Card, self.session), f"{n_films} {films} for you{first}.")
        self._more.visible = n_films == shelf.options.k
        cards = [row for row in self._rows.shown.values() if isinstance(row, Card)]
        if self._focus_place is not None:
            restore_focus(cards[min(self._focus_place, len(cards) - 1)].link)
        self._focus_place = None

    def _show_shelves(self, shelves: list[Shelf]) -> None:
        if not shelves:
            self._show_notice(NOTHING_LEFT)
            return
        self._cards.clear()
        status = f"Films for you by genre: {', '.join(shelf.genre for shelf in shelves)}."
        rows = {("genre", shelf.genre): shelf for shelf in shelves}  # no film has such a key
        self._show(rows, partial(ShelfRow, self.session), status)
        for shelf in shelves:
            self._listings |= shelf.listings
        restore_focus(self.heading)  # the tile that was used is no longer there

    def _show_invitation(self) -> None:
        self._show_none("")
        with self._place, Tag("div", classes="invitation"):
            Tag("p", "Rate a film or two above, and your recommendations will appear here.")

    def _show_notice(self, sentence: str) -> None:
        self._show_none(sentence)
        with self._place:
            notice(sentence)

    def _show_none(self, status: str) -> None:
        self._cards.clear()
        self._show({}, partial(Card, self.session), status)

    def _show(self, rows: Mapping[Any, Any], add: Callable[[Any], Row[Any]], status: str) -> None:
        """Show cards, shelves or neither, and below them an explanation of the kinds of reasons that the cards give."""
        self._rows.show(rows, add)
        self._place.props["aria-busy"] = "false"
        self._more.visible = False
        self._status.text = status
        self._listings |= self._cards
        kinds = sorted({listed.reason_kind for _, listed in self._cards.values() if listed.reason_kind is not None})
        if kinds != self._kinds:
            self._kinds = kinds
            self._why.clear()
            if kinds:
                with self._why:
                    reason_kinds(kinds)


class Card:
    """A row of the list: a recommended film with its reason, and controls to rate or mark it."""

    def __init__(self, session: ViewerSession, listing: Listing) -> None:
        self.session = session
        self._remark: tuple[str | None, bool] = (None, False)  # the reason, and whether the film is explored
        film = listing[1].film
        with Tag("article", classes="card", data_key=film.movie_id) as self.element:
            poster(film, session.loaded.catalogue)
            with Tag("div", classes="card-body"):
                with Tag("h3"):
                    self.link = Tag("a", film.title)
                Tag("p", facts_line(film), "meta")
                self._remark_place = Tag("div")
                with Tag("div", classes="actions"):
                    viewer_stars(session, film)
                    for kind, text in MARK_LABELS.items():
                        action_button(text, kind, "quiet", aria_label=f"{text}: {film.title}")
        self.show(listing)

    def show(self, listing: Listing) -> None:
        """Update the film's position in the list, and its reason."""
        shown, listed = listing
        self.link.props["href"] = self.session.film_address(listed.film, shown, listed.position)
        if (remark := (listed.reason, listed.is_explored)) != self._remark:
            self._remark = remark
            self._remark_place.clear()
            with self._remark_place:
                if listed.is_explored:
                    explored_badge()
                elif listed.reason:
                    Tag("p", listed.reason, "reason")
