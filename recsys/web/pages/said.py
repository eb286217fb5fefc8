"""What somebody said of films, each to be changed or taken back."""

from __future__ import annotations

from recsys.web.events import Event, Kind
from recsys.web.pages.elements import Stars, Tag, button, focus_lost_goes_to
from recsys.web.pages.visit import SAID, Visit


class Said:
    """The list of a visit's opinions, latest first.

    Args:
        visit: whose.
        title: of the section.
    """

    def __init__(self, visit: Visit, title: str) -> None:
        self.visit = visit
        with Tag("section", classes="panel") as section:
            with Tag("h2", title, tabindex=-1) as self._heading:
                self._count = Tag("span", "", "count")
            section.props["aria-labelledby"] = self._heading.html_id
            self._nothing = Tag("p", "What is rated or hidden stands here, to be changed or taken back.", "meta")
            self._rows = Tag("ul", classes="rows")
        visit.follow(self.refresh)

    async def refresh(self) -> None:
        """Show what the person said by now."""
        self._count.text = str(len(self.visit.said) or "")
        self._nothing.visible = not self.visit.said
        self._rows.clear()
        with self._rows:
            for event in self.visit.said:
                self._row(event)

    def _row(self, event: Event) -> None:
        catalogue = self.visit.served.catalogue
        if event.movie_id not in catalogue.codes:
            return
        film = catalogue.film(event.movie_id)

        async def take_back() -> None:
            await self.visit.take_back(film.movie_id)
            focus_lost_goes_to(self._heading)

        with Tag("li"):
            with Tag("div", classes="row-body"):
                Tag("a", film.name, href=self.visit.film_address(film))
                if event.kind is Kind.RATING:
                    label = f"Your stars for {film.name}"
                    Stars(catalogue.stars, event.value, label, lambda stars: self.visit.rate(film, stars))
                else:
                    Tag("span", SAID[event.kind], "meta")
            button("Take back", take_back, "quiet", aria_label=f"Take back what you said of {film.name}")
