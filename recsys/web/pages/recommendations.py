"""The list of recommendations on a page, which follows the viewer's feedback and filters."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from recsys.errors import UserError
from recsys.web.events import Kind
from recsys.web.lists import FilmList, ListedFilm, ListOptions
from recsys.web.pages.components import (
    EMIT_VALUE,
    Stars,
    Tag,
    button,
    choice,
    notice,
    poster,
    reason,
    restore_focus,
    skeletons,
    value_of,
    year_and_genres,
)
from recsys.web.pages.viewer_session import ViewerSession

PAGE_SIZE = 12


class Recommendations:
    """Recommended films as cards, with the controls that filter and reorder them.

    Args:
        session: the viewer's session.
        title: heading of the section.
    """

    def __init__(self, session: ViewerSession, title: str) -> None:
        self.session = session
        self.options = ListOptions(k=PAGE_SIZE)
        self._shown: list[str] = []
        self._n_requests = 0
        self._display = asyncio.Lock()
        self._focus_place: int | None = None  # place from 0 of the card that was acted on, where the focus belongs
        with Tag("section", classes="recommendations") as section:
            heading = Tag("h2", title)
            section.props["aria-labelledby"] = heading.html_id
            self._controls()
            self._status = Tag("p", "", "visually-hidden", role="status")
            with Tag("div", classes="cards") as self._cards:
                skeletons(6)
            self._more = button("Show more", self._show_more, "more")
            self._more.visible = False
        session.follow(self.refresh)

    async def refresh(self) -> None:
        """Replace the list by a new one."""
        self._cards.props["aria-busy"] = "true"
        options = replace(self.options, k=max(PAGE_SIZE, len(self._shown)))
        await self._request(options, self._clear)

    async def _request(self, options: ListOptions, make_room: Callable[[], None]) -> None:
        """Request films and show them, unless there is a later request.

        A list is logged before it is shown, so that a click on it never precedes its impressions. Only one list is
        logged and shown at a time, so every logged list is seen.
        """
        self._n_requests += 1
        request = self._n_requests
        session, service = self.session, self.session.site.service
        has_opinions = bool(session.opinions.ratings) or session.is_in_data
        try:
            listed = None
            if has_opinions or not session.loaded.scores_new_users:
                listed = await to_thread(service.build_list, session.user_id, options, session.run)
            async with self._display:
                if request != self._n_requests:
                    return
                if listed is None:
                    self._show_invitation()
                    return
                if listed.films:
                    await to_thread(service.log_list, session.user_id, options, listed)
                make_room()
                self._show(listed, options)
        except UserError as error:
            if request == self._n_requests:
                self._show_notice(str(error))

    def _controls(self) -> None:
        catalogue = self.session.loaded.catalogue
        with Tag("div", classes="controls"):
            with Tag("label", classes="surprise"):
                Tag("span", "Familiar")
                slider = Tag("input", type="range", min=0, max=1, step=0.1, value=0)
                slider.props["aria-label"] = "From familiar to surprising"
                Tag("span", "Surprising")
            slider.on("change", lambda event: self._change(surprise=float(value_of(event))), js_handler=EMIT_VALUE)
            names = self.session.site.service.run_names()
            if len(names) > 1:
                current = self.session.run or names[0]
                choice("Model", {name: name for name in names}, current, self.session.choose_run)
            with Tag("details", classes="filters"):
                with Tag("summary"):
                    Tag("span", "Genres and years")
                    self._n_filters = Tag("span", "", "count")
                with Tag("div", classes="genres", role="group", aria_label="Genres"):
                    for genre in catalogue.genres:
                        self._genre_button(genre)
                if catalogue.years is not None:
                    self._year_fields(*catalogue.years)

    def _genre_button(self, genre: str) -> None:
        async def toggle() -> None:
            is_chosen = genre not in self.options.genres
            others = tuple(name for name in self.options.genres if name != genre)
            tag.props["aria-pressed"] = str(is_chosen).lower()
            await self._change(genres=(*others, genre) if is_chosen else others)

        tag = button(genre, toggle, "chip", aria_pressed="false")

    def _year_fields(self, first: int, last: int) -> None:
        async def change(place: int, typed: str) -> None:
            years = list(self.options.years)
            years[place] = int(typed) if typed.isdecimal() else None
            await self._change(years=(years[0], years[1]))

        with Tag("div", classes="years"):
            for place, (label, hint) in enumerate((("From", first), ("To", last))):
                with Tag("label", classes="field"):
                    Tag("span", label, "field-label")
                    year = Tag("input", type="number", min=first, max=last, placeholder=hint, inputmode="numeric")
                year.on("change", lambda event, place=place: change(place, value_of(event)), js_handler=EMIT_VALUE)

    async def _change(self, **options: object) -> None:
        self.options = replace(self.options, **options)  # type: ignore[arg-type]
        n_filters = len(self.options.genres) + sum(year is not None for year in self.options.years)
        self._n_filters.text = f"{n_filters} chosen" if n_filters else ""
        await self.refresh()

    async def _show_more(self) -> None:
        """Append further films to the list."""
        self._focus_place = 0
        await self._request(replace(self.options, without=tuple(self._shown)), lambda: None)

    def _show(self, listed: FilmList, options: ListOptions) -> None:
        with self._cards:
            links = [self._card(listed, film) for film in listed.films]
            if not (links or self._shown):
                notice("No film has these genres and years: choose fewer genres or a longer period.")
        self._shown += [film.film.movie_id for film in listed.films]
        self._more.visible = len(listed.films) == options.k
        first = f", starting with {listed.films[0].film.title}" if links else ""
        self._status.text = f"{len(links)} {'more ' * bool(options.without)}films for you{first}."
        if self._focus_place is not None and links:
            restore_focus(links[min(self._focus_place, len(links) - 1)])
        self._focus_place = None

    def _show_invitation(self) -> None:
        self._clear()
        with self._cards, Tag("div", classes="invitation"):
            Tag("p", "Rate a film or two above, and recommendations appear here.")

    def _show_notice(self, sentence: str) -> None:
        self._clear()
        with self._cards:
            notice(sentence, *(() if self.session.loaded.scores_new_users else (("Choose a viewer", "/user"),)))
        self._status.text = sentence

    def _clear(self) -> None:
        self._cards.clear()
        self._shown.clear()
        self._cards.props["aria-busy"] = "false"
        self._more.visible = False
        self._status.text = ""

    def _card(self, shown: FilmList, listed: ListedFilm) -> Tag:
        film, session = listed.film, self.session

        async def rate(stars: float) -> None:
            self._focus_place = listed.position - 1
            await session.rate(film, stars, shown, listed)

        async def hide(kind: Kind) -> None:
            self._focus_place = listed.position - 1
            await session.hide(kind, film, shown, listed)

        with Tag("article", classes="card"):
            poster(film, session.loaded.catalogue)
            with Tag("div", classes="card-body"):
                with Tag("h3"):
                    link = Tag("a", film.title, href=session.film_address(film, shown, listed.position))
                Tag("p", year_and_genres(film), "meta")
                if listed.reason and listed.reason_kind:
                    reason(listed.reason, listed.reason_kind)
                with Tag("div", classes="actions"):
                    Stars(session.loaded.catalogue.stars, None, f"Your stars for {film.title}", rate)
                    for kind, text in ((Kind.SEEN, "Seen it"), (Kind.NOT_INTERESTED, "Not interested")):
                        button(text, partial(hide, kind), "quiet", aria_label=f"{text}: {film.title}")
        return link
