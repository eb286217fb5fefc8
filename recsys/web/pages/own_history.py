"""The page on which viewers upload their history from another service.

The films in the file are matched with the films of the data set. The page shows which films were matched, which were
not, and why. The viewer then chooses to use the matched films for this visit only, or to store them as feedback.
"""

from __future__ import annotations

import sys
from asyncio import to_thread
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from secrets import token_hex

from nicegui import ui
from nicegui.events import GenericEventArguments, UploadEventArguments

from recsys.analysis.history_files.entries import read_history
from recsys.analysis.history_files.matching import MatchedFilm, MatchedHistory, UnmatchedFilm, uncertain_first
from recsys.analysis.history_files.tables import MAX_BYTES
from recsys.analysis.history_files.title_index import TITLE_ALONE
from recsys.counted import counted
from recsys.errors import UserError
from recsys.web.events import Event, Kind
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Section, Tag, button, fixed_stars, notice
from recsys.web.pages.layout import Snackbar, page_layout
from recsys.web.pages.links import address
from recsys.web.pages.rows import Action, Rows, action_button, on_action
from recsys.web.pages.viewer_session import Site, ViewerSession, viewer_id
from recsys.web.recommendation_service import now
from recsys.web.visits import VISIT_SECONDS, BroughtHistory

MAX_NAME = 100  # characters of a file name that are shown
N_SHOWN = 12  # films of a list that are shown before "Show all"
TOO_LARGE = f"The file must have at most {MAX_BYTES // 2**20} MB."
FAILED = "The file could not be sent. Please try again."
SOURCES = {
    "Letterboxd": "Settings, Data, Export your data: the zip file, or one of the CSV files in it.",
    "IMDb": "Your ratings, Export: a CSV file.",
    "Netflix": "Account, your profile, Viewing activity, Download all: NetflixViewingHistory.csv.",
    "Trakt": "Settings, Data, Export: a JSON file of your ratings or your history.",
    "MovieLens": "Account settings, Export ratings: a CSV file.",
    "A list of your own": "A CSV file with a column 'title', and if you have them 'year' and 'rating'.",
}
# Sends the chosen file to the URL of the upload element, or emits the reason if it cannot.
_SEND = """async (event) => {{
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    if (file.size > {max_bytes}) return emit("{too_large}");
    const body = new FormData();
    body.append("file", file);
    try {{
        const response = await fetch((window.path_prefix || "") + "{url}", {{method: "POST", body}});
        if (!response.ok) emit(response.status === 413 ? "{too_large}" : "{failed}");
    }} catch {{ emit("{failed}"); }}
}}"""


def history_invitation(session: ViewerSession) -> None:
    """Add a link to the page for uploads, which is hidden once the viewer has ratings.

    While an uploaded history is in use, the link is always shown.
    """
    visit = session.site.service.visits.history(session.user_id)
    with Tag("p") as line:
        line.visible = visit is not None or not session.opinions.ratings
        if visit is not None:
            Tag("span", f"For this visit: {counted(len(visit.ratings), 'film')} from {visit.source}. ")
        text = "Or bring your history from elsewhere" if visit is None else "Change"
        Tag("a", text, "link", href=address("history", run=session.run))

    async def follow() -> None:
        line.visible = visit is not None or not session.opinions.ratings

    session.follow(follow)


async def history_page(site: Site, loaded: LoadedRun, run: str | None) -> None:
    """Build the page on which viewers upload their history.

    Args:
        site: objects that all pages share.
        loaded: the run that recommends.
        run: name of the run in the URL, or None for the default run.
    """
    snackbar = page_layout("Bring your history", "/")
    with Tag("div", classes="hero"):
        Tag("h1", "Bring your history")
        Tag(
            "p",
            "What you rated or saw elsewhere counts here too. You see which films were found before they are used.",
        )
    if loaded.scores_new_users:
        _OwnHistory(site, loaded, run, snackbar)
    else:
        notice("This model cannot serve new viewers, so it has no use for a history.", ("Discover films", "/"))


