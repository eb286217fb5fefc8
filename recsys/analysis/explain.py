"""Reasons for recommendations: for each recommended film, the films of the history that support it most.

There are four kinds of reasons. The first that a model supports is given:

- order: the loss of score when the film is removed from the history of a model that reads its order, if at least half
  of that score is lost as well when the film stays, but becomes the oldest of the history: its place is what counts.
- history: the loss of score when the liked film is removed from the history, which is how the model itself uses it; Li,
  Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure", arXiv 2016.
- embeddings: for models that ignore histories, the cosine of the two films' embeddings.
- metadata: for models that have no embeddings either, the share of people, keywords and genres that the two films have
  in common.

Few films of a history are the strongest for most of a list, so a reason names a second film that is at least half as
strong, and adds what is particular to the recommended film: people, keywords or genres that it shares with those films
and that no reason before it in the list has named, or else how many of the users who liked those films liked it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from recsys.analysis.similar import cosines
from recsys.data.dataset import Dataset
from recsys.data.query import History, Query, row_pointers
from recsys.models.base import ExplainsByRemoval, HasEmbeddings, Recommender

KINDS = ORDER, HISTORY, EMBEDDINGS, METADATA = "order", "history", "embeddings", "metadata"
SHARE_OF_ORDER = 0.5  # of the loss of score, which a film must cause by its place
SHARE_OF_SECOND = 0.5  # of the strength of the first film, which the second must have
MAX_LIKED = 50  # liked films that are considered as reasons, since some users have rated thousands
TRAITS = ("directors", "actors", "writers", "keywords", "tags", "genres")  # the most telling first
MAX_OF_A_TRAIT = 10  # values of one column that count: a cast can be long
MAX_SHARED = 2  # traits that a reason names
COMMON = 0.25  # share of films from which a trait says too little
MIN_AGREEING = 3  # users, from which their number is named


@dataclass(frozen=True)
class Reason:
    """The reason why a film was recommended.

    Attributes:
        kind: one of `KINDS`, see the module.
        items: codes of one or two films of the history, the strongest first.
        strength: loss of score, cosine, or share in common, of the first film; always positive.
        shared: people, keywords and genres of the recommended film and of those films.
        n_agreeing: how many users liked those films and the recommended one; 0 if that is not part of the reason.
        n_users: how many users liked those films.
    """

    kind: str
    items: tuple[int, ...]
    strength: float
    shared: tuple[str, ...] = ()
    n_agreeing: int = 0
    n_users: int = 0

    def sentence(self, names: np.ndarray) -> str:
        """Return the reason in words.

        Args:
            names: names of all films, as `data.item_names.item_names` returns them.
        """
        films, shared = " and ".join(names[[*self.items]]), ", ".join(self.shared)
        if self.kind == METADATA:
            return f"{shared}, like {films}, which you liked"
        if self.n_agreeing:
            return f"liked by {self.n_agreeing} of the {self.n_users} users who, like you, liked {films}"
        leads = {ORDER: "right after {}", HISTORY: "because you liked {}", EMBEDDINGS: "near to {}, which you liked"}
        lead = leads[self.kind].format(films)
        return f"{lead}: {shared}" if shared else lead


class Explainer:
    """Finds the reasons for recommended films.

    Args:
        dataset: metadata of the films, and ratings of other users.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._traits = _traits(dataset.item_frame)
        self._n_films = Counter(trait for of_film in self._traits for trait in of_film)
        liked = dataset.ratings >= dataset.middle_of_scale
        by_item = np.argsort(dataset.items[liked], kind="stable")
        self._likers = dataset.users[liked][by_item]
        self._starts = row_pointers(np.bincount(dataset.items[liked], minlength=dataset.n_items))

    def explain(self, model: Recommender, user: int, history: History, items: np.ndarray) -> list[Reason | None]:
        """Find the reason for each film of a list.

        Args:
            model: fitted model.
            user: code of the user; -1 for an unknown user.
            history: history of one row, from which the films were recommended.
            items: int64 (m,) recommended films, in the order of the list.

        Returns:
            m reasons; None where no film of the history supports the recommendation.
        """
        reasons = _by_order(model, user, history, items)
        others = np.array([column for column, reason in enumerate(reasons) if reason is None], np.int64)
        positions = most_liked(history, k=MAX_LIKED, min_rating=self.dataset.middle_of_scale)
        if len(positions) and len(others):
            found = self._by_liked(model, user, history, positions, items[others])
            for column, reason in zip(others, found, strict=True):
                reasons[column] = reason
        return self._with_particulars(reasons, items)

    def _by_liked(
        self, model: Recommender, user: int, history: History, positions: np.ndarray, items: np.ndarray
    ) -> list[Reason | None]:
        """Find the liked films that support recommendations, by the first kind that the model supports."""
        liked = history.items[positions]
        if model.uses_history or (user < 0 and model.scores_new_users):
            kind, strengths = HISTORY, removal_losses(model, user, history, positions, items)
        elif isinstance(model, HasEmbeddings):
            kind, strengths = EMBEDDINGS, cosines(model, liked)[:, items]
        else:
            kind, strengths = METADATA, self._overlaps(liked, items)
        return [_strongest(kind, liked, column) for column in strengths.T]

    def _overlaps(self, liked: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the Jaccard index of the traits of each pair of films, float64 (len(liked), len(items))."""
        rows, columns = ([{*self._traits[item]} for item in codes] for codes in (liked, items))
        return np.array([[len(row & column) / max(1, len(row | column)) for column in columns] for row in rows])

    def _with_particulars(self, reasons: Sequence[Reason | None], items: np.ndarray) -> list[Reason | None]:
        """Add to each reason what is particular to its film."""
        named: set[str] = set()
        described: list[Reason | None] = []
        for reason, item in zip(reasons, items.tolist(), strict=True):
            described.append(None if reason is None else self._particular(reason, item, named))
            named.update(described[-1].shared if described[-1] else ())
        return described

    def _particular(self, reason: Reason, item: int, named: set[str]) -> Reason:
        """Add to a reason what its film shares with the named ones, or the users who liked all of them."""
        if reason.kind == METADATA:
            return replace(reason, shared=self._shared(item, reason.items))
        limit = COMMON * self.dataset.n_items
        for films in (reason.items, reason.items[:1]):
            shared = self._shared(item, films)
            telling = [trait for trait in shared if trait not in named and self._n_films[trait] <= limit]
            if telling:
                return replace(reason, items=films, shared=tuple(telling[:MAX_SHARED]))
        if reason.kind != HISTORY:
            return reason
        users = np.logical_and.reduce([self._liked_by(other) for other in reason.items])
        n_agreeing = int((users & self._liked_by(item)).sum())
        if n_agreeing < MIN_AGREEING:
            return reason
        return replace(reason, n_agreeing=n_agreeing, n_users=int(users.sum()))

    def _shared(self, item: int, others: Sequence[int]) -> tuple[str, ...]:
        """Return the traits that a film has in common with all of the others."""
        return tuple(trait for trait in self._traits[item] if all(trait in self._traits[other] for other in others))

    def _liked_by(self, item: int) -> np.ndarray:
        """Return which users liked a film, bool (n_users,)."""
        liked = np.zeros(self.dataset.n_users, bool)
        liked[self._likers[self._starts[item] : self._starts[item + 1]]] = True
        return liked


def _traits(item_frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the people, keywords and genres of each film, the most telling first."""
    columns = [item_frame[name] for name in TRAITS if name in item_frame]
    if not columns:
        return [()] * len(item_frame)
    lists = zip(*columns, strict=True)
    return [tuple(dict.fromkeys(trait for values in row for trait in values[:MAX_OF_A_TRAIT])) for row in lists]


def _strongest(kind: str, films: np.ndarray, strengths: np.ndarray) -> Reason | None:
    """Name the strongest film, and the second if it is nearly as strong; None if none has a strength above zero."""
    first, *second = np.argsort(-strengths, kind="stable")[:2]
    if strengths[first] <= 0:
        return None
    pair = [first, *(other for other in second if strengths[other] >= SHARE_OF_SECOND * strengths[first])]
    chosen = pair[:1] if kind == METADATA else pair
    return Reason(kind, tuple(int(films[place]) for place in chosen), float(strengths[first]))


def _by_order(model: Recommender, user: int, history: History, items: np.ndarray) -> list[Reason | None]:
    """Find the films that support recommendations by their place in the history, whatever their rating."""
    if not model.reads_order or not len(history.items):
        return [None] * len(items)
    latest = np.arange(len(history.items))[::-1][:MAX_LIKED]
    strengths = removal_losses(model, user, history, latest, items)
    best, columns = strengths.argmax(axis=0), np.arange(len(items))
    strengths = strengths[best, columns]
    distinct, rows = np.unique(best, return_inverse=True)
    lost = losses_of_place(model, user, history, latest[distinct])[rows, items]
    ordered = (strengths > 0) & (lost >= SHARE_OF_ORDER * strengths)
    return [
        Reason(ORDER, (int(history.items[latest[row]]),), float(strength)) if by_order else None
        for row, strength, by_order in zip(best, strengths, ordered, strict=True)
    ]


def most_liked(history: History, row: int = 0, k: int = MAX_LIKED, min_rating: float = 0.0) -> np.ndarray:
    """Return the positions in a history of the films that one user liked, int64 (at most k,).

    Liked films are rated at least as high as the user's mean and at least `min_rating`. They are ordered by rating,
    highest first, and then by time, latest first.
    """
    positions = np.arange(history.indptr[row], history.indptr[row + 1])[::-1]
    ratings = history.ratings[positions]
    best_first = np.argsort(-ratings, kind="stable")
    n_liked = int((ratings >= max(min_rating, ratings.mean())).sum()) if len(ratings) else 0
    return positions[best_first][: min(k, n_liked)]


def removal_losses(
    model: Recommender, user: int, history: History, positions: np.ndarray, items: np.ndarray
) -> np.ndarray:
    """Compute the loss of some films' scores when one film is removed from the history.

    Some models know these losses. For others, the histories without each film are scored in one batch: where recency
    counts, what came before a removed film moves up.

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: history of one row.
        positions: int64 (m,) positions in the history of the films to remove, one at a time.
        items: int64 (n,) films whose scores are compared.

    Returns:
        float32 (m, n).
    """
    if isinstance(model, ExplainsByRemoval) and not model.reads_order:
        return model.removal_losses(history, positions, items)
    everything = np.arange(len(history.items))
    return _losses(model, user, history, [np.delete(everything, position) for position in positions])[:, items]


def losses_of_place(model: Recommender, user: int, history: History, positions: np.ndarray) -> np.ndarray:
    """Compute the loss of every film's score when one film becomes the oldest of the history.

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: history of one row.
        positions: int64 (m,) positions in the history of the films to move, one at a time.

    Returns:
        float32 (m, n_items).
    """
    everything = np.arange(len(history.items))
    return _losses(
        model, user, history, [np.append(position, np.delete(everything, position)) for position in positions]
    )


def _losses(model: Recommender, user: int, history: History, altered: Sequence[np.ndarray]) -> np.ndarray:
    """Compute the loss of every film's score when a history of one row is altered, float32 (m, n_items).

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: history of one row.
        altered: m altered histories, each as positions in the history in their new order, at unchanged times.
    """
    rows = [np.arange(len(history.items)), *altered]
    chosen = np.concatenate(rows)
    times = None if history.times is None else history.times[np.concatenate([np.sort(row) for row in rows])]
    plays = None if history.plays is None else history.plays[chosen]
    indptr = row_pointers([len(row) for row in rows])
    histories = History(indptr, history.items[chosen], history.ratings[chosen], times, plays)
    scores = model.score_without_fallback(Query(np.full(len(rows), user), histories))
    return scores[0] - scores[1:]
