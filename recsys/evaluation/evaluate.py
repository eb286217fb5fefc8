"""Measure a model on a holdout: per user, in the mean, and on slices of users and films.

Full ranking is the protocol: each user's held-out films are looked for among all films that the user has not rated.
Ranking them among a sample instead (`SampledNegatives`) can order models differently (Krichene and Rendle, "On Sampled
Metrics for Item Recommendation", KDD 2020), so its metrics carry the sample in their names: `ndcg@10/sampled99`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from recsys.data.dataset import Dataset, History, Holdout
from recsys.errors import UserError
from recsys.evaluation import metrics
from recsys.evaluation.genres import genres, shares, tastes
from recsys.evaluation.metrics import KS
from recsys.evaluation.ranking import unseen
from recsys.evaluation.reranking import Reranker, own_lists
from recsys.models.base import HasEmbeddings, Recommender

LIST_LENGTH = 10  # of the lists that the metrics beyond accuracy look at
N_BANDS = 4


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured.

    Attributes:
        per_user: a row for each user with something held out: `user_id` and a column for each metric of one user.
        summary: every metric's value over all users. Metrics of ratings are pooled over ratings, the others are means.
        slices: a row for each slice: `slice` (activity, age, gender, segment; popularity, decade, genre), `value`, `n`,
            metrics. Slices of users average users. Slices of films average held-out ratings: `recall@k` is the share of
            them in the top k, `dcg@k` their mean discounted gain, equal to NDCG where a user has one rating held out;
            `mse` and `mae` are of predicted stars.
        top: int64 (n_users, k) the lists, a row for each row of `per_user`; -1 where a list is shorter; no columns
            where nothing was ranked. Of several protocols they are the first one's.
        calibration: a row for each quarter star that predictions come nearest to: `stars`, their number `n`, and the
            means `predicted` and `actual` of these ratings, equal where stars come out as predicted; no rows where none
            are predicted.
    """

    per_user: pd.DataFrame
    summary: dict[str, float]
    slices: pd.DataFrame
    top: np.ndarray
    calibration: pd.DataFrame


# (scores (B, n_items), users (B,)) -> a copy of the scores with -inf at films that are not ranked
Restriction = Callable[[np.ndarray, np.ndarray], np.ndarray]


# (lists (B, k) filled with -1, the users' history) -> float64 (B,)
ListMetric = Callable[[np.ndarray, History], np.ndarray]


class Protocol(ABC):
    """Which films the held-out ones are ranked among; where there is no protocol, only stars are predicted."""

    @abstractmethod
    def suffix(self, holdout: Holdout) -> str:
        """What the names of metrics end in."""

    @abstractmethod
    def n_ranked(self, holdout: Holdout) -> int:
        """Films that a list can hold at most."""

    @abstractmethod
    def restriction(self, holdout: Holdout) -> Restriction:
        """What takes all other films out of the ranking."""


@dataclass(frozen=True)
class FullRanking(Protocol):
    """All films, or all candidates of the holdout, that the user has not rated."""

    def suffix(self, holdout: Holdout) -> str:
        """See `Protocol.suffix`."""
        return ""

    def n_ranked(self, holdout: Holdout) -> int:
        """See `Protocol.n_ranked`."""
        return holdout.known.n_items if holdout.candidates is None else len(holdout.candidates)

    def restriction(self, holdout: Holdout) -> Restriction:
        """See `Protocol.restriction`."""
        return lambda scores, users: unseen(scores, holdout.unranked.history(users), holdout.candidates)


FULL_RANKING = FullRanking()


