"""Films by what one types of their titles, to rate them where they are found."""

from __future__ import annotations

from asyncio import to_thread

from recsys.web.catalogue import Film
from recsys.web.pages.elements import ON_VALUE, Stars, Tag, poster, value_of
from recsys.web.pages.visit import Visit

FOUND = 6
PAUSE = 0.15  # seconds between two questions while somebody types

# Up and down go from film to film, wherever in a film's stars the focus is; Escape clears what was typed.
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
    """A box to type in, and under it the films that may be meant, each with stars to give."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self._asked = 0
        self._shown: dict[str, Stars] = {}
        with Tag("div", classes="search", role="search") as box:
            with Tag("label", classes="field"):
                Tag("span", "Find films you know", "field-label")
                field = Tag("input", type="search", placeholder="Title of a film", autocomplete="off", maxlength=100)
            self._status = Tag("p", "", "unseen", role="status")
            self._found = Tag("ul", classes="found", aria_label="Films found")
            self._found.visible = False
        field.props["spellcheck"] = "false"
        field.on(
            "input",
            lambda event: self._search(value_of(event)),
            js_handler=ON_VALUE,
            throttle=PAUSE,
            leading_events=False,
        )
        box.on("keydown", js_handler=_KEYS)
        visit.follow(self._follow)

    async def _search(self, typed: str) -> None:
        self._asked += 1
        asked = self._asked
        films = await to_thread(self.visit.served.catalogue.search, typed, FOUND) if typed.strip() else []
        if asked == self._asked:
            self._show(typed, films)

    def _show(self, typed: str, films: list[Film]) -> None:
        self._shown.clear()
        self._found.clear()
        self._found.visible = bool(films)
        with self._found:
            for film in films:
                self._row(film)
        nothing = bool(typed.strip()) and not films
        told = f"Films found: {len(films)}. Arrows go from one to the next." if films else ""
        self._status.text = "No film is called like that: try another part of its title." if nothing else told
        self._status.classes(**{"remove" if nothing else "add": "unseen"})

    def _row(self, film: Film) -> None:
        catalogue = self.visit.served.catalogue
        with Tag("li"):
            poster(film, catalogue, "small")
            with Tag("div", classes="row-body"):
                Tag("a", film.title, href=self.visit.film_address(film))
                Tag("span", "" if film.year is None else str(film.year), "meta")
            given = self.visit.opinions.ratings.get(film.movie_id)
            stars = Stars(
                catalogue.stars, given, f"Your stars for {film.name}", lambda value: self.visit.rate(film, value)
            )
            self._shown[film.movie_id] = stars

    async def _follow(self) -> None:
        for movie_id, stars in self._shown.items():
            stars.show(self.visit.opinions.ratings.get(movie_id))
