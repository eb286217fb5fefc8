"""Panels in which viewers see, change and remove their feedback, and links to these panels for narrow screens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from nicegui import ui

from recsys.web.events import Event, Kind
from recsys.web.pages.components import RATE, Section, Stars, Tag, button, restore_focus
from recsys.web.pages.rows import Action, Rows, action_button, on_action
from recsys.web.pages.tiles import viewer_stars
from recsys.web.pages.viewer_session import MARK_LABELS, ViewerSession

FILE = "ratings.csv"
REMOVE = "remove"


@dataclass(frozen=True)
class Panel:
    """Describes the contents of a feedback panel.

    Attributes:
        anchor: id of the panel's HTML element.
        title: heading of the panel.
        kinds: kinds of feedback that the panel lists.
        hint: sentence that is shown if there is no feedback; if the sentence is "", the panel is hidden instead.
    """

    anchor: str
    title: str
    kinds: tuple[Kind, ...]
    hint: str = ""

    def events(self, session: ViewerSession) -> list[Event]:
        """Return the viewer's feedback of the panel's kinds, latest first."""
        return [event for event in session.events if event.kind in self.kinds]


WATCHLIST = Panel("watchlist", "Watchlist", (Kind.WATCH_LATER,))
OWN_FILMS = Panel(
    "own-films",
    "Your films",
    (Kind.RATING, Kind.SEEN, Kind.NOT_INTERESTED),
    "The films you rate or hide are listed here. You can change or remove them at any time.",
)


class FeedbackPanel:
    """A panel that lists the viewer's feedback, latest first.

    Args:
        session: the viewer's session.
        panel: contents of the panel.
    """

    def __init__(self, session: ViewerSession, panel: Panel) -> None:
        self.session = session
        self.panel = panel
        with Section(panel.title, id=panel.anchor) as self._section:
            self._section.heading.props["tabindex"] = -1
            with self._section.heading:
                self._count = Tag("span", "", "count")
            self._hint = Tag("p", panel.hint, "meta")
            place = Tag("ul", classes="rows")
            self._rows: Rows[Event] = Rows(place)
            on_action(place, self._act)
            self._download = button("Download ratings (CSV)", self._send_ratings, "quiet")
        self._section.visible, self._download.visible = bool(panel.hint), False  # until the feedback is known
        session.follow(self.refresh)

    async def refresh(self) -> None:
        """Update the panel to the viewer's current feedback."""
        codes = self.session.loaded.catalogue.codes
        events = [event for event in self.panel.events(self.session) if event.movie_id in codes]
        self._section.visible = bool(events or self.panel.hint)
        self._count.text = str(len(events) or "")
        self._hint.visible = not events
        self._download.visible = any(event.kind is Kind.RATING for event in events)
        self._rows.show(
            {(event.movie_id, event.kind): event for event in events}, partial(_Row, self.session, self.panel)
        )

    async def _act(self, action: Action) -> None:
        if action.name == RATE:
            await self.session.rate_row(action)
        elif action.name == REMOVE:
            await self.session.remove(action.key, self.panel.kinds)
            restore_focus(self._section.heading)

    async def _send_ratings(self) -> None:
        """Send the ratings as a file over the page's WebSocket, so that no URL contains the viewer's secret id."""
        with self.session.show_errors():
            ui.download.content(await self.session.ratings_as_csv(), FILE, "text/csv")


class _Row:
    """A row of a feedback panel: a film with the viewer's stars or mark."""

    def __init__(self, session: ViewerSession, panel: Panel, event: Event) -> None:
        self.session = session
        film = session.loaded.catalogue.film(str(event.movie_id))
        self._stars: Stars | None = None
        with Tag("li", data_key=film.movie_id) as self.element:
            with Tag("div", classes="row-body"):
                Tag("a", film.name, href=session.film_address(film))
                if event.kind in (Kind.RATING, Kind.WATCH_LATER):
                    self._stars = viewer_stars(session, film)
                else:
                    Tag("span", MARK_LABELS[event.kind], "meta")
            action_button("Remove", REMOVE, "quiet", aria_label=f"Remove {film.name} from {panel.title}")

    def show(self, event: Event) -> None:
        """Show the viewer's current stars; see `Row.show`."""
        if self._stars is not None:
            self._stars.show(self.session.opinions.ratings.get(str(event.movie_id)))


def panel_links(session: ViewerSession, panels: Sequence[Panel]) -> None:
    """Add links to the panels that are not empty, for narrow screens, on which the panels are below a long list."""
    with Tag("nav", classes="jumps", aria_label="Feedback on this page"):
        links = {panel: Tag("a", panel.title, href=f"#{panel.anchor}") for panel in panels}

    async def refresh() -> None:
        for panel, link in links.items():
            n_events = len(panel.events(session))
            link.visible = n_events > 0
            link.text = f"{panel.title} ({n_events})"

    session.follow(refresh)