class _OwnHistory:
    """The field to upload a file, and the films that were found in it."""

    def __init__(self, site: Site, loaded: LoadedRun, run: str | None, snackbar: Snackbar) -> None:
        self.service = site.service
        self.loaded = loaded
        self.run = run
        self.viewer = viewer_id()
        self._snackbar = snackbar
        self._source = ""
        self._matched: dict[str, MatchedFilm] = {}  # by item code as text, in the order of the file
        self._unmatched: dict[str, UnmatchedFilm] = {}  # by a number as text
        self._numbers = map(str, count())
        reading = partial(self._show_notice, "The file is being read.")
        upload = ui.upload(on_begin_upload=reading, on_upload=self._read).style("display: none")
        with Tag("label", classes="drop"):
            Tag("strong", "Choose a file, or drop it here")
            Tag("span", "from Letterboxd, IMDb, Netflix, Trakt or MovieLens, or any CSV file with titles", "meta")
            field = Tag("input", type="file", accept=".csv,.json,.zip,.tsv,.txt", aria_label="File with your history")
        send = _SEND.format(max_bytes=MAX_BYTES, too_large=TOO_LARGE, failed=FAILED, url=upload.props["url"])
        field.on("change", self._refuse, js_handler=send)
        self._status = Tag("p", "", "visually-hidden", role="status")
        self._result = Tag("div")
        with self._result:
            self._visit()
        with Tag("details", classes="filters sources", open=True) as self._sources:
            with Tag("summary"):
                Tag("span", "Where to find the file")
            with Tag("dl", classes="details"):
                for name, place in SOURCES.items():
                    Tag("dt", name)
                    Tag("dd", place)

    def _visit(self) -> None:
        """Show a summary of the uploaded history in use, if there is one."""
        visit = self.service.visits.history(self.viewer)
        if visit is None:
            return
        with Tag("div", classes="notice"):
            Tag("p", f"For this visit: {counted(len(visit.ratings), 'film')} from {visit.source}.")
            button("Forget them", self._forget)
            Tag("a", "See recommendations", "button", href=address("", run=self.run))

    def _forget(self) -> None:
        self.service.visits.end(self.viewer)
        self._result.clear()

    def _refuse(self, event: GenericEventArguments) -> None:
        self._show_notice(str(event.args))

    async def _read(self, event: UploadEventArguments) -> None:
        content = await event.file.read()
        try:
            matched = await to_thread(self._match, event.file.name, content)
        except UserError as error:
            self._show_notice(str(error))
            return
        self._source = matched.source
        self._matched = {str(film.item): film for film in matched.matched}
        ambiguous_first = sorted(matched.unmatched, key=lambda film: not film.candidates)
        self._unmatched = {next(self._numbers): film for film in ambiguous_first}
        self._show()

    def _match(self, name: str, content: bytes) -> MatchedHistory:
        return self.loaded.catalogue.history_matcher.match(read_history(name[:MAX_NAME] or "The file", content))

    def _show_notice(self, sentence: str) -> None:
        self._status.text = sentence
        self._result.clear()
        with self._result:
            notice(sentence)

    def _show(self) -> None:
        """Show the films that were found and those that were not, and buttons to use them."""
        self._sources.props["open"] = False
        self._result.clear()
        with self._result:
            with Tag("section", classes="panel found-history"):
                self._heading = Tag("h2")
                self._explanations = Tag("div")
                with Tag("div", classes="line") as self._ways:
                    button("Use for this visit", self._use, "strong")
                    self._store_button = button("", self._store)
            with Tag("div", classes="sides"):
                found = [str(film.item) for film in uncertain_first(self._matched.values())]
                self._found = _FilmList("Found", found, self._matched_row, self._leave_out)
                self._not_used = _FilmList("Not used", self._unmatched, self._unmatched_row, self._choose)
        self._summarize()

    def _summarize(self) -> None:
        """Show how many films were found and how they will be used."""
        films = list(self._matched.values())
        n_all = len(films) + len(self._unmatched)
        self._status.text = self._heading.text = f"{len(films):,} of {counted(n_all, 'film')} found in {self._source}"
        self._explanations.clear()
        with self._explanations:
            for sentence in _explanations(films):
                Tag("p", sentence, "meta")
        self._ways.visible = bool(films)
        self._store_button.text = "Store my ratings" if any(film.is_rated for film in films) else "Store as seen"

    def _matched_row(self, item: str) -> None:
        film = self._matched[item]
        name = str(self.loaded.catalogue.names[film.item])
        with Tag("div", classes="row-body"):
            Tag("span", name, "row-title")
            remarks = [f"in the file: {film.name}"] * (not name.startswith(film.name))
            remarks += [film.way] * (not film.is_certain and film.way != TITLE_ALONE)
            if remarks:
                Tag("span", " · ".join(remarks), "meta")
        if film.is_rated:
            fixed_stars(film.rating)
        else:
            Tag("span", "seen", "meta")
        action_button("Leave out", "leave_out", "quiet", aria_label=f"Leave out {name}")

    def _unmatched_row(self, number: str) -> None:
        film = self._unmatched[number]
        with Tag("div", classes="row-body"):
            Tag("span", film.name, "row-title")
            Tag("span", "several films: which one is it?" if len(film.candidates) > 1 else film.reason, "meta")
            if film.candidates:
                with Tag("div", classes="chips"):
                    for candidate in film.candidates:
                        action_button(self._label(candidate.item), "choose", "chip", value=str(candidate.item))

    def _label(self, item: int) -> str:
        return f"{self.loaded.catalogue.names[item]}: {counted(int(self.loaded.dataset.item_counts[item]), 'rating')}"

    def _leave_out(self, action: Action) -> None:
        film = self._matched.pop(action.key, None)
        if film is None:
            return
        number = next(self._numbers)
        self._unmatched[number] = UnmatchedFilm(film.name, "left out by you", (film,))
        self._found.remove(action.key)
        self._not_used.add(number)
        self._summarize()

    def _choose(self, action: Action) -> None:
        candidates = self._unmatched[action.key].candidates if action.key in self._unmatched else ()
        chosen = next((film for film in candidates if str(film.item) == action.value), None)
        if chosen is None:
            return
        del self._unmatched[action.key]
        self._not_used.remove(action.key)
        if action.value not in self._matched:
            self._matched[action.value] = chosen
            self._found.add(action.value)
        self._summarize()

    def _use(self) -> None:
        self._begin_visit()
        ui.navigate.to(address("", run=self.run))

    async def _store(self) -> None:
        """Store the films that have no stored rating yet: films with stars as ratings, the others as seen."""
        movie_ids = self.loaded.catalogue.movie_ids
        with self._snackbar.show_errors():
            stored = await to_thread(self.service.stored_opinions, self.viewer)
            events = [
                Event(
                    token_hex(16),
                    self.viewer,
                    Kind.RATING if film.is_rated else Kind.SEEN,
                    now(),
                    movie_ids[film.item],
                    film.rating if film.is_rated else None,
                )
                for film in self._matched.values()
                if movie_ids[film.item] not in stored.ratings
            ]
            await to_thread(self.service.record_all, events)
            self._begin_visit()
            self._show_stored(events, len(self._matched) - len(events))

    def _show_stored(self, events: Sequence[Event], n_before: int) -> None:
        async def undo() -> None:
            undos = [Event(token_hex(16), self.viewer, Kind.UNDO, now(), undoes=event.key) for event in events]
            with self._snackbar.show_errors():
                await to_thread(self.service.record_all, undos)
                self._forget()

        self._result.clear()
        with self._result, Tag("div", classes="notice"):
            Tag("p", _stored_in_words(len(events), n_before))
            if events:
                button("Undo", undo)
            Tag("a", "See recommendations", "button strong", href=address("", run=self.run))

    def _begin_visit(self) -> None:
        movie_ids = self.loaded.catalogue.movie_ids
        ratings = {movie_ids[film.item]: film.rating for film in self._matched.values()}
        self.service.visits.begin(self.viewer, BroughtHistory(self._source, ratings))