@dataclass(frozen=True)
class SampledNegatives(Protocol):
    """A user's held-out films, and some that the user has not rated.

    Drawn uniformly without replacement, once for a holdout, whatever the model. Where the source brings its own
    negatives (`Dataset.negatives`), they are taken instead, however many.

    Args:
        n: films to draw for each user.
        seed: of the draw.
    """

    n: int = 99
    seed: int = 0

    def suffix(self, holdout: Holdout) -> str:
        """See `Protocol.suffix`."""
        return f"/sampled{self._n_sampled(holdout)}"

    def n_ranked(self, holdout: Holdout) -> int:
        """See `Protocol.n_ranked`."""
        return min(1 + self._n_sampled(holdout), holdout.known.n_items)

    def restriction(self, holdout: Holdout) -> Restriction:
        """See `Protocol.restriction`."""
        sampled = holdout.known.negatives
        if sampled is None:
            sampled = np.full((holdout.known.n_users, self.n), -1, np.int32)
            sampled[holdout.users] = draw_unrated(holdout, self.n, self.seed)

        def among_sampled(scores: np.ndarray, users: np.ndarray) -> np.ndarray:
            rows, places = np.nonzero(sampled[users] >= 0)
            items = sampled[users[rows], places]
            relevant = holdout.ratings.history(users)
            ranked = np.full_like(scores, -np.inf)
            ranked[rows, items] = scores[rows, items]
            ranked[relevant.rows, relevant.items] = scores[relevant.rows, relevant.items]
            return ranked

        return among_sampled

    def _n_sampled(self, holdout: Holdout) -> int:
        return self.n if holdout.known.negatives is None else holdout.known.negatives.shape[1]


@dataclass(frozen=True)
class Several:
    """Several protocols on the same scores; lists (`Evaluation.top`) are the first one's.

    Args:
        protocols: by any name.
    """

    protocols: Mapping[str, Protocol]


AnyProtocol = Protocol | Several | None


def draw_unrated(holdout: Holdout, n: int, seed: int) -> np.ndarray:
    """Films that a user has not rated, neither known nor held out, uniformly and without replacement.

    Returns:
        int32 (len(holdout.users), n), filled with -1 for users who have rated all but a few films.
    """
    users, n_items = holdout.users, holdout.known.n_items
    rated = _rated_items(holdout)
    n_unrated = n_items - np.diff(rated.indptr)
    nth = _draw_subsets(n_unrated, n, np.random.default_rng(seed))
    # Before a user's i-th rated film (from 0) stand (its code - i) unrated ones. So the rated films before the nth
    # unrated one can be counted, and its code is nth plus that.
    unrated_before = rated.items - (np.arange(len(rated.items)) - rated.indptr[rated.rows])
    rows = np.arange(len(users))[:, None]
    keys = rated.rows * (n_items + 1) + unrated_before
    rated_before = np.searchsorted(keys, rows * (n_items + 1) + nth, side="right") - rated.indptr[:-1, None]
    return np.where(nth >= 0, nth + rated_before, -1).astype(np.int32)


def _rated_items(holdout: Holdout) -> History:
    """Each user's films that are no negatives, by code."""
    matrix = (holdout.unranked.matrix() + holdout.ratings.matrix())[holdout.users]
    matrix.sort_indices()
    return History(matrix.indptr.astype(np.int64), matrix.indices, matrix.data)


