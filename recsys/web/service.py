"""What the page and the API share: runs that are served, and what viewers say of their lists."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.files import short
from recsys.studies.runs import Run, find_runs, is_finished, read_run
from recsys.web import serving
from recsys.web.catalogue import Catalogue, NotFoundError, user_codes
from recsys.web.events import Event, Kind, ShownList
from recsys.web.index import FilmIndex, IndexSettings
from recsys.web.served import Exploration, FilmList, Served, Wish
from recsys.web.store import Store

log = logging.getLogger(__name__)


def now() -> float:
    """Seconds UTC."""
    return datetime.now(UTC).timestamp()


def named_runs(directories: Sequence[Path]) -> dict[str, Path]:
    """Runs to serve, by the names of their directories, or by whole paths where names are the same.

    Args:
        directories: of runs, or with runs below them; refits are served in the place of what they refit.

    Raises:
        UserError: a directory holds no run.
    """
    found: list[Path] = []
    for directory in directories:
        own = [directory] if is_finished(directory) else [run.directory for run in find_runs(directory)]
        found += [run for run in own if run.parent.name != serving.REFITS]
    names = [run.resolve().name for run in found]
    return {name if names.count(name) == 1 else str(short(run)): run for name, run in zip(names, found, strict=True)}


def load_served(
    name: str,
    run: Run,
    catalogue: Catalogue,
    data_of: Callable[[Run], Dataset],
    index: IndexSettings = IndexSettings(),
    trusted: bool = False,
) -> Served:
    """A run, ready to answer.

    Args:
        name: what it is called.
        run: itself, or a refit of it.
        catalogue: of the run that it is, or refits.
        data_of: gives the data set that a run was trained on.
        index: when films are indexed; what an index finds is printed.
        trusted: whether the model may be unpickled, which runs code.

    Raises:
        UserError: it cannot be loaded.
    """
    model = run.model(trusted)
    is_refit = serving.refitted(run.directory) != run.directory
    dataset = data_of(run) if is_refit else catalogue.dataset
    films = FilmIndex(model, index) if dataset.n_items > index.beyond else None
    if films is not None:
        print(
            f"{name}: {dataset.n_items:,} films are indexed; of the exact {index.k} best films of "
            f"{min(index.n_measured, dataset.n_users)} users the index finds {films.recall(dataset):.1%}."
        )
    return Served(name, run, model, catalogue, user_codes(dataset), films)


class Service:
    """Runs by name, each loaded when it is first asked for; the first is the default.

    Args:
        runs: directories of finished runs on the same data.
        data_of: gives the data set that a run was trained on.
        store: of what viewers say.
        explore: what lists that are shown leave to chance.
        index: when films are indexed.
        trusted: whether models may be loaded that are unpickled, which runs code.

    Raises:
        UserError: there is no run, or they are of different data.
    """

    def __init__(
        self,
        runs: Mapping[str, Path],
        data_of: Callable[[Run], Dataset],
        store: Store,
        explore: Exploration = Exploration(),
        index: IndexSettings = IndexSettings(),
        trusted: bool = False,
    ) -> None:
        if not runs:
            raise UserError("There is no run to serve: name one under outputs/.")
        self.runs = dict(runs)
        self.data_of = data_of
        self.store = store
        self.explore = explore
        self.index = index
        self.trusted = trusted
        self._loaded: dict[str, Served] = {}
        self._loading = {name: Lock() for name in self.runs}
        self._catalogues: dict[str, Catalogue] = {}
        self._failed: dict[str, Path] = {}
        first, *others = (read_run(directory) for directory in self.runs.values())
        self.data = serving.data_name(first)
        for other in others:
            if other.manifest["data"]["fingerprint"] != first.manifest["data"]["fingerprint"]:
                raise UserError(
                    f"{other.directory} is a run of other data ({other.manifest['data']['name']}) than "
                    f"{first.directory} ({first.manifest['data']['name']}): serve runs of one data set."
                )

    def names(self) -> list[str]:
        """Of the runs that can be asked, the default first."""
        return list(self.runs)

    def served(self, name: str | None = None) -> Served:
        """A run, ready to answer; the first time, it is loaded.

        Raises:
            UserError: there is no such run, or it cannot be loaded.
        """
        name = self.names()[0] if name is None else name
        if name not in self.runs:
            raise NotFoundError(f"There is no run {name!r} here: there are {', '.join(self.runs)}.")
        if name not in self._loaded:
            with self._loading[name]:
                if name not in self._loaded:
                    self._loaded[name] = self._load(name, serving.current(self.runs[name]))
        return self._loaded[name]

    def refresh(self) -> None:
        """Put runs in the place of those that they were promoted over, or rolled back from.

        The new one is loaded first; who asks meanwhile is answered by the old one.
        """
        for name, old in list(self._loaded.items()):
            directory = serving.current(self.runs[name])
            if directory in (old.run.directory, self._failed.get(name)):
                continue
            try:
                self._loaded[name] = self._load(name, directory)
                self._failed.pop(name, None)
                log.info("%s is served by %s now", name, directory)
            except Exception as error:  # whatever it is, it is no reason to serve nothing
                self._failed[name] = directory
                log.error("%s goes on with %s, because its refit cannot be loaded: %s", name, old.run.directory, error)

    def make(self, user_id: str, wish: Wish, name: str | None = None) -> FilmList:
        """A list to show to somebody, partly left to chance: once it is seen, it is to be logged.

        Args:
            user_id: whose ratings and opinions in the store count.
            wish: how many films, of which kind.
            name: of a run, or None for the default.

        Raises:
            UserError: see `Served.recommend`.
        """
        return self.served(name).recommend(user_id, self.store.opinions(user_id), wish, self.explore)

    def log(self, user_id: str, wish: Wish, shown: FilmList) -> None:
        """Keep what somebody was shown, with the probabilities of it.

        Args:
            user_id: whom `make` made it for.
            wish: with this wish.
            shown: and gave this list.
        """
        time = now()
        request = {
            "genres": list(wish.genres),
            "years": list(wish.years),
            "surprise": wish.surprise,
            "without": list(wish.without),
            "data": self.data,
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
        self.store.add(impressions, ShownList(shown.list_id, user_id, time, shown.run, wish.k, request))

    def show(self, user_id: str, wish: Wish, name: str | None = None) -> FilmList:
        """A list that somebody is sure to see: made and logged; see `make`."""
        made = self.make(user_id, wish, name)
        self.log(user_id, wish, made)
        return made

    def tell(self, event: Event) -> bool:
        """Keep what somebody said; False where it was kept already.

        Raises:
            UserError: the film is not known, the stars are none that can be given, the key names something else, or
                there is nothing to undo.
        """
        catalogue = self.served().catalogue
        if event.kind is not Kind.UNDO:
            if event.movie_id is None:
                raise UserError(f"Of which film? Give a movie_id with {event.kind.value}.")
            catalogue.code(event.movie_id)
        if event.kind is Kind.RATING:
            catalogue.check_stars(event.value)
        return self.store.add([event])[0]

    def _load(self, name: str, directory: Path) -> Served:
        relative = directory.relative_to(self.runs[name])
        version = name if relative == Path() else f"{name}/{relative}"
        catalogue = self._catalogue(read_run(self.runs[name]))
        return load_served(version, read_run(directory), catalogue, self.data_of, self.index, self.trusted)

    def _catalogue(self, run: Run) -> Catalogue:
        """The catalogue of a run's data; runs of one source share it."""
        key = json.dumps([run.config.get("data"), run.config.get("metadata")], sort_keys=True)
        if key not in self._catalogues:
            self._catalogues[key] = Catalogue(self.data_of(run))
        return self._catalogues[key]
