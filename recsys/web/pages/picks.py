"""Recommendations with reasons that follow what is said and wished, in place."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from recsys.errors import UserError
from recsys.web.events import Kind
from recsys.web.pages.elements import (
    ON_VALUE,
    Stars,
    Tag,
    button,
    choice,
    focus_lost_goes_to,
    notice,
    poster,
    reason,
    skeletons,
    told,
    value_of,
)
from recsys.web.pages.visit import Visit
from recsys.web.served import FilmList, Listed, Wish

AT_A_TIME = 12


class Picks:
    """The list of what is recommended to a visit's person, and what it can be narrowed by.

    Args:
        visit: whose.
        title: of the section.
    """

    def __init__(self, visit: Visit, title: str) -> None:
        self.visit = visit
        self.wish = Wish(k=AT_A_TIME)
        self._shown: list[str] = []
        self._asked = 0
        self._acted_at: int | None = None  # place from 0 of the card that was acted on, where the focus belongs
        with Tag("section", classes="picks") as section:
            heading = Tag("h2", title)
            section.props["aria-labelledby"] = heading.html_id
            self._wishes()
            self._status = Tag("p", "", "unseen", role="status")
            with Tag("div", classes="cards") as self._cards:
                skeletons(6)
            self._more = button("Show more", self._show_more, "more")
            self._more.visible = False
        visit.follow(self.refresh)

    async def refresh(self) -> None:
        """Ask for the list anew, and show it in the place of what is there."""
        visit = self.visit
        self._cards.props["aria-busy"] = "true"
        if not (visit.opinions.ratings or visit.is_known) and visit.served.takes_new_people:
            self._asked += 1
            self._show_nothing_yet()
            return
        await self._list(replace(self.wish, k=max(AT_A_TIME, len(self._shown))), self._clear)

    async def _list(self, wish: Wish, make_room: Callable[[], None]) -> None:
        """Ask for films and show them, unless something else was asked for meanwhile; only what is seen is logged."""
        self._asked += 1
        asked = self._asked
        visit = self.visit
        service = visit.site.service
        try:
            made = await to_thread(service.make, visit.user_id, wish, visit.run)
        except UserError as error:
            if asked == self._asked:
                self._show_notice(str(error))
            return
        if asked != self._asked:
            return
        make_room()
        self._show(made, wish)
        if made.films:
            await to_thread(service.log, visit.user_id, wish, made)

    def _wishes(self) -> None:
        catalogue = self.visit.served.catalogue
        with Tag("div", classes="wishes"):
            with Tag("label", classes="surprise"):
                Tag("span", "Familiar")
                slider = Tag("input", type="range", min=0, max=1, step=0.1, value=0)
                slider.props["aria-label"] = "From familiar to surprising"
                Tag("span", "Surprising")
            slider.on("change", lambda event: self._ask(surprise=float(value_of(event))), js_handler=ON_VALUE)
            names = self.visit.site.service.names()
            if len(names) > 1:
                choice("Model", {name: name for name in names}, self.visit.run or names[0], self.visit.choose)
            with Tag("details", classes="filters"):
                with Tag("summary"):
                    Tag("span", "Genres and years")
                    self._narrowed = Tag("span", "", "count")
                with Tag("div", classes="genres", role="group", aria_label="Genres"):
                    for genre in catalogue.genres:
                        self._genre(genre)
                if catalogue.years is not None:
                    self._years(*catalogue.years)

    def _genre(self, genre: str) -> None:
        async def toggle() -> None:
            chosen = genre not in self.wish.genres
            others = tuple(name for name in self.wish.genres if name != genre)
            tag.props["aria-pressed"] = str(chosen).lower()
            await self._ask(genres=(*others, genre) if chosen else others)

        tag = button(genre, toggle, "chip", aria_pressed="false")

    def _years(self, first: int, last: int) -> None:
        async def ask(place: int, typed: str) -> None:
            years = list(self.wish.years)
            years[place] = int(typed) if typed.isdecimal() else None
            await self._ask(years=(years[0], years[1]))

        with Tag("div", classes="years"):
            for place, (label, hint) in enumerate((("From", first), ("To", last))):
                with Tag("label", classes="field"):
                    Tag("span", label, "field-label")
                    year = Tag("input", type="number", min=first, max=last, placeholder=hint, inputmode="numeric")
                year.on("change", lambda event, place=place: ask(place, value_of(event)), js_handler=ON_VALUE)

    async def _ask(self, **wished: object) -> None:
        self.wish = replace(self.wish, **wished)  # type: ignore[arg-type]
        n_narrowed = len(self.wish.genres) + sum(year is not None for year in self.wish.years)
        self._narrowed.text = f"{n_narrowed} chosen" if n_narrowed else ""
        await self.refresh()

    async def _show_more(self) -> None:
        """Add films to those that are shown, which stay as they are."""
        self._acted_at = 0
        await self._list(replace(self.wish, without=tuple(self._shown)), lambda: None)

    def _show(self, made: FilmList, wish: Wish) -> None:
        with self._cards:
            links = [self._card(made, listed) for listed in made.films]
            if not (links or self._shown):
                notice("No film is of such genres and years: ask for less.")
        self._shown += [listed.film.movie_id for listed in made.films]
        self._more.visible = len(made.films) == wish.k
        first = f", first {made.films[0].film.title}" if links else ""
        self._status.text = f"{len(links)} {'more ' * bool(wish.without)}films for you{first}."
        if self._acted_at is not None and links:
            focus_lost_goes_to(links[min(self._acted_at, len(links) - 1)])
        self._acted_at = None

    def _show_nothing_yet(self) -> None:
        self._clear()
        with self._cards, Tag("div", classes="nothing"):
            Tag("p", "Rate a film or two above, and films that go with them appear here.")

    def _show_notice(self, sentence: str) -> None:
        self._clear()
        with self._cards:
            notice(sentence, *(() if self.visit.served.takes_new_people else (("Choose a viewer", "/user"),)))
        self._status.text = sentence

    def _clear(self) -> None:
        self._cards.clear()
        self._shown.clear()
        self._cards.props["aria-busy"] = "false"
        self._more.visible = False
        self._status.text = ""

    def _card(self, shown: FilmList, listed: Listed) -> Tag:
        film, visit = listed.film, self.visit

        async def rate(stars: float) -> None:
            self._acted_at = listed.position - 1
            await visit.rate(film, stars, shown, listed)

        async def hide(kind: Kind) -> None:
            self._acted_at = listed.position - 1
            await visit.hide(kind, film, shown, listed)

        with Tag("article", classes="card"):
            poster(film, visit.served.catalogue)
            with Tag("div", classes="card-body"):
                with Tag("h3"):
                    link = Tag("a", film.title, href=visit.film_address(film, shown, listed.position))
                Tag("p", told(film), "meta")
                if listed.reason and listed.reason_kind:
                    reason(listed.reason, listed.reason_kind)
                with Tag("div", classes="actions"):
                    Stars(visit.served.catalogue.stars, None, f"Your stars for {film.title}", rate)
                    for kind, text in ((Kind.SEEN, "Seen it"), (Kind.NOT_INTERESTED, "Not interested")):
                        button(text, partial(hide, kind), "quiet", aria_label=f"{text}: {film.title}")
        return link
