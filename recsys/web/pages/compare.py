"""The page that compares the lists of two runs for one viewer."""

from __future__ import annotations

from asyncio import to_thread
from functools import partial

from nicegui import ui

from recsys.errors import UserError
from recsys.web.lists import FilmList, ListOptions
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import EMIT_VALUE, Section, Tag, choice, facts_line, notice, poster, value_of
from recsys.web.pages.hanging_up import connected
from recsys.web.pages.layout import Snackbar, page_layout
from recsys.web.pages.links import address
from recsys.web.pages.metrics_panel import metrics_panel
from recsys.web.pages.viewer_session import Site, viewer_id

LENGTH = 10
METRICS = ("ndcg@10", "hr@10", "coverage@10", "novelty@10", "rmse")


async def compare_page(site: Site, runs: tuple[str, str], user: str) -> None:
    """Build the page that compares the lists of two runs.

    Args:
        site: objects that all pages share.
        runs: names of the two runs.
        user: id of a user of the data set, whose history both runs get; empty for the viewer's own ratings.
    """
    snackbar = page_layout("Compare models", "/compare")
    with Tag("div", classes="hero"):
        Tag("h1", "Two models, one history")
        Tag("p", "Both models get the same ratings. Films that both recommend are marked.")
    comparison = _Comparison(site, list(runs), user, snackbar)
    await connected()
    await comparison.refresh()


class _Comparison:
    """The controls that choose two runs and a history, and the two lists, which are side by side even on a phone."""

    def __init__(self, site: Site, runs: list[str], user: str, snackbar: Snackbar) -> None:
        self.site = site
        self.runs = runs
        self.user = user
        self.viewer = viewer_id()
        self.snackbar = snackbar
        self._n_refreshes = 0
        names = {name: name for name in site.service.run_names()}
        with Tag("div", classes="controls"):
            for place, label in enumerate(("First model", "Second model")):
                choice(label, names, runs[place], partial(self._choose, place))
            with Tag("label", classes="field"):
                Tag("span", "Viewer", "field-label")
                field = Tag("input", value=user, placeholder="you, or an id", autocomplete="off", maxlength=255)
        field.on("change", lambda event: self._choose_user(value_of(event)), js_handler=EMIT_VALUE)
        self._status = Tag("p", "", "visually-hidden", role="status")
        self._sides = Tag("div", classes="sides pair")
        self._metrics = Tag("div")

    async def refresh(self) -> None:
        """Compute and show the lists of both runs, unless the viewer makes another choice in the meantime."""
        self._n_refreshes += 1
        refresh = self._n_refreshes
        ui.navigate.history.replace(address("compare", a=self.runs[0], b=self.runs[1], user=self.user))
        sides = [await to_thread(self._side, name) for name in self.runs]
        if refresh != self._n_refreshes:
            return
        lists = [
            {listed.film.movie_id for listed in result.films} for _, result in sides if isinstance(result, FilmList)
        ]
        both = set.intersection(*lists) if len(lists) == len(sides) else set()
        self._sides.clear()
        with self._sides:
            for loaded, result in sides:
                self._show(loaded, result, both)
        self._metrics.clear()
        with self._metrics:
            metrics_panel([loaded for loaded, _ in sides], METRICS)
        self._status.text = f"Films in both lists: {len(both)} of {LENGTH}."

    async def _choose(self, place: int, name: str) -> None:
        with self.snackbar.show_errors():
            await to_thread(self.site.service.loaded_run, name)
            self.runs[place] = name
        await self.refresh()

    async def _choose_user(self, typed: str) -> None:
        self.user = typed.strip()
        await self.refresh()

    def _side(self, name: str) -> tuple[LoadedRun, FilmList | str]:
        """Return a run together with its list or, if the run cannot make a list, with the reason as text."""
        loaded = self.site.service.loaded_run(name)
        if self.user and not loaded.has_user(self.user):
            return loaded, f"There is no viewer {self.user} in {loaded.dataset.name}."
        try:
            opinions = self.site.service.opinions(self.user or self.viewer)
            if not (self.user or opinions.ratings):
                return loaded, "You have not rated any films yet. Rate one first, or enter the id of a viewer."
            return loaded, loaded.recommend(self.user or self.viewer, opinions, ListOptions(k=LENGTH))
        except UserError as error:
            return loaded, str(error)

    def _show(self, loaded: LoadedRun, result: FilmList | str, both: set[str]) -> None:
        with Section(loaded.name):
            if isinstance(result, str):
                notice(result)
                return
            with Tag("ol", classes="ranked"):
                for listed in result.films:
                    film = listed.film
                    with Tag("li", classes="shared" if film.movie_id in both else ""):
                        poster(film, loaded.catalogue, "small")
                        with Tag("div", classes="row-body"):
                            href = address("film", film.movie_id, user=self.user)
                            Tag("a", film.title, href=href)
                            Tag("span", facts_line(film), "meta")
                        if film.movie_id in both:
                            Tag("span", "in both", "badge")
