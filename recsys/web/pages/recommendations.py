"""The list of recommendations on a page, which follows the viewer's feedback and filters."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from recsys.errors import UserError
from recsys.web.events import Kind
from recsys.web.lists import FilmList, ListedFilm, ListOptions, Order
from recsys.web.pages.components import (
    Stars,
    Tag,
    button,
    explored_badge,
    facts_line,
    notice,
    poster,
    reason_kinds,
    restore_focus,
    skeletons,
)
from recsys.web.pages.controls import PAGE_SIZE, Controls
from recsys.web.pages.feedback_panel import Panel, panel_links
from recsys.web.pages.shelves import Shelf, build_shelves, show_shelf
from recsys.web.pages.viewer_session import MARK_LABELS, ViewerSession


class Recommendations:
    """Recommended films as cards or in shelves, with the controls that filter and arrange them.

    Args:
        session: the viewer's session.
        title: heading of the section.
        panels: panels of feedback to link to, where the page is too narrow to show them beside the list.
    """

    def __init__(self, session: ViewerSession, title: str, panels: Sequence[Panel]) -> None:
        self.session = session
        self._shown: list[str] = []
        self._kinds: set[str] = set()  # of reasons
        self._n_requests = 0
        self._display = asyncio.Lock()
        self._focus_place: int | None = None  # place from 0 of the card that was acted on, where the focus belongs
        with Tag("section", classes="recommendations") as section:
            with Tag("div", classes="list-head"):
                self.heading = Tag("h2", title, tabindex=-1)
                panel_links(session, panels)
                self._controls = Controls(session, self.refresh)
            section.props["aria-labelledby"] = self.heading.html_id
            self._status = Tag("p", "", "visually-hidden", role="status")
            with Tag("div", classes="cards") as self._cards:
                skeletons(6)
            self._more = button("Show more", self._show_more, "more")
            self._more.visible = False
            self._why = Tag("div")
        self._controls.element.visible = session.is_in_data
        session.follow(self.refresh)

    async def refresh(self) -> None:
        """Replace the list or the shelves by new ones."""
        self._cards.props["aria-busy"] = "true"
        options = self._controls.options
        if self._controls.is_in_shelves:
            await self._request(partial(build_shelves, self.session, options), self._show_shelves)
            return
        options = replace(options, k=max(PAGE_SIZE, len(self._shown)))
        await self._request(partial(self._build, options), self._show_list)

    async def _request(self, build: Callable[[], list[Shelf]], show: Callable[[list[Shelf]], None]) -> None:
        """Request films and show them, unless there is a later request.

        A list is logged before it is shown, so that a click on it never precedes its impressions. Only one request is
        logged and shown at a time, so every logged list is seen.
        """
        self._n_requests += 1
        request = self._n_requests
        session = self.session
        is_known = bool(session.opinions.ratings) or session.is_in_data
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
        """Append further films to the list, or add them where the order by year puts them."""
        options = self._controls.options
        if options.order is Order.BEST:
            self._focus_place = 0
            further = replace(options, without=tuple(self._shown))
            await self._request(partial(self._build, further), self._add_cards)
        else:
            longer = replace(options, k=len(self._shown) + PAGE_SIZE)
            await self._request(partial(self._build, longer), self._show_list)

    def _show_list(self, shelves: list[Shelf]) -> None:
        self._clear()
        self._add_cards(shelves)

    def _add_cards(self, shelves: list[Shelf]) -> None:
        [shelf] = shelves
        films = shelf.listed.films
        with self._cards:
            links = [self._card(shelf.listed, film) for film in films]
            if not (links or self._shown):
                notice("No films match these genres and years. Choose fewer genres or a longer period.")
        self._shown += [listed.film.movie_id for listed in films]
        self._more.visible = len(films) == shelf.options.k
        self._explain_reasons(listed.reason_kind for listed in films)
        first = f", starting with {films[0].film.title}" if films else ""
        self._status.text = f"{len(links)} {'more ' * bool(shelf.options.without)}films for you{first}."
        if self._focus_place is not None and links:
            restore_focus(links[min(self._focus_place, len(links) - 1)])
        self._focus_place = None

    def _show_shelves(self, shelves: list[Shelf]) -> None:
        self._clear()
        with self._cards:
            for shelf in shelves:
                show_shelf(self.session, shelf)
            if not shelves:
                notice("No films match these genres and years. Choose fewer genres or a longer period.")
        self._status.text = f"Films for you by genre: {', '.join(shelf.genre for shelf in shelves)}."
        restore_focus(self.heading)  # the tile that was acted on is no longer there

    def _show_invitation(self) -> None:
        self._clear()
        with self._cards, Tag("div", classes="invitation"):
            Tag("p", "Rate a film or two above, and your recommendations will appear here.")

    def _show_notice(self, sentence: str) -> None:
        self._clear()
        with self._cards:
            notice(sentence)
        self._status.text = sentence

    def _clear(self) -> None:
        self._cards.clear()
        self._shown.clear()
        self._kinds.clear()
        self._why.clear()
        self._cards.props["aria-busy"] = "false"
        self._more.visible = False
        self._status.text = ""

    def _explain_reasons(self, kinds: Iterable[str | None]) -> None:
        """Explain the kinds of the reasons that are shown, once below the list."""
        self._kinds |= {kind for kind in kinds if kind is not None}
        self._why.clear()
        if self._kinds:
            with self._why:
                reason_kinds(sorted(self._kinds))

    def _card(self, shown: FilmList, listed: ListedFilm) -> Tag:
        film, session = listed.film, self.session

        async def rate(stars: float) -> None:
            self._focus_place = listed.position - 1
            await session.rate(film, stars, shown, listed)

        async def mark(kind: Kind) -> None:
            self._focus_place = listed.position - 1
            await session.mark(kind, film, shown, listed)

        with Tag("article", classes="card"):
            poster(film, session.loaded.catalogue)
            with Tag("div", classes="card-body"):
                with Tag("h3"):
                    link = Tag("a", film.title, href=session.film_address(film, shown, listed.position))
                Tag("p", facts_line(film), "meta")
                if listed.reason:
                    Tag("p", listed.reason, "reason")
                if listed.is_explored:
                    explored_badge()
                with Tag("div", classes="actions"):
                    Stars(session.loaded.catalogue.stars, None, f"Your stars for {film.title}", rate)
                    for kind, text in MARK_LABELS.items():
                        button(text, partial(mark, kind), "quiet", aria_label=f"{text}: {film.title}")
        return link
