"""A trained run, loaded to answer: lists of films with reasons, similar films, what is known of a user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from secrets import token_hex

import numpy as np
import pandas as pd

from recsys.analysis.explain import Reason, explain
from recsys.analysis.recommend import UNKNOWN, neighbours
from recsys.analysis.segments.stored import segments_directory
from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.evaluation.reranking import Surprising
from recsys.metrics.ranking import mask_seen
from recsys.models.base import Recommender
from recsys.studies.runs import Run
from recsys.web.catalogue import Catalogue, Film, NotFoundError
from recsys.web.events import Opinions
from recsys.web.index import FilmIndex

REASONS_AMONG = 25  # liked films that a reason is looked for among: each costs a row of scores
REORDERED = 100  # best films that may be put in another order


@dataclass(frozen=True)
class Wish:
    """What is asked of a list.

    Attributes:
        k: films at most.
        genres: films of any of these; none stand for all.
        years: the first and the last, ends included; None leaves an end open.
        surprise: from 0, the model's own order, to 1, the least known of its best films first.
        without: films that are shown already.
    """

    k: int = 10
    genres: tuple[str, ...] = ()
    years: tuple[int | None, int | None] = (None, None)
    surprise: float = 0.0
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exploration:
    """Chance in lists that are shown, so that what is learned from them can judge other models, too.

    Of k places, `places` are filled by a uniform draw without replacement from the films that follow the best
    k - `places` in the model's list, down to the `pool`-th. So each of these has a known probability of being shown:
    `places` / (`pool` - k + `places`); the others are sure to be.

    Attributes:
        places: in a list that are left to chance; 0 for none.
        pool: the last place of the model's list that a film can be drawn from; 100 at most.
    """

    places: int = 0
    pool: int = 50

    def __post_init__(self) -> None:
        """Hold the settings to their ranges.

        Raises:
            UserError: one is out of range.
        """
        if self.places < 0 or not 1 <= self.pool <= REORDERED:
            raise UserError(
                f"explore.places={self.places} and explore.pool={self.pool} cannot be drawn: give places from 0 and a "
                f"pool from 1 to {REORDERED}."
            )

    def draw(self, items: np.ndarray, k: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The films to show, int64 (at most k,), and the probability of each, float64.

        Args:
            items: the model's list, best first, with what can be drawn from.
            k: films to show.
            rng: draws films and their places.
        """
        n_sure = max(0, min(k, len(items)) - self.places)
        drawn_from = items[n_sure : max(self.pool, k)]
        n_drawn = min(k - n_sure, len(drawn_from))
        if not self.places or n_drawn == len(drawn_from):
            return items[:k], np.ones(len(items[:k]))
        drawn = rng.choice(drawn_from, n_drawn, replace=False)
        places = np.sort(rng.choice(n_sure + 1, n_drawn))  # in front of which of the sure ones
        shown = np.insert(items[:n_sure], places, drawn)
        propensities = np.insert(np.ones(n_sure), places, n_drawn / len(drawn_from))
        return shown, propensities


@dataclass(frozen=True)
class Listed:
    """A film in a list.

    Attributes:
        film: which.
        score: the model's.
        position: in the list, from 1.
        reason: a sentence, or None where nothing that the person likes speaks for the film.
        reason_kind: `history`, `embeddings` or `metadata`, see `recsys.analysis.explain`.
        reason_film: the liked film that the reason names.
        propensity: the probability with which the film came into the list.
    """

    film: Film
    score: float
    position: int
    reason: str | None = None
    reason_kind: str | None = None
    reason_film: Film | None = None
    propensity: float = 1.0


@dataclass(frozen=True)
class FilmList:
    """Films for somebody, best first, and which run made the list."""

    list_id: str
    run: str
    films: tuple[Listed, ...]


