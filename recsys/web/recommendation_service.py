"""The service behind the web pages and the API: loads runs, logs the lists that viewers see, stores their feedback."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TypeVar

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.evaluation.reranking import Reranker
from recsys.files import short
from recsys.studies.runs import Run, find_runs, is_finished, read_run
from recsys.web import rollout
from recsys.web.catalogue import Catalogue, Film, NotFoundError
from recsys.web.deadline import Deadline
from recsys.web.events import Event, Kind, Opinions, ShownList
from recsys.web.exploration import Exploration
from recsys.web.index import IndexSettings
from recsys.web.lists import UNLOGGED, FilmList, ListOptions
from recsys.web.loaded_run import LoadedRun, load_run
from recsys.web.store import MAX_OPINIONS, Store, StoreError
from recsys.web.visits import Visits

EVENTS_AT_A_TIME = 500  # the store adds as many well within the deadline
NO_STORE = "Ratings cannot be saved or read right now. Please try again later."

Result = TypeVar("Result")

log = logging.getLogger(__name__)


def now() -> float:
    """Return the current Unix time in seconds."""
    return datetime.now(UTC).timestamp()


def runs_by_name(directories: Sequence[Path]) -> dict[str, Path]:
    """Find the runs to serve, and name each after its directory, or by its path if several directories have that name.

    Args:
        directories: directories of runs, or directories that contain runs. Refits are left out, since an active refit
            answers in place of its run.

    Returns:
        The directories of the runs, keyed by name.

    Raises:
        UserError: a directory contains no run.
    """
    found: list[Path] = []
    for directory in directories:
        runs = [directory] if is_finished(directory) else [run.directory for run in find_runs(directory)]
        found += [run for run in runs if run.parent.name != rollout.REFITS]
    names = [run.resolve().name for run in found]
    return {name if names.count(name) == 1 else str(short(run)): run for name, run in zip(names, found, strict=True)}


class RunError(UserError):
    """A run cannot be loaded."""


class RecommendationService:
    """Answers requests with one of several runs, chosen by name; the first run is the default.

    A run is loaded at the first request that needs it.

    Args:
        runs: directories of finished runs on the same data set, keyed by name.
        dataset_of: function that returns the data set on which a run was trained.
        store: feedback store.
        explore: how films are drawn at random in the lists that viewers see.
        index: settings of the approximate film index, and the catalogue size above which it is used.
        trusted: whether models may be unpickled, which can run arbitrary code.
        deadline: time limit for calls to the store, or None for the default limit.
        reranker_of: function that returns the reranker of a run's lists, or None for a run without a reranker.

    Raises:
        UserError: there is no run, or the runs were trained on different data sets.
    """

    def __init__(
        self,
        runs: Mapping[str, Path],
        dataset_of: Callable[[Run], Dataset],
        store: Store,
        explore: Exploration = Exploration(),
        index: IndexSettings = IndexSettings(),
        trusted: bool = False,
        deadline: Deadline | None = None,
        reranker_of: Callable[[Run], Reranker | None] = lambda run: None,
    ) -> None:
        if not runs:
            raise UserError("There must be at least one run to serve (got none): name one under outputs/.")
        self.runs = dict(runs)
        self.dataset_of = dataset_of
        self.store = store
        self.explore = explore
        self.index = index
        self.trusted = trusted
        self.visits = Visits()
        self.reranker_of = reranker_of
        self._deadline = deadline or Deadline()
        self._loaded: dict[str, LoadedRun] = {}
        self._loading = {name: Lock() for name in self.runs}
        self._catalogues: dict[str, Catalogue] = {}
        self._failed: dict[str, Path] = {}
        self._store_fails = False
        first, *others = (read_run(directory) for directory in self.runs.values())
        self.data_name = rollout.data_name(first)
        for other in others:
            if other.manifest["data"]["fingerprint"] != first.manifest["data"]["fingerprint"]:
                raise UserError(
                    f"All runs must be of one data set (got {other.manifest['data']['name']} in {other.directory} and "
                    f"{first.manifest['data']['name']} in {first.directory})."
                )

    def run_names(self) -> list[str]:
        """Return the names of the runs, the default run first."""
        return list(self.runs)

    def load_all(self) -> None:
        """Load the active version of each run before requests arrive.

        Raises:
            UserError: a run cannot be loaded.
        """
        for name in self.runs:
            self._loaded_run(name)

    def loaded_run(self, name: str | None = None) -> LoadedRun:
        """Return the active version of a run: the run itself or its promoted refit. The first call loads it.

        Args:
            name: name of the run, or None for the default run.

        Raises:
            UserError: there is no such run, or it cannot be loaded. The reason is only logged, since it may contain
                paths.
        """
        name = self.run_names()[0] if name is None else name
        if name not in self.runs:
            raise NotFoundError(f"There is no run {name!r} here: there are {', '.join(self.runs)}.")
        try:
            return self._loaded_run(name)
        except UserError as error:
            log.warning("%s cannot be loaded: %s", name, error)
            raise RunError(f"The run {name} cannot be loaded: see the server's log.") from error

    def _loaded_run(self, name: str) -> LoadedRun:
        if name not in self._loaded:
            with self._loading[name]:
                if name not in self._loaded:
                    self._loaded[name] = self._load(name, rollout.active(self.runs[name]))
        return self._loaded[name]

    def refresh(self) -> None:
        """Switch each loaded run to its active version, which a promotion or a roll-back may have changed.

        The old version answers requests until the new one is loaded, and stays in use if the new one cannot be loaded.
        """
        for name, old in list(self._loaded.items()):
            directory = rollout.active(self.runs[name])
            if directory in (old.run.directory, self._failed.get(name)):
                continue
            try:
                self._loaded[name] = self._load(name, directory)
                self._failed.pop(name, None)
                log.info("%s switched to %s", name, directory)
            except Exception as error:  # whatever fails, the old version continues to answer
                self._failed[name] = directory
                log.error("%s stays at %s, because its refit cannot be loaded: %s", name, old.run.directory, error)

    def build_list(self, user_id: str, options: ListOptions, name: str | None = None) -> FilmList:
        """Compute a list for a viewer, with films drawn at random according to the service's `explore`.

        Call `log_list` once the viewer sees the list.

        Args:
            user_id: id of the viewer; their ratings in the data set and their stored feedback are used.
            options: length, order and filters of the list.
            name: name of the run, or None for the default run.

        Raises:
            UserError: see `LoadedRun.recommend`.
        """
        listed = self.loaded_run(name).recommend(user_id, self.opinions(user_id), options, self.explore)
        return listed if self.visits.history(user_id) is None else replace(listed, list_id=UNLOGGED)

    def best_films(self, user_id: str, options: ListOptions, name: str | None = None) -> list[Film]:
        """Return the best films for a viewer, without random films; see `build_list` for the arguments."""
        return self.loaded_run(name).best_films(user_id, self.opinions(user_id), options)

    def log_list(self, user_id: str, options: ListOptions, shown: FilmList) -> None:
        """Store a list that a viewer sees, and an impression of each film with the probability that it was included.

        Args:
            user_id: id of the viewer.
            options: the options with which the list was built.
            shown: the list. It is not stored if it depends on a history that was uploaded for one visit.
        """
        if shown.list_id == UNLOGGED:
            return
        time = now()
        request = {
            "genres": list(options.genres),
            "years": list(options.years),
            "surprise": options.surprise,
            "without": list(options.without),
            "order": options.order.value,
            "data": self.data_name,
        }
        impressions = [
            Event(
                key=f"{shown.list_id}-{listed.position}",
                user_id=user_id,
                kind=Kind.IMPRESSION,
                time=time,
                movie_id=listed.film.movie_id,
                run=shown.run,
                list_id=shown.list_id,
                position=listed.position,
                propensity=listed.propensity,
            )
            for listed in shown.films
        ]
        listed = ShownList(shown.list_id, user_id, time, shown.run, options.k, request)
        self._from_store(self.store.add, impressions, listed)

    def show_list(self, user_id: str, options: ListOptions, name: str | None = None) -> FilmList:
        """Build a list that the viewer is certain to see, and log it; see `build_list` for the arguments."""
        built = self.build_list(user_id, options, name)
        self.log_list(user_id, options, built)
        return built

    def record(self, event: Event) -> bool:
        """Store an event of a viewer, and return whether it was new.

        A click in a list that was not logged is not stored, and the result is False.

        Raises:
            UserError: the film does not exist, the rating is not a value of the scale, the key belongs to another
                event, or the event to undo does not exist or is of a kind that cannot be undone.
        """
        catalogue = self.loaded_run().catalogue
        if event.kind is not Kind.UNDO:
            if event.movie_id is None:
                raise UserError(f"An event of the kind {event.kind.value} must have a movie_id (got none).")
            catalogue.code(event.movie_id)
        if event.kind is Kind.RATING:
            catalogue.check_stars(event.value)
        if event.list_id == UNLOGGED:
            if event.kind is Kind.CLICK:  # a click has no meaning without its list
                return False
            event = replace(event, run=None, list_id=None, position=None)
        return self._from_store(self.store.add, [event])[0]

    def record_all(self, events: Sequence[Event]) -> None:
        """Store many events in batches, without checks of their films and ratings."""
        for start in range(0, len(events), EVENTS_AT_A_TIME):
            self._from_store(self.store.add, events[start : start + EVENTS_AT_A_TIME])

    def opinions(self, user_id: str) -> Opinions:
        """Return a viewer's opinions of films in the data set, from the store and from a history uploaded for a visit.

        A stored rating replaces an uploaded rating of the same film, and counts as later than all uploaded ratings.
        """
        stored, visit = self.stored_opinions(user_id), self.visits.history(user_id)
        if visit is None:
            return stored
        earlier = {movie_id: stars for movie_id, stars in visit.ratings.items() if movie_id not in stored.ratings}
        return replace(stored, ratings=earlier | dict(stored.ratings))

    def stored_opinions(self, user_id: str) -> Opinions:
        """Return a viewer's opinions of films in the data set, only from the store."""
        return self._from_store(self.store.opinions, user_id).of_films(self.loaded_run().catalogue.codes)

    def recent(self, user_id: str, k: int = MAX_OPINIONS, movie_id: str | None = None) -> list[Event]:
        """Return a viewer's events that can be undone (ratings and marks), latest first; see `Store.recent`."""
        return self._from_store(self.store.recent, user_id, k, movie_id)

    def check_store(self) -> None:
        """Check that the store can be written to.

        Raises:
            StoreError: the store cannot be written to.
        """
        self._deadline(self.store.check)

    def exchange_requests(
        self, server: str, counts: Mapping[str, int], after: int
    ) -> tuple[list[tuple[str, int]], int]:
        """Exchange request counts with the other servers that use the store; see `Store.exchange_requests`."""
        return self._from_store(self.store.exchange_requests, server, counts, after)

    def _from_store(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a method of the store within the time limit, and return its result.

        Raises:
            StoreError: the store failed. The reason is only logged, since it may contain paths. Of consecutive
                failures, only the first is logged.
        """
        try:
            result = self._deadline(function, *arguments)
        except StoreError as error:
            if not self._store_fails:
                log.warning("%s", error)
            self._store_fails = True
            raise StoreError(NO_STORE) from error
        if self._store_fails:
            log.warning("The feedback store answers again.")
        self._store_fails = False
        return result

    def _load(self, name: str, directory: Path) -> LoadedRun:
        relative = directory.relative_to(self.runs[name])
        version = name if relative == Path() else f"{name}/{relative}"
        catalogue = self._catalogue(read_run(self.runs[name]))
        run = read_run(directory)
        reranker = self.reranker_of(run)
        return load_run(version, run, catalogue, self.dataset_of, self.index, self.trusted, reranker)

    def _catalogue(self, run: Run) -> Catalogue:
        """Return the catalogue of a run's data set; runs with equal configs of data and metadata share a catalogue."""
        key = json.dumps([run.config.get("data"), run.config.get("metadata")], sort_keys=True)
        if key not in self._catalogues:
            self._catalogues[key] = Catalogue(self.dataset_of(run))
        return self._catalogues[key]
