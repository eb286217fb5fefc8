"""The panel with a viewer's feedback, which can be changed or undone."""

from __future__ import annotations

from recsys.web.events import Event, Kind
from recsys.web.pages.components import Stars, Tag, button, restore_focus
from recsys.web.pages.viewer_session import HIDDEN_LABELS, ViewerSession


class FeedbackPanel:
    """Lists the viewer's ratings and hidden films, the latest first.

    Args:
        session: the viewer's session.
        title: heading of the panel.
    """

    def __init__(self, session: ViewerSession, title: str) -> None:
        self.session = session
        with Tag("section", classes="panel") as section:
            with Tag("h2", title, tabindex=-1) as self._heading:
                self._count = Tag("span", "", "count")
            section.props["aria-labelledby"] = self._heading.html_id
            self._hint = Tag("p", "Films that you rate or hide appear here, to be changed or taken back.", "meta")
            self._rows = Tag("ul", classes="rows")
        session.follow(self.refresh)

    async def refresh(self) -> None:
        """Show the current feedback."""
        self._count.text = str(len(self.session.events) or "")
        self._hint.visible = not self.session.events
        self._rows.clear()
        with self._rows:
            for event in self.session.events:
                self._row(event)

    def _row(self, event: Event) -> None:
        catalogue = self.session.loaded.catalogue
        if event.movie_id not in catalogue.codes:
            return
        film = catalogue.film(event.movie_id)

        async def take_back() -> None:
            await self.session.take_back(film.movie_id)
            restore_focus(self._heading)

        with Tag("li"):
            with Tag("div", classes="row-body"):
                Tag("a", film.name, href=self.session.film_address(film))
                if event.kind is Kind.RATING:
                    label = f"Your stars for {film.name}"
                    Stars(catalogue.stars, event.value, label, lambda stars: self.session.rate(film, stars))
                else:
                    Tag("span", HIDDEN_LABELS[event.kind], "meta")
            button("Take back", take_back, "quiet", aria_label=f"Take back your feedback on {film.name}")