@dataclass(frozen=True, eq=False)
class Served:
    """A run, ready to answer from many threads at once; nothing in it changes.

    What people said of films is read from the store alone, also of those whose ratings a refit has learned from: there
    it can be taken back, and nobody else is shown it.

    Attributes:
        name: what people call the run.
        run: where it lies, with settings and metrics.
        model: trained.
        catalogue: of the films; of a refit, those of the run that it refits, whose codes are the same.
        users: codes of the users that the model was trained on, by their raw ids; of a refit, viewers among them.
        index: for catalogues in which scoring every film takes too long, else None.
    """

    name: str
    run: Run
    model: Recommender
    catalogue: Catalogue
    users: Mapping[str, int]
    index: FilmIndex | None = None

    @property
    def dataset(self) -> Dataset:
        """The ratings that people's histories begin with, those of viewers not among them."""
        return self.catalogue.dataset

    @property
    def liked_from(self) -> float:
        """Stars from the middle of the scale on."""
        low, high = self.dataset.scale
        return (low + high) / 2

    @property
    def takes_new_people(self) -> bool:
        """Whether somebody whom the model was not trained on gets a list of their own."""
        return self.model.uses_history

    @cached_property
    def _segments(self) -> Mapping[str, str]:
        file = segments_directory(self.run.directory) / "segments.csv"
        if not file.is_file():
            return {}
        members = pd.read_csv(file, dtype=str, keep_default_na=False)
        return dict(zip(members["user_id"], members["name"], strict=True))

    def is_known(self, user_id: str) -> bool:
        """Whether the data set has a user."""
        return user_id in self.catalogue.users

    def some_users(self, n: int) -> list[str]:
        """Ids of users to try, from those with few to those with many ratings."""
        by_count = np.argsort(self.dataset.user_counts, kind="stable")
        places = np.linspace(0, len(by_count) - 1, min(n, len(by_count))).astype(int)
        return [str(self.dataset.user_frame["user_id"].iloc[code]) for code in by_count[places]]

    def segment(self, user_id: str) -> str | None:
        """The name of the taste segment that a user is in, where the run has segments."""
        return self._segments.get(user_id)

    def rated(self, user_id: str) -> list[tuple[Film, float, int | None]]:
        """What a user of the data set rated, the latest first: film, stars, seconds UTC where they are known.

        Raises:
            NotFoundError: there is no such user.
        """
        if not self.is_known(user_id):
            ids = ", ".join(self.some_users(3))
            raise NotFoundError(f"There is no user {user_id!r} in {self.dataset.name}: ids are like {ids}.")
        history = self._known(user_id)
        times = [None] * len(history.items) if history.times is None else history.times.tolist()
        rated = zip(history.items.tolist(), history.ratings.tolist(), times, strict=True)
        return [(self.catalogue.of_code(item), stars, time) for item, stars, time in rated][::-1]

    def recommend(
        self, user_id: str | None, opinions: Opinions, wish: Wish, explore: Exploration = Exploration()
    ) -> FilmList:
        """The best films for somebody that the person has not rated or hidden, each with a reason.

        Args:
            user_id: of the data set, whose ratings there count too; anybody else, or None, is somebody new.
            opinions: what the person said beside; a film rated again has the rating given here.
            wish: how many films, of which kind.
            explore: what is left to chance.

        Raises:
            UserError: the model knows nobody new, or an opinion or the wish names what is not there.
        """
        user, history = self._person(user_id, opinions)
        depth = max(wish.k, explore.pool if explore.places else 0)
        scores, ranked = self._ranked(user, history, opinions, wish)
        lists = Surprising(trade_off=wish.surprise, n_candidates=max(wish.k, REORDERED)).ranker(
            self.model, self.dataset
        )
        best = lists(ranked, np.array([user]), history, depth)[0]
        shown, propensities = explore.draw(best[best >= 0], wish.k, np.random.default_rng())
        reasons = self._reasons(user, history, shown)
        rows = zip(shown.tolist(), propensities.tolist(), reasons, strict=True)
        listed = tuple(
            self._listed(item, float(scores[item]), position, reason, propensity)
            for position, (item, propensity, reason) in enumerate(rows, start=1)
        )
        return FilmList(token_hex(8), self.name, listed)

    def explain(self, user_id: str | None, opinions: Opinions, movie_id: str) -> Listed:
        """One film for somebody, with its score and the reason that there is, at position 0.

        Raises:
            UserError: see `recommend`.
        """
        item = self.catalogue.code(movie_id)
        user, history = self._person(user_id, opinions)
        score = float(self.model.predict(np.array([user]), history, np.array([0]), np.array([item]))[0])
        [reason] = self._reasons(user, history, np.array([item]))
        return self._listed(item, score, 0, reason, 1.0)

    def similar(self, movie_id: str, wish: Wish) -> tuple[str, list[tuple[Film, float]]]:
        """The films nearest to one: what nearness is, in words, and each film with its similarity.

        Raises:
            UserError: the model knows no similar films, or the film or the wish names what is not there.
        """
        candidates = self.catalogue.passing(wish.genres, wish.years)
        if candidates is None:
            candidates = np.arange(self.dataset.n_items)
        measure, near = neighbours(self.model, self.catalogue.code(movie_id), candidates, wish.k)
        return measure, [(self.catalogue.of_code(item), similarity) for item, similarity in near]

    def _known(self, user_id: str | None) -> History:
        """One row: what the data set has of somebody."""
        return self.dataset.history(np.array([self.catalogue.users.get(user_id or "", UNKNOWN)]))

    def _person(self, user_id: str | None, opinions: Opinions) -> tuple[int, History]:
        """Somebody's code, and all that is known of the person as a history of one row.

        A model that knows only what was watched, not how it was liked, is told of what the person liked alone.
        """
        user = self.users.get(user_id or "", UNKNOWN)
        if user == UNKNOWN and not self.takes_new_people:
            raise UserError(
                f"{type(self.model).__name__} ignores what somebody new likes: choose one of its users, or a run of a "
                "model that scores by histories, such as ease."
            )
        known = self._known(user_id)
        said = np.array([self.catalogue.code(movie_id) for movie_id in opinions.ratings], np.int32)
        stars = np.fromiter(opinions.ratings.values(), np.float32)
        kept = ~np.isin(known.items, said)
        told = stars >= (0 if self.model.predicts_ratings else self.liked_from)
        said, stars = said[told], stars[told]
        items, ratings = np.concatenate([known.items[kept], said]), np.concatenate([known.ratings[kept], stars])
        times = None
        if known.times is not None:  # what was said here is later than all that was known
            latest = known.times.max(initial=self.dataset.times.max())  # type: ignore[union-attr]
            times = np.concatenate([known.times[kept], np.full(len(said), latest)])
        return user, History(np.array([0, len(items)]), items, ratings, times)

    def _reasons(self, user: int, history: History, items: np.ndarray) -> list[Reason | None]:
        frame = self.dataset.item_frame
        return explain(self.model, user, history, items, frame, REASONS_AMONG, self.liked_from)

    def _ranked(self, user: int, history: History, opinions: Opinions, wish: Wish) -> tuple[np.ndarray, np.ndarray]:
        """Scores float32 (n_items,), and (1, n_items) with -inf at films that are not ranked.

        A model that goes by histories alone is not asked about somebody of whom there is none: what most people rated
        comes first then.
        """
        candidates = self.catalogue.passing(wish.genres, wish.years)
        unwanted = {*opinions.hidden, *opinions.ratings, *wish.without}
        hidden = [self.catalogue.code(movie_id) for movie_id in unwanted]
        users = np.array([user])
        if self.model.uses_history and not len(history.items):
            scores = self.dataset.item_counts[None].astype(np.float32)
        elif self.index is not None and candidates is None:
            scores = self.index.scores(users, history, max(wish.k, REORDERED) + len(history.items) + len(hidden))
        else:
            scores = self.model.score(users, history)
        ranked = mask_seen(scores, history, candidates)
        ranked[0, hidden] = -np.inf
        return scores[0], ranked

    def _listed(self, item: int, score: float, position: int, reason: Reason | None, propensity: float) -> Listed:
        film = self.catalogue.of_code(item)
        if reason is None:
            return Listed(film, score, position, propensity=propensity)
        sentence, reason_film = reason.sentence(self.catalogue.names), self.catalogue.of_code(reason.item)
        return Listed(film, score, position, sentence, reason.kind, reason_film, propensity)