def _draw_subsets(sizes: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Different numbers below each size, every set of n as likely: int64 (len(sizes), n), -1 where there are too few.

    Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", CACM 1987), all rows in step.
    """
    drawn = np.full((len(sizes), n), -1)
    for place in range(n):
        last = sizes - n + place
        number = rng.integers(0, np.maximum(last, 0), endpoint=True)
        taken = (drawn[:, :place] == number[:, None]).any(axis=1)
        drawn[:, place] = np.where(last < 0, -1, np.where(taken, last, number))
    return drawn


def check(
    model: Recommender,
    ks: Sequence[int],
    holdout: Holdout,
    protocol: AnyProtocol = FULL_RANKING,
    reranker: Reranker | None = None,
) -> None:
    """Refuse what cannot be measured; worth a call before a long training.

    Raises:
        UserError: some k is larger than the number of films that are ranked, or smaller than 1; nothing is ranked, and
            the model predicts no ratings; several protocols' metrics would have one name; or `Reranker.check` refuses.
    """
    if reranker is not None:
        if protocol is None:
            raise UserError("protocol=ratings ranks nothing that could be reordered: choose protocol=full.")
        reranker.check(model, holdout.known)
    if protocol is None:
        if not model.predicts_ratings:
            raise UserError(
                f"{type(model).__name__} predicts no ratings, and protocol=ratings measures nothing else: "
                "choose protocol=full, or a model like bias or biased_mf."
            )
        return
    protocols = _each(protocol)
    n = min(each.n_ranked(holdout) for each in protocols)
    for k in ks:
        if not 1 <= k <= n:
            raise UserError(f"k={k} does not fit the {n} films that are ranked: choose ks from 1 to {n}.")
    if len({each.suffix(holdout) for each in protocols}) < len(protocols):
        raise UserError("Metrics of several protocols would have the same names: choose protocols that differ in n.")


def evaluate(
    model: Recommender,
    holdout: Holdout,
    protocol: AnyProtocol = FULL_RANKING,
    ks: Sequence[int] = KS,
    batch_bytes: int = 2**25,
    reranker: Reranker | None = None,
) -> Evaluation:
    """Measure a fitted model.

    Args:
        model: anything that scores.
        holdout: what to find and what is known.
        protocol: which films the held-out ones are ranked among, in one way or in several; None ranks nothing, and only
            predicted stars count.
        ks: list lengths. The metrics beyond accuracy look at one, `LIST_LENGTH`, or the largest k if that is less.
        batch_bytes: size of one batch of scores; the peak is a few times that.
        reranker: reorders lists before anything looks at them, or None. AUC is of the scores, which it leaves alone.

    Raises:
        UserError: see `check`; or a score is not finite.
    """
    check(model, ks, holdout, protocol, reranker)
    batch_size = max(1, batch_bytes // (4 * holdout.known.n_items))
    rankings = [_Ranking(model, holdout, each, ks, reranker) for each in _each(protocol)]
    if rankings:
        for users in _batches(holdout.users, batch_size, "Ranking"):
            history = holdout.known.history(users)
            scores = _finite(model, model.score(users, history))
            for ranking in rankings:
                ranking.measure(users, history, scores)
    measured = [ranking.measured() for ranking in rankings]
    calibration = _calibration(np.empty(0), np.empty(0))
    if model.predicts_ratings:
        predicted = _predicted(model, holdout, batch_size)
        measured.append(_ratings(predicted, holdout))
        calibration = _calibration(predicted, holdout.ratings.ratings)
    per_user = pd.concat([part.per_user for part in measured], axis=1)
    slices = _slices(holdout, per_user, pd.concat([part.per_rating for part in measured], axis=1))
    per_user.insert(0, "user_id", holdout.known.user_frame["user_id"].to_numpy()[holdout.users])
    summary = {name: value for part in measured for name, value in part.summary.items()}
    return Evaluation(per_user, summary, slices, measured[0].top, calibration)


def _each(protocol: AnyProtocol) -> list[Protocol]:
    if protocol is None:
        return []
    return list(protocol.protocols.values()) if isinstance(protocol, Several) else [protocol]


class _Measured(NamedTuple):
    """Metrics by user, as `Evaluation` has them but for ids; by held-out rating; over all; and the lists."""

    per_user: pd.DataFrame
    per_rating: pd.DataFrame
    summary: dict[str, float]
    top: np.ndarray


class _Ranking:
    """Where the films held out stand among those that a protocol ranks; batches come in the order of users."""

    def __init__(
        self,
        model: Recommender,
        holdout: Holdout,
        protocol: Protocol,
        ks: Sequence[int],
        reranker: Reranker | None,
    ) -> None:
        self.holdout, self.ks = holdout, ks
        self.restricted, self.suffix = protocol.restriction(holdout), protocol.suffix(holdout)
        self.lists = own_lists if reranker is None else reranker.lists(model, holdout.known)
        self.list_length = min(LIST_LENGTH, max(ks))
        self.list_metrics = _list_metrics(model, holdout.known)
        # What stays of a batch goes where there is room for all of them: kept piece by piece, it would lie amid the
        # memory of the scores and keep the next batch from using that again.
        n_users = len(holdout.users)
        self.n_measured = 0
        self.top = np.empty((n_users, max(ks)), np.int64)
        self.ranks = np.empty(len(holdout.ratings), np.int64)  # in the order of users, as the held-out ratings are
        self.values: dict[str, np.ndarray] = defaultdict(lambda: np.empty(n_users))

    def measure(self, users: np.ndarray, history: History, scores: np.ndarray) -> None:
        relevant = self.holdout.ratings.history(users)
        ranked = self.restricted(scores, users)
        top = self.lists(ranked, users, history, max(self.ks))
        ranks = metrics.ranks(top, relevant)
        lists = top[:, : self.list_length]
        values = metrics.accuracy(ranks, relevant, self.ks) | {"auc": metrics.auc(ranked, relevant)}
        values |= {f"{name}@{self.list_length}": of(lists, history) for name, of in self.list_metrics.items()}
        rows = slice(self.n_measured, self.n_measured + len(users))
        indptr = self.holdout.ratings.indptr
        self.top[rows], self.ranks[indptr[users[0]] : indptr[users[-1] + 1]] = top, ranks
        for name, value in values.items():
            self.values[name][rows] = value
        self.n_measured = rows.stop

    def measured(self) -> _Measured:
        per_user: pd.DataFrame = pd.DataFrame(self.values).add_suffix(self.suffix)
        summary: dict[str, float] = dict(zip(map(str, per_user), per_user.mean().tolist(), strict=True))
        summary |= _exposure_metrics(self.top[:, : self.list_length], self.holdout, self.suffix)
        return _Measured(per_user, _per_rating(self.ranks, self.ks).add_suffix(self.suffix), summary, self.top)


def _predicted(model: Recommender, holdout: Holdout, batch_size: int) -> np.ndarray:
    """The stars of each held-out rating: float32 (n,)."""
    known, found = holdout.known, holdout.ratings

    def predict(users: np.ndarray) -> np.ndarray:
        asked = found.history(users)
        return _finite(model, model.predict(users, known.history(users), asked.rows, asked.items, asked.times))

    return np.concatenate([predict(users) for users in _batches(holdout.users, batch_size, "Predicting")])


def _ratings(predicted: np.ndarray, holdout: Holdout) -> _Measured:
    """How far predicted stars are off."""
    found = holdout.ratings
    of_user, of_everybody = np.searchsorted(holdout.users, found.users), np.zeros(len(found), np.int64)
    per_user = pd.DataFrame(metrics.rating_metrics(predicted, found.ratings, of_user, len(holdout.users)))
    pooled = metrics.rating_metrics(predicted, found.ratings, of_everybody, 1)
    error = np.abs(predicted - found.ratings)
    per_rating = pd.DataFrame({"mse": error**2, "mae": error})
    summary = {name: value.item() for name, value in pooled.items()}
    return _Measured(per_user, per_rating, summary, top=np.empty((len(per_user), 0), np.int64))


def _calibration(predicted: np.ndarray, actual: np.ndarray) -> pd.DataFrame:
    """See `Evaluation.calibration`."""
    pairs = pd.DataFrame({"predicted": predicted, "actual": actual}, dtype=np.float64)
    bins = pairs.groupby((pairs["predicted"] * 4).round() / 4)
    return bins.mean().assign(n=bins.size())[["n", "predicted", "actual"]].rename_axis("stars").reset_index()


def _batches(users: np.ndarray, size: int, doing: str) -> Iterable[np.ndarray]:
    console = Console(stderr=True)
    batches = [users[start : start + size] for start in range(0, len(users), size)]
    return track(batches, doing, console=console, transient=True, disable=not console.is_terminal)


def _finite(model: Recommender, scores: np.ndarray) -> np.ndarray:
    if not np.isfinite(scores).all():
        raise UserError(
            f"{type(model).__name__} gives scores that are not finite, as after a training that diverged: "
            "lower its learning rate or raise its regularisation."
        )
    return scores


def _list_metrics(model: Recommender, known: Dataset) -> dict[str, ListMetric]:
    """The metrics beyond accuracy of one user's list, by name."""
    counts, n_users = known.item_counts, int((known.user_counts > 0).sum())
    by_name: dict[str, ListMetric] = {
        "novelty": lambda top, history: metrics.novelty(top, counts, n_users),
        "mean_popularity": lambda top, history: metrics.mean_popularity(top, counts),
    }
    of_films = genres(known.item_frame)
    if of_films.any():
        each = shares(of_films)
        by_name["diversity"] = lambda top, history: metrics.jaccard_diversity(top, of_films)
        by_name["miscalibration"] = lambda top, history: metrics.miscalibration(top, tastes(history, each), each)
    if isinstance(model, HasEmbeddings):
        embeddings = model.item_embeddings()
        by_name["embedding_diversity"] = lambda top, history: metrics.cosine_diversity(top, embeddings)
    return by_name


def _exposure_metrics(top: np.ndarray, holdout: Holdout, suffix: str) -> dict[str, float]:
    """The metrics beyond accuracy of all users' lists together."""
    exposure = np.bincount(top[top >= 0], minlength=holdout.known.n_items)
    if holdout.candidates is not None:
        exposure = exposure[holdout.candidates]
    k = top.shape[1]
    return {f"coverage@{k}{suffix}": metrics.coverage(exposure), f"gini@{k}{suffix}": metrics.gini(exposure)}


def _per_rating(ranks: np.ndarray, ks: Sequence[int]) -> pd.DataFrame:
    """What each held-out rating adds to recall and to the discounted cumulative gain, at each k."""
    gains = metrics.discount(np.maximum(ranks, 1))
    listed = {k: (ranks > 0) & (ranks <= k) for k in ks}
    recall = {f"recall@{k}": listed[k].astype(np.float64) for k in ks}
    return pd.DataFrame(recall | {f"dcg@{k}": gains * listed[k] for k in ks})


def _slices(holdout: Holdout, per_user: pd.DataFrame, per_rating: pd.DataFrame) -> pd.DataFrame:
    known, users, items = holdout.known, holdout.users, holdout.ratings.items
    person, film = known.user_frame, known.item_frame
    frames = [_averages("activity", bands(known.user_counts[users]), per_user)]
    for kind, column in (("age", "age_group"), ("gender", "gender"), ("segment", "segment")):
        if column in person:
            frames.append(_averages(kind, person[column].array[users], per_user))
    frames.append(_averages("popularity", bands(known.item_counts[items]), per_rating))
    if "year" in film:
        decades = (film["year"] // 10 * 10).map("{:.0f}s".format, na_action="ignore")
        frames.append(_averages("decade", decades.array[items], per_rating))
    if "genres" in film:
        told = film["genres"].iloc[items].reset_index(drop=True).explode()  # a film of two genres is in both slices
        frames.append(_averages("genre", told.array, per_rating.iloc[told.index]))
    return pd.concat(frames, ignore_index=True)


def _averages(kind: str, labels: Any, values: pd.DataFrame) -> pd.DataFrame:
    """Mean of each column where rows share a label."""
    groups = values.groupby(pd.CategoricalIndex(labels), observed=True, dropna=False)
    frame = groups.mean()
    frame.insert(0, "n", groups.size())
    frame.insert(0, "value", ["unknown" if pd.isna(label) else str(label) for label in frame.index])
    frame.insert(0, "slice", kind)
    return frame


def bands(counts: np.ndarray) -> pd.Categorical[str]:
    """Which of `N_BANDS` bands of about as many values each count lies in, the bands named by their ends."""
    lowest = np.unique(np.quantile(counts, np.arange(N_BANDS) / N_BANDS, method="inverted_cdf"))
    band = np.searchsorted(lowest, counts, side="right") - 1
    names = [f"{counts[band == i].min()}-{counts[band == i].max()}" for i in range(len(lowest))]
    return pd.Categorical.from_codes(band, pd.Index(names), ordered=True)
