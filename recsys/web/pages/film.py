"""The page of a film: metadata, the model's prediction, the viewer's own opinion, and similar films."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Mapping

from recsys.counted import counted
from recsys.web.catalogue import Film
from recsys.web.events import MARKS, Kind
from recsys.web.lists import ListOptions, Prediction
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Section, Stars, Tag, badge, button, facts_line, poster
from recsys.web.pages.hanging_up import connected
from recsys.web.pages.layout import page_layout
from recsys.web.pages.rows import on_action
from recsys.web.pages.tiles import film_tile
from recsys.web.pages.viewer_session import MARK_LABELS, Site, ViewerSession, viewer_id

SIMILAR = 14
SIMILARITY = "The same viewers rated them more often than by chance, and the films' descriptions share words."


async def film_page(
    site: Site, loaded: LoadedRun, movie_id: str, run: str | None, user: str | None, clicked: tuple[str, int] | None
) -> None:
    """Build the page of a film.

    Args:
        site: objects that all pages share.
        loaded: the run that makes the prediction and finds similar films.
        movie_id: raw id of the film.
        run: name of the run in the URL, or None for the default run.
        user: id of the user of the data set from whose page the film was opened, or None.
        clicked: if the film was opened from a list, the id of that list and the film's position in it; otherwise None.

    Raises:
        UserError: the film does not exist.
    """
    film = loaded.catalogue.film(movie_id)
    viewer = user if user is not None and loaded.has_user(user) else viewer_id()
    session = ViewerSession(site, viewer, loaded, run, page_layout(film.name))
    with Tag("article", classes="film"):
        poster(film, loaded.catalogue, "large")
        with Tag("header", classes="film-head"):
            Tag("h1", film.title)
            Tag("p", facts_line(film), "meta")
            if session.is_served:
                _Expected(session, film)
                _OwnOpinion(session, film)
        with Tag("div", classes="film-body"):
            _description(film)
            _histogram(await to_thread(loaded.catalogue.histogram, movie_id), loaded.dataset.name)
    with Section("Similar films"):
        await _similar(session, film)
    await connected()
    if clicked is not None:
        await session.opened(film, *clicked)
    await session.changed()


class _Expected:
    """A badge with the model's prediction for the film, which appears once the viewer has ratings."""

    def __init__(self, session: ViewerSession, film: Film) -> None:
        self.session = session
        self.film = film
        self._place = Tag("div", classes="expected")
        session.follow(self._follow)

    async def _follow(self) -> None:
        session = self.session
        prediction = await to_thread(session.loaded.prediction, session.user_id, session.opinions, self.film.movie_id)
        self._place.clear()
        if prediction is not None:
            with self._place:
                badge(*_in_words(prediction))


def _in_words(prediction: Prediction) -> tuple[str, str]:
    """Return a prediction in a few words, and a sentence that explains it."""
    match = f"{int(100 * prediction.match)}%"  # rounded down, so that 100% means all others
    rank = f"The model ranks this film above {match} of the others that have not been rated yet."
    if prediction.stars is None:
        return f"{match} match", rank
    return f"★ {prediction.stars:.1f} predicted", rank


class _OwnOpinion:
    """The viewer's own stars and marks for a film, with controls to change them."""

    def __init__(self, session: ViewerSession, film: Film) -> None:
        self.session = session
        self.film = film
        whose = f"Stars of viewer {session.user_id}" if session.is_in_data else "Your stars"
        with Tag("div", classes="own", data_key=film.movie_id) as own:
            Tag("span", whose, "field-label")
            self._stars = Stars(session.loaded.catalogue.stars, None, f"{whose} for {film.title}")
            self._remove = button("Remove", lambda: session.remove(film.movie_id, [Kind.RATING]), "quiet")
            self._remove.visible = False
        on_action(own, session.rate_row)
        with Tag("div", classes="chips"):
            self._marks = {kind: self._mark_button(kind) for kind in MARK_LABELS}
        session.follow(self._follow)

    def _mark_button(self, kind: Kind) -> Tag:
        async def toggle() -> None:
            if self.session.opinions.marks.get(self.film.movie_id) is kind:
                await self.session.remove(self.film.movie_id, MARKS)
            else:
                await self.session.mark(kind, self.film)

        return button(MARK_LABELS[kind], toggle, "chip", aria_pressed="false")

    async def _follow(self) -> None:
        given = self.session.opinions.ratings.get(self.film.movie_id)
        self._stars.show(given)
        self._remove.visible = given is not None
        marked = self.session.opinions.marks.get(self.film.movie_id)
        for kind, tag in self._marks.items():
            tag.props["aria-pressed"] = str(kind is marked).lower()
            tag.visible = given is None or kind is Kind.WATCH_LATER  # a rated film has been seen


def _description(film: Film) -> None:
    """Add the plot of a film, further metadata, and links to its pages on other sites."""
    if film.plot:
        Tag("p", film.plot, "plot")
    if film.details:
        with Tag("dl", classes="details"):
            for label, words in film.details.items():
                Tag("dt", label)
                Tag("dd", words)
    if film.links:
        with Tag("p", classes="elsewhere"):
            for name, href in film.links.items():
                Tag("a", f"{name} ↗", "chip", href=href, rel="noreferrer", aria_label=f"{film.title} on {name}")


def _histogram(counts: Mapping[float, int], name: str) -> None:
    """Add a histogram of a film's ratings, as bars and as numbers."""
    n_ratings = sum(counts.values())
    with Tag("figure", classes="histogram"):
        if not n_ratings:
            Tag("figcaption", f"No ratings in {name}.")
            return
        mean = sum(stars * count for stars, count in counts.items()) / n_ratings
        Tag("figcaption", f"{counted(n_ratings, 'rating')} in {name}, {mean:.1f} stars on average")
        with Tag("table"), Tag("tbody"):
            for stars, count in sorted(counts.items(), reverse=True):
                with Tag("tr"):
                    Tag("th", f"{stars:g} ★", scope="row", aria_label=f"{stars:g} stars")
                    with Tag("td", classes="bar-cell", aria_hidden="true"):
                        Tag("span", classes="bar").style(f"width: {100 * count / max(counts.values()):.1f}%")
                    Tag("td", f"{count:,}", "number")


async def _similar(session: ViewerSession, film: Film) -> None:
    """Add the films that are most similar to a film."""
    near = await to_thread(session.loaded.similar, film.movie_id, ListOptions(k=SIMILAR))
    Tag("p", SIMILARITY if near else "No film has viewers or words in common with it.", "meta")
    with Tag("ul", classes="strip"):
        for other, _ in near:
            film_tile(session, other)
