"""A trained run with its model and catalogue in memory, ready to answer requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from secrets import token_hex

import numpy as np

from recsys.analysis.asking import first_questions
from recsys.analysis.explain import Reason
from recsys.analysis.recommend import given_ratings
from recsys.analysis.segments.stored import read_members, segments_directory
from recsys.data.dataset import Dataset
from recsys.data.ids import id_hint
from recsys.data.query import UNKNOWN, History, Pairs, Query
from recsys.errors import UserError
from recsys.evaluation.reranking import Ranker, Reranker, Surprising, ranker
from recsys.metrics.ranking import mask_seen
from recsys.models.base import Recommender
from recsys.studies.runs import Run
from recsys.web import rollout
from recsys.web.catalogue import Catalogue, Film, NotFoundError, user_codes
from recsys.web.events import Opinions
from recsys.web.exploration import Exploration
from recsys.web.index import FilmIndex, IndexSettings
from recsys.web.lists import FilmList, ListedFilm, ListOptions, Order, Prediction
from recsys.web.pseudonyms import id_in_runs

log = logging.getLogger(__name__)

N_RERANKED = 100  # best films that `surprise` may reorder
N_QUESTIONS = 12  # films to show a new viewer for rating


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A trained run, ready to answer requests; it is immutable, so many threads can use it at once.

    The run may be a refit, that is, a run that was trained again with viewers' feedback. Even then, a viewer's feedback
    is read from the feedback store: there, viewers can undo their feedback, and no other viewer sees it.

    Attributes:
        name: the name by which requests choose the run; for a refit, the name of the original run, a slash and the
            refit's directory relative to that run.
        run: directory, settings and metrics of the run.
        model: the trained model.
        catalogue: the films. A refit has the catalogue of the original run, with the same item codes.
        user_codes: the model's user codes, keyed by raw id. The codes of a refit include those of viewers, keyed by
            pseudonym; see `recsys.web.pseudonyms`.
        index: approximate film index for catalogues that are too large to score every film, or None.
        reranker: reranker of the run's lists, or None.
        questions: item codes of the films that new viewers are invited to rate first, in order.
    """

    name: str
    run: Run
    model: Recommender
    catalogue: Catalogue
    user_codes: Mapping[str, int]
    index: FilmIndex | None = None
    reranker: Reranker | None = None
    questions: tuple[int, ...] = ()

    @property
    def dataset(self) -> Dataset:
        """Return the data set with the users' ratings and without viewers' feedback."""
        return self.catalogue.dataset

    @property
    def scores_new_users(self) -> bool:
        """Return whether the model scores users unseen in training; see `Recommender.scores_new_users`."""
        return self.model.scores_new_users

    @cached_property
    def _rank(self) -> Ranker:
        """Return the function that ranks films in the same way as in the evaluation of the run."""
        return ranker(self.reranker, self.model, self.dataset)

    def _surprising(self, options: ListOptions) -> Ranker:
        """Return a ranker that applies the degree of surprise in the options, in place of the run's reranker."""
        reranker = Surprising(trade_off=options.surprise, n_candidates=max(options.k, N_RERANKED))
        return reranker.ranker(self.model, self.dataset)

    @cached_property
    def _segments(self) -> Mapping[str, str]:
        if not (segments_directory(self.run.directory) / "segments.csv").is_file():
            return {}
        try:
            members = read_members(self.run.directory)
        except UserError as error:  # lists need no segments
            log.warning("%s", error)
            return {}
        return dict(zip(members["user_id"], members["name"], strict=True))

    def has_user(self, user_id: str) -> bool:
        """Return whether the data set has a user with this id."""
        return user_id in self.catalogue.user_codes

    def example_users(self, n: int) -> list[str]:
        """Return the ids of up to n users of the data set, from users with few ratings to users with many."""
        by_count = np.argsort(self.dataset.user_counts, kind="stable")
        places = np.linspace(0, len(by_count) - 1, min(n, len(by_count))).astype(int)
        return [str(self.dataset.user_frame["user_id"].iloc[code]) for code in by_count[places]]

    def first_films(self, n: int) -> list[Film]:
        """Return the first n films that new viewers are invited to rate, at most `N_QUESTIONS`."""
        return [self.catalogue.film_at(item) for item in self.questions[:n]]

    def segment(self, user_id: str) -> str | None:
        """Return the name of the user's segment, or None if the run has no segments or the user is in none of them."""
        return self._segments.get(self._id_in_run(user_id))

    def ratings_of_user(self, user_id: str) -> list[tuple[Film, float, int | None]]:
        """Return a user's ratings in the data set, latest first.

        Each rating is a tuple of the film, the stars, and the Unix time in seconds or, if the data set has no times,
        None.

        Raises:
            NotFoundError: the data set has no such user.
        """
        if not self.has_user(user_id):
            hint = id_hint(user_id, self.catalogue.user_codes, self.example_users(3))
            raise NotFoundError(f"There is no user {user_id!r} in {self.dataset.name}: {hint}")
        history = self._history_in_data(user_id)
        times = [None] * len(history.items) if history.times is None else history.times.tolist()
        rated = zip(history.items.tolist(), history.ratings.tolist(), times, strict=True)
        return [(self.catalogue.film_at(item), stars, time) for item, stars, time in rated][::-1]

    def recommend(
        self, user_id: str | None, opinions: Opinions, options: ListOptions, explore: Exploration = Exploration()
    ) -> FilmList:
        """Recommend the best films that the user has neither rated nor marked, with reasons.

        Args:
            user_id: raw id of the user. If the data set has this user, their ratings in it are used too. For any other
                id, and for None, the only ratings are those in `opinions`.
            opinions: feedback of the user. A rating in it replaces the user's rating of the same film in the data set.
            options: length, order and filters of the list.
            explore: how films are drawn at random; ignored if the list is ordered by year.

        Raises:
            UserError: the model cannot serve new users, an opinion or option names an unknown film or genre, or no film
                has the requested genres and years.
        """
        user, history = self.user_and_history(user_id, opinions)
        explore = explore if options.order is Order.BEST else Exploration()
        depth = max(options.k, explore.pool if explore.places else 0)
        scores, ranking = self._ranked(user, history, opinions, options, depth)
        shown, propensities = explore.draw(ranking, options.k, np.random.default_rng())
        shown = self._in_order(shown, options.order)
        reasons = self._reasons(user_id, user, history, shown)
        rows = zip(shown.tolist(), propensities.tolist(), reasons, strict=True)
        listed = tuple(
            self._listed(item, float(scores[item]), position, reason if propensity == 1 else None, propensity)
            for position, (item, propensity, reason) in enumerate(rows, start=1)
        )
        return FilmList(token_hex(8), self.name, listed)

    def best_films(self, user_id: str | None, opinions: Opinions, options: ListOptions) -> list[Film]:
        """Return the films that `recommend` lists if it draws none at random, best first, without scores and reasons.

        Raises:
            UserError: see `recommend`.
        """
        user, history = self.user_and_history(user_id, opinions)
        _, ranking = self._ranked(user, history, opinions, options, options.k)
        return [self.catalogue.film_at(item) for item in ranking.tolist()]

    def explain(self, user_id: str | None, opinions: Opinions, movie_id: str) -> ListedFilm:
        """Return a film with its score for a user and the reason to recommend it.

        The position of the film is 0, since it is in no list.

        Raises:
            UserError: the film does not exist; see also `recommend`.
        """
        item = self.catalogue.code(movie_id)
        user, history = self.user_and_history(user_id, opinions)
        score = float(self.model.predict(Pairs(Query(np.array([user]), history), np.array([0]), np.array([item])))[0])
        [reason] = self._reasons(user_id, user, history, np.array([item]))
        return self._listed(item, score, 0, reason, 1.0)

    def prediction(self, user_id: str | None, opinions: Opinions, movie_id: str) -> Prediction | None:
        """Return the prediction for a film, or None if the user has no history or has already rated the film.

        Raises:
            UserError: the film does not exist; see also `recommend`.
        """
        item = self.catalogue.code(movie_id)
        user, history = self.user_and_history(user_id, opinions)
        if not len(history.items) or item in history.items or movie_id in opinions.ratings:
            return None
        scores = self.model.score(Query(np.array([user]), history))
        others = np.delete(scores[0], [item, *history.items])
        stars = float(np.clip(scores[0, item], *self.dataset.scale)) if self.model.predicts_ratings else None
        return Prediction(stars, float((others < scores[0, item]).mean()) if len(others) else 1.0)

    def similar(self, movie_id: str, options: ListOptions) -> list[tuple[Film, float]]:
        """Return the films that are most similar to a film, with their similarities, most similar first.

        See `recsys.models.similar` for the measure of similarity.

        Args:
            movie_id: raw id of the film.
            options: length and filters of the list; the other options have no effect.

        Raises:
            UserError: the film or a genre does not exist, or no film has the requested genres and years.
        """
        candidates = self.catalogue.codes_matching(options.genres, options.years)
        if candidates is None:
            candidates = np.arange(self.dataset.n_items)
        near = self.catalogue.similar_items.nearest(self.catalogue.code(movie_id), candidates, options.k)
        return [(self.catalogue.film_at(item), similarity) for item, similarity in near]

    def user_and_history(self, user_id: str | None, opinions: Opinions) -> tuple[int, History]:
        """Return a user's code in the model, and a history from both their ratings in the data set and their feedback.

        The code is -1 for a user unseen in training. The history has a single row. Feedback on a film replaces the
        user's rating of the film in the data set. If the model does not predict ratings, only liked films are taken
        from the feedback; see `recsys.analysis.recommend.given_ratings`.

        Raises:
            UserError: the user is unseen in training and the model does not score by histories, or the feedback
                contains an unknown film.
        """
        user = UNKNOWN if user_id is None else self.user_codes.get(self._id_in_run(user_id), UNKNOWN)
        if user == UNKNOWN and not self.scores_new_users:
            raise UserError(
                f"{type(self.model).__name__} does not score by histories, so it cannot serve new viewers: choose one "
                "of its users, or a run of a model that does, such as ease."
            )
        known = self._history_in_data(user_id)
        items = np.array([self.catalogue.code(movie_id) for movie_id in opinions.ratings], np.int32)
        ratings = np.fromiter(opinions.ratings.values(), np.float32)
        unchanged = ~np.isin(known.items, items)
        is_given = given_ratings(self.model, self.dataset, ratings)
        items, ratings = items[is_given], ratings[is_given]
        times = plays = None
        if known.plays is not None:  # an opinion counts as one play
            plays = np.concatenate([known.plays[unchanged], np.ones(len(items), np.float32)])
        if known.times is not None:  # feedback is later than every rating of the data set
            latest = known.times.max(initial=self.dataset.latest_time)  # type: ignore[arg-type]
            times = np.concatenate([known.times[unchanged], np.full(len(items), latest)])
        items = np.concatenate([known.items[unchanged], items])
        ratings = np.concatenate([known.ratings[unchanged], ratings])
        return user, History(np.array([0, len(items)]), items, ratings, times, plays)

    def _id_in_run(self, user_id: str) -> str:
        return id_in_runs(user_id, self.catalogue.user_codes)

    def _code_in_data(self, user_id: str | None) -> int:
        """Return a user's code in the original data set, or -1 if the user is not in it.

        If the run is a refit, the model may have a different code for the same user.
        """
        return self.catalogue.user_codes.get(user_id or "", UNKNOWN)

    def _history_in_data(self, user_id: str | None) -> History:
        return self.dataset.history(np.array([self._code_in_data(user_id)]))

    def _reasons(self, user_id: str | None, user: int, history: History, items: np.ndarray) -> list[Reason | None]:
        return self.catalogue.explainer.explain(self.model, user, history, items, own=self._code_in_data(user_id))

    def _ranked(
        self, user: int, history: History, opinions: Opinions, options: ListOptions, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of all films, and the best films that may be listed.

        Returns:
            Scores, float32 (n_items,); and codes of at most k films, int64 (m,), best first.
        """
        scores, candidates = self._scores(user, history, opinions, options)
        rank = self._surprising(options) if options.surprise else self._rank
        ranking = rank(candidates, np.array([user]), history, k)[0]
        return scores, ranking[ranking >= 0]

    def _scores(
        self, user: int, history: History, opinions: Opinions, options: ListOptions
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of all films, and the same scores with -inf for films that may not be listed.

        The film index is not used if the model falls back to popularity for the user, since the index compares only
        inner products.

        Returns:
            The scores, float32 (n_items,), and the scores with -inf, float32 (1, n_items). If the index is used, films
            that it did not find are -inf in both.
        """
        candidates = self.catalogue.codes_matching(options.genres, options.years)
        excluded = {*opinions.marks, *opinions.ratings, *options.without}
        hidden = [self.catalogue.code(movie_id) for movie_id in excluded]
        query = Query(np.array([user]), history)
        if self.index is not None and candidates is None and not self.model.falls_back(query)[0]:
            n_reordered = 0 if self.reranker is None else self.reranker.n_candidates
            n_best = max(options.k, N_RERANKED, n_reordered)
            scores = self.index.scores(query, n_best + len(history.items) + len(hidden))
        else:
            scores = self.model.score(query)
        masked = mask_seen(scores, history, candidates)
        masked[0, hidden] = -np.inf
        return scores[0], masked

    def _in_order(self, items: np.ndarray, order: Order) -> np.ndarray:
        """Return items in the requested order.

        Args:
            items: int64 (n,) item codes, best first.
            order: the requested order; in an order by year, films of unknown year are last.
        """
        years = self.catalogue.release_years[items]
        keys = {Order.BEST: np.zeros(len(items)), Order.NEWEST: -years, Order.OLDEST: years}[order]
        return items[np.argsort(keys, kind="stable")]  # NaN is last

    def _listed(self, item: int, score: float, position: int, reason: Reason | None, propensity: float) -> ListedFilm:
        film = self.catalogue.film_at(item)
        if reason is None:
            return ListedFilm(film, score, position, propensity=propensity)
        films = tuple(self.catalogue.film_at(item) for item in reason.items)
        return ListedFilm(film, score, position, reason.sentence(self.catalogue.names), reason.kind, films, propensity)


def load_run(
    name: str,
    run: Run,
    catalogue: Catalogue,
    dataset_of: Callable[[Run], Dataset],
    index: IndexSettings = IndexSettings(),
    trusted: bool = False,
    reranker: Reranker | None = None,
) -> LoadedRun:
    """Load the model of a run and, if the catalogue is large, build the film index.

    Args:
        name: see `LoadedRun`.
        run: the run or refit to load.
        catalogue: catalogue of the run; for a refit, the catalogue of the original run.
        dataset_of: function that returns the data set on which a run was trained.
        index: settings of the film index; if the index is built, its recall is printed.
        trusted: whether the model may be unpickled, which can run arbitrary code.
        reranker: reranker of the run's lists, or None.

    Raises:
        UserError: the model cannot be loaded.
    """
    model = run.model(trusted)
    is_refit = rollout.original(run.directory) != run.directory
    dataset = dataset_of(run) if is_refit else catalogue.dataset
    films = FilmIndex(model, index) if dataset.n_items > index.beyond else None
    if films is not None:
        print(
            f"{name}: indexed {dataset.n_items:,} films; the index finds {films.recall(dataset):.1%} of the exact "
            f"{index.k} best films of {min(index.n_measured, dataset.n_users)} users."
        )
    questions = tuple(first_questions(model, dataset, N_QUESTIONS))
    codes = user_codes(dataset) if is_refit else catalogue.user_codes
    return LoadedRun(name, run, model, catalogue, codes, films, reranker, questions)
