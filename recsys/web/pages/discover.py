"""The start page: viewers rate films, and each rating updates their recommendations."""

from __future__ import annotations

from asyncio import to_thread

from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Skeletons, Stars, Tag, notice, restore_focus, yield_to_requests
from recsys.web.pages.cookies import cookie
from recsys.web.pages.feedback_panel import OWN_FILMS, WATCHLIST, FeedbackPanel
from recsys.web.pages.hanging_up import connected
from recsys.web.pages.layout import page_layout
from recsys.web.pages.links import address
from recsys.web.pages.own_history import history_invitation
from recsys.web.pages.recommendations import Recommendations
from recsys.web.pages.rows import on_action
from recsys.web.pages.search import Search
from recsys.web.pages.tiles import rated_tile
from recsys.web.pages.viewer_session import VIEWER, Site, ViewerSession, viewer_id

WELL_KNOWN = 9


async def discover_page(site: Site, loaded: LoadedRun, run: str | None) -> None:
    """Build the start page.

    Args:
        site: objects that all pages share.
        loaded: the run that recommends.
        run: name of the run in the URL, or None for the default run.
    """
    snackbar = page_layout("Discover films", "/")
    is_first_visit = not cookie(VIEWER)
    session = ViewerSession(site, viewer_id(), loaded, run, snackbar)
    if not session.is_served:
        _known_viewers_only(session)
        return
    if not is_first_visit:
        await session.read_opinions()
    with Tag("div", classes="hero parted"):
        with Tag("div"):
            Tag("h1", "What would you like to watch?")
            intro = Tag(
                "p", "Rate a few films you know. Your recommendations update with every rating, each with its reason."
            )
            intro.visible = not session.opinions.ratings
        with Tag("div"):
            Search(session)
            history_invitation(session)
    await yield_to_requests()
    well_known = _WellKnownFilms(session)
    await yield_to_requests()
    panels = WATCHLIST, OWN_FILMS
    with Tag("div", classes="columns"):
        Recommendations(session, "For you", panels)
        await yield_to_requests()
        with Tag("aside", classes="side", aria_label="Your feedback"):
            for panel in panels:
                FeedbackPanel(session, panel)

    async def follow() -> None:
        intro.visible = not session.opinions.ratings

    session.follow(follow)
    await connected()
    await session.changed()
    await well_known.fill()


def _known_viewers_only(session: ViewerSession) -> None:
    """Add a notice that the run cannot serve new viewers, with links to runs that can."""
    model, dataset = type(session.loaded.model).__name__, session.loaded.dataset
    links = [("Choose a viewer", address("user", run=session.run))]
    links += [(f"Use the model {name}", address("", run=name)) for name in session.runs()]
    with Tag("div", classes="hero"):
        Tag("h1", "For known viewers only")
        notice(
            f"{model} recommends only to the {dataset.n_users:,} viewers of {dataset.name}, from whose ratings it was "
            "trained. It cannot use the ratings of anyone else.",
            *links,
        )


class _WellKnownFilms:
    """A section with well-known films for a new viewer to rate; it collapses after the first rating.

    Args:
        session: the viewer's session.
    """

    def __init__(self, session: ViewerSession) -> None:
        self.session = session
        self._shown: dict[str, Stars] = {}
        self._is_open = not session.opinions.ratings
        with Tag("details", classes="start", open=self._is_open) as self._details:
            with Tag("summary") as self._summary:
                Tag("h2", "Start with these")
            with Tag("ul", classes="strip row") as self._strip:
                on_action(self._strip, session.rate_row)
                Skeletons(WELL_KNOWN)
        session.follow(self._follow)

    async def fill(self) -> None:
        """Replace the placeholders with the films."""
        films = await to_thread(self.session.loaded.first_films, WELL_KNOWN)
        self._strip.clear()
        with self._strip:
            self._shown = {film.movie_id: rated_tile(self.session, film) for film in films}

    async def _follow(self) -> None:
        ratings = self.session.opinions.ratings
        for movie_id, stars in self._shown.items():
            stars.show(ratings.get(movie_id))
        if self._is_open == bool(ratings):  # at the first rating, and when the last one is removed
            self._is_open = not ratings
            self._details.props["open"] = self._is_open
            if not self._is_open:
                restore_focus(self._summary)
