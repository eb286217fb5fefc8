"""Two runs side by side on one history."""

from __future__ import annotations

from asyncio import to_thread
from functools import partial

from nicegui import ui

from recsys.errors import UserError
from recsys.web.pages.elements import ON_VALUE, Tag, address, choice, notice, poster, told, value_of
from recsys.web.pages.frame import Bar, frame
from recsys.web.pages.visit import Site, visitor
from recsys.web.served import FilmList, Served, Wish

COMPARED = 10
METRICS = ("ndcg@10", "hr@10", "coverage@10", "novelty@10", "rmse")


async def compare(site: Site, runs: tuple[str, str], user: str) -> None:
    """Build the page.

    Args:
        site: what all pages share.
        runs: names of the two.
        user: of the data set, whose history both get; with none, one's own ratings.
    """
    bar = frame("Compare models", "/compare")
    with Tag("div", classes="hero"):
        Tag("h1", "Two models, one history")
        Tag("p", "The same ratings go to both. Films that both recommend are marked.")
    comparison = _Comparison(site, list(runs), user, bar)
    await ui.context.client.connected()
    await comparison.refresh()


class _Comparison:
    """What is compared, and the two lists."""

    def __init__(self, site: Site, runs: list[str], user: str, bar: Bar) -> None:
        self.site = site
        self.runs = runs
        self.user = user
        self.visitor = visitor()
        self.bar = bar
        self._asked = 0
        names = {name: name for name in site.service.names()}
        with Tag("div", classes="wishes"):
            for place, label in enumerate(("First model", "Second model")):
                choice(label, names, runs[place], partial(self._choose, place))
            with Tag("label", classes="field"):
                Tag("span", "History of viewer", "field-label")
                field = Tag("input", value=user, placeholder="your own ratings", autocomplete="off", maxlength=255)
        field.on("change", lambda event: self._choose_user(value_of(event)), js_handler=ON_VALUE)
        self._status = Tag("p", "", "unseen", role="status")
        self._sides = Tag("div", classes="sides")

    async def refresh(self) -> None:
        """Ask both runs for their lists and show them, unless others were chosen meanwhile."""
        self._asked += 1
        asked = self._asked
        ui.navigate.history.replace(address("compare", a=self.runs[0], b=self.runs[1], user=self.user))
        sides = [await to_thread(self._side, name) for name in self.runs]
        if asked != self._asked:
            return
        lists = [{listed.film.movie_id for listed in made.films} for _, made in sides if isinstance(made, FilmList)]
        both = set.intersection(*lists) if len(lists) == len(sides) else set()
        self._sides.clear()
        with self._sides:
            for served, made in sides:
                self._show(served, made, both)
        self._status.text = f"{len(both)} of {COMPARED} films are in both lists."

    async def _choose(self, place: int, name: str) -> None:
        with self.bar.refusals():
            await to_thread(self.site.service.served, name)
            self.runs[place] = name
        await self.refresh()

    async def _choose_user(self, typed: str) -> None:
        self.user = typed.strip()
        await self.refresh()

    def _side(self, name: str) -> tuple[Served, FilmList | str]:
        """A run and its list, or the sentence that says why it has none."""
        served = self.site.service.served(name)
        opinions = self.site.service.store.opinions(self.user or self.visitor)
        if self.user and not served.is_known(self.user):
            return served, f"There is no viewer {self.user} in {served.dataset.name}."
        if not (self.user or opinions.ratings):
            return served, "You have rated nothing yet: rate a film first, or name a viewer."
        try:
            return served, served.recommend(self.user or self.visitor, opinions, Wish(k=COMPARED))
        except UserError as error:
            return served, str(error)

    def _show(self, served: Served, made: FilmList | str, both: set[str]) -> None:
        with Tag("section", classes="panel") as section:
            heading = Tag("h2", served.name)
            section.props["aria-labelledby"] = heading.html_id
            with Tag("dl", classes="metrics"):
                for name in METRICS:
                    if (value := served.run.metrics.get(f"test/{name}")) is not None:
                        with Tag("div"):
                            Tag("dt", name)
                            Tag("dd", f"{value:.4f}")
            if isinstance(made, str):
                notice(made)
                return
            with Tag("ol", classes="ranked"):
                for listed in made.films:
                    film = listed.film
                    with Tag("li", classes="shared" if film.movie_id in both else ""):
                        poster(film, served.catalogue, "small")
                        with Tag("div", classes="row-body"):
                            href = address("film", film.movie_id, user=self.user)
                            Tag("a", film.title, href=href)
                            Tag("span", told(film), "meta")
                        if film.movie_id in both:
                            Tag("span", "in both", "badge")
