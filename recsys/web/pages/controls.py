"""The controls of a list: degree of surprise, arrangement, model, genres and years."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from recsys.web.catalogue import Catalogue
from recsys.web.lists import ListOptions, Order
from recsys.web.pages.components import EMIT_VALUE, Chips, Tag, choice, value_of
from recsys.web.pages.viewer_session import ViewerSession

PAGE_SIZE = 12
SHELVES = "shelves"


class Controls:
    """The controls of a list, and what the viewer has chosen with them.

    Args:
        session: the viewer's session.
        changed: function that is called after each choice.

    Attributes:
        options: the chosen options of the list.
        element: HTML element that contains the controls.
        is_in_shelves: whether the films are arranged in one list per genre.
    """

    def __init__(self, session: ViewerSession, changed: Callable[[], Awaitable[None]]) -> None:
        self.session = session
        self.options = ListOptions(k=PAGE_SIZE)
        self.is_in_shelves = False
        self._changed = changed
        with Tag("div", classes="controls") as self.element:
            self._surprise()
            choice("Arrange", _arrangements(session.loaded.catalogue), Order.BEST.value, self._arrange)
            runs = session.runs()
            if len(runs) > 1:
                choice("Model", {name: name for name in runs}, session.run or runs[0], session.choose_run)
            self._filters()

    def _surprise(self) -> None:
        with Tag("label", classes="surprise"):
            Tag("span", "Familiar")
            slider = Tag("input", type="range", min=0, max=1, step=0.1, value=0)
            slider.props["aria-label"] = "From familiar to surprising"
            Tag("span", "Surprising")
        slider.on("change", lambda event: self._change(surprise=float(value_of(event))), js_handler=EMIT_VALUE)

    def _filters(self) -> None:
        catalogue = self.session.loaded.catalogue
        with Tag("details", classes="filters"):
            with Tag("summary"):
                Tag("span", "Genres and years")
                self._n_filters = Tag("span", "", "count")
            self._genres = Chips("Genres", catalogue.genres, self._toggle)
            if catalogue.years is not None:
                self._year_fields(*catalogue.years)

    async def _toggle(self, genre: str) -> None:
        """Add a genre to the chosen ones, or remove it if it is already chosen."""
        if genre not in self.session.loaded.catalogue.genres:
            return
        others = tuple(name for name in self.options.genres if name != genre)
        chosen = others if genre in self.options.genres else (*others, genre)
        self._genres.show(chosen)
        await self._change(genres=chosen)

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

    async def _arrange(self, arrangement: str) -> None:
        self.is_in_shelves = arrangement == SHELVES
        await self._change(order=Order.BEST if self.is_in_shelves else Order(arrangement))

    async def _change(self, **options: object) -> None:
        self.options = replace(self.options, **options)  # type: ignore[arg-type]
        n_filters = len(self.options.genres) + sum(year is not None for year in self.options.years)
        self._n_filters.text = f"{n_filters} chosen" if n_filters else ""
        await self._changed()


def _arrangements(catalogue: Catalogue) -> dict[str, str]:
    """Return the arrangements that the films' metadata allow, for the argument `options` of `choice`."""
    by_year = {Order.NEWEST.value: "Newest first", Order.OLDEST.value: "Oldest first"}
    by_genre = {SHELVES: "By genre"}
    best = {Order.BEST.value: "Best first"}
    return best | (by_year if catalogue.years is not None else {}) | (by_genre if catalogue.genres else {})
