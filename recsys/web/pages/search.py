"""The search box for films, which can be rated directly in the results."""

from __future__ import annotations

from asyncio import to_thread
from functools import partial

from recsys.counted import counted
from recsys.web.catalogue import Film
from recsys.web.pages.components import EMIT_VALUE, Tag, poster, value_of
from recsys.web.pages.rows import Action, Rows, on_action
from recsys.web.pages.tiles import viewer_stars
from recsys.web.pages.viewer_session import ViewerSession
from recsys.web.requests import MAX_QUERY

N_RESULTS = 6
_MISSING = "No film has that title. Try another part of it."
PAUSE = 0.15  # least seconds between two searches while the viewer types

# The arrow keys move between results, wherever the focus is within a result; Escape clears the query.
_KEYS = """(event) => {
    const box = event.currentTarget, input = box.querySelector("input");
    if (event.key === "Escape") { input.value = ""; input.dispatchEvent(new Event("input")); input.focus(); return; }
    const by = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!by) return;
    event.preventDefault();
    const stops = [input, ...box.querySelectorAll("li")];
    const next = stops[stops.findIndex((stop) => stop.contains(event.target)) + by];
    (next?.querySelector('[tabindex="0"]') ?? next)?.focus();
}"""


class Search:
    """A text field, and below it the matching films with stars to rate them.

    The results collapse after a rating, so that the updated recommendations are visible, and expand when the field gets
    the focus again.
    """

    def __init__(self, session: ViewerSession) -> None:
        self.session = session
        self._n_searches = 0
        self._films: dict[str, Film] = {}
        with Tag("div", classes="search", role="search") as box:
            with Tag("label", classes="field"):
                Tag("span", "Find films you know", "field-label")
                field = Tag(
                    "input", type="search", placeholder="Title of a film", autocomplete="off", maxlength=MAX_QUERY
                )
            self._status = Tag("p", "", "visually-hidden", role="status")
            self._found = Tag("ul", classes="found", aria_label="Films found")
            self._found.visible = False
            self._rows: Rows[Film] = Rows(self._found)
            on_action(self._found, self._rate)
        field.props["spellcheck"] = "false"
        field.on("focus", lambda: self._found.classes(remove="folded"))
        field.on(
            "input",
            lambda event: self._search(value_of(event)[:MAX_QUERY]),  # a client may send any length
            js_handler=EMIT_VALUE,
            throttle=PAUSE,
            leading_events=False,
        )
        box.on("keydown", js_handler=_KEYS)
        session.follow(self._follow)

    async def _search(self, typed: str) -> None:
        self._n_searches += 1
        search = self._n_searches
        films = await to_thread(self.session.loaded.catalogue.search, typed, N_RESULTS) if typed.strip() else []
        if search == self._n_searches:
            self._show(typed, films)

    def _show(self, typed: str, films: list[Film]) -> None:
        self._films = {film.movie_id: film for film in films}
        self._found.visible = bool(films)
        self._found.classes(remove="folded")
        self._found.props["data-query"] = typed
        self._show_rows()
        is_missing = bool(typed.strip()) and not films
        self._status.text = _MISSING if is_missing else _summary(len(films))
        self._status.classes(replace="missing" if is_missing else "visually-hidden")

    def _show_rows(self) -> None:
        self._rows.show(self._films, partial(_Row, self.session))

    async def _rate(self, action: Action) -> None:
        await self.session.rate_row(action)
        self._found.classes("folded")

    async def _follow(self) -> None:
        self._show_rows()


class _Row:
    """A row of the results: a film with the viewer's stars."""

    def __init__(self, session: ViewerSession, film: Film) -> None:
        self.session = session
        with Tag("li", data_key=film.movie_id) as self.element:
            poster(film, session.loaded.catalogue, "small")
            with Tag("div", classes="row-body"):
                Tag("a", film.title, href=session.film_address(film))
                Tag("span", "" if film.year is None else str(film.year), "meta")
            self._stars = viewer_stars(session, film)

    def show(self, film: Film) -> None:
        """Show the viewer's current stars; see `Row.show`."""
        self._stars.show(self.session.opinions.ratings.get(film.movie_id))


def _summary(n_films: int) -> str:
    """Return the sentence about the results that screen readers announce; "" if there are no results."""
    if not n_films:
        return ""
    return f"{counted(n_films, 'film')} found. Use the arrow keys to move between them."