class _FilmList:
    """A panel that lists films; it is hidden if there are none.

    Only the first `N_SHOWN` films are shown until the viewer presses "Show all".

    Args:
        title: heading of the panel.
        keys: keys of the films.
        fill: function that adds the contents of a film's row, given the key of the film.
        act: function that is called with each action of the viewer on a row.
    """

    def __init__(
        self, title: str, keys: Iterable[str], fill: Callable[[str], None], act: Callable[[Action], None]
    ) -> None:
        self._title, self._keys, self._n_shown = title, [*keys], N_SHOWN
        with Section("") as self._section:
            self._rows: Rows[str] = Rows(Tag("ul", classes="rows"))
            on_action(self._rows.place, act)
            self._all = button("", self._show_all, "more")
        self._add_row = partial(_Row, fill)
        self._show()

    def add(self, key: str) -> None:
        """Add the film that has the given key, at the top."""
        self._keys.insert(0, key)
        self._show()

    def remove(self, key: str) -> None:
        """Remove the film that has the given key."""
        self._keys.remove(key)
        self._show()

    def _show_all(self) -> None:
        self._n_shown = sys.maxsize
        self._show()

    def _show(self) -> None:
        n_films = len(self._keys)
        self._rows.show({key: key for key in self._keys[: self._n_shown]}, self._add_row)
        self._section.heading.text = f"{self._title} ({n_films:,})"
        self._section.visible = n_films > 0
        self._all.text, self._all.visible = f"Show all {n_films:,}", n_films > self._n_shown


class _Row:
    """The row of a film, whose contents never change."""

    def __init__(self, fill: Callable[[str], None], key: str) -> None:
        with Tag("li", data_key=key) as self.element:
            fill(key)

    def show(self, key: str) -> None:
        """Leave the row unchanged; see `Row.show`."""


def _stored_in_words(n_stored: int, n_before: int) -> str:
    """Return a text that says how many films were stored, and how many were not because they already had ratings."""
    if not n_stored:
        return "Nothing was stored: you had already rated all of these films here, and these ratings stay."
    before = f" You had already rated {n_before:,} of the films here; these ratings stay." if n_before else ""
    return f"Stored: {counted(n_stored, 'film')}.{before}"


def _explanations(films: Sequence[MatchedFilm]) -> list[str]:
    """Return sentences about the films that were found and how they will be used."""
    if not films:
        return ["None of the films in this file can be used; the reasons are below."]
    n_rated = sum(film.is_rated for film in films)
    n_seen, n_without_year = len(films) - n_rated, sum(film.way == TITLE_ALONE for film in films)
    seen, alone = counted(n_seen, "film"), counted(n_without_year, "film")
    sentences = {
        f"{counted(n_rated, 'film')} with your stars, rounded to the rating scale that is used here.": n_rated,
        f"{seen} without stars: an average rating for a visit, or stored as seen.": n_seen,
        f"{alone} found by title alone, without a year; a remake may have been matched.": n_without_year,
        f"A visit ends after {VISIT_SECONDS // 3600} hours of inactivity, and nothing from it is stored.": len(films),
    }
    return [sentence for sentence, n in sentences.items() if n]
