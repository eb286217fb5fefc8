"""Reasons for recommendations: for each recommended film, the film of the history that supports it most.

There are four kinds of reasons. The first that a model supports is given:

- order: the loss of score when the film is removed from the history of a model that reads its order, if at least half
  of that score is lost as well when the film stays, but becomes the oldest of the history: its place is what counts.
- history: the loss of score when the liked film is removed from the history, which is how the model itself uses it; Li,
  Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure", arXiv 2016.
- embeddings: for models that ignore histories, the cosine of the two films' embeddings.
- metadata: for models that have no embeddings either, the share of genres and people that the two films have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.analysis.similar import cosines
from recsys.data.query import History, Query, row_pointers
from recsys.models.base import HasEmbeddings, Recommender
from recsys.models.item_to_item import ItemToItem

KINDS = ORDER, HISTORY, EMBEDDINGS, METADATA = "order", "history", "embeddings", "metadata"
SHARE_OF_ORDER = 0.5  # of the loss of score, which a film must cause by its place
MAX_LIKED = 100  # liked films that are considered as reasons, since some users have rated thousands
METADATA_COLUMNS = ("genres", "directors", "actors", "writers")


@dataclass(frozen=True)
class Reason:
    """The reason why a film was recommended.

    Attributes:
        kind: one of `KINDS`, see the module.
        item: code of the film of the history.
        strength: loss of score, cosine, or share in common; always positive.
        shared: genres and people of both films, where the kind is `metadata`.
    """

    kind: str
    item: int
    strength: float
    shared: tuple[str, ...] = ()

    def sentence(self, names: np.ndarray) -> str:
        """Return the reason in words.

        Args:
            names: names of all films, as `data.titles.item_names` returns them.
        """
        film = names[self.item]
        if self.kind == ORDER:
            return f"right after {film}"
        if self.kind == HISTORY:
            return f"because you liked {film}"
        if self.kind == EMBEDDINGS:
            return f"near to {film}, which you liked"
        return f"{', '.join(self.shared)}, like {film}, which you liked"


def explain(
    model: Recommender,
    user: int,
    history: History,
    items: np.ndarray,
    item_frame: pd.DataFrame,
    max_liked: int = MAX_LIKED,
    min_rating: float = 0.0,
) -> list[Reason | None]:
    """Find the strongest reason for each recommended film.

    Args:
        model: fitted model.
        user: code of the user; -1 for an unknown user.
        history: history of one row, from which the films were recommended.
        items: int64 (m,) recommended films.
        item_frame: metadata of films; row i belongs to film code i.
        max_liked: number of liked films that are considered, the most liked first; also of the latest films, if the
            model reads order.
        min_rating: lowest rating of a liked film, in stars.

    Returns:
        m reasons; None where no film of the history supports the recommendation.
    """
    reasons: list[Reason | None] = _by_order(model, user, history, items, max_liked)
    positions = most_liked(history, k=max_liked, min_rating=min_rating)
    others = [column for column, reason in enumerate(reasons) if reason is None]
    if not len(positions) or not others:
        return reasons
    liked = history.items[positions]
    if model.uses_history or (user < 0 and model.scores_new_users):
        kind, strengths = HISTORY, contributions(model, user, history, positions)[:, items]
    elif isinstance(model, HasEmbeddings):
        kind, strengths = EMBEDDINGS, cosines(model, liked)[:, items]
    else:
        kind, strengths = METADATA, _overlaps(item_frame, liked, items)
    for column in others:
        best = strengths[:, column].argmax()
        strength, item = float(strengths[best, column]), int(liked[best])
        shared = _in_common(item_frame, item, items[column]) if kind == METADATA else ()
        reasons[column] = Reason(kind, item, strength, shared) if strength > 0 else None
    return reasons


def _by_order(
    model: Recommender, user: int, history: History, items: np.ndarray, max_latest: int
) -> list[Reason | None]:
    """Find the films that support recommendations by their place in the history, whatever their rating."""
    if not model.reads_order or not len(history.items):
        return [None] * len(items)
    latest = np.arange(len(history.items))[::-1][:max_latest]
    strengths = contributions(model, user, history, latest)[:, items]
    best, columns = strengths.argmax(axis=0), np.arange(len(items))
    strengths = strengths[best, columns]
    distinct, rows = np.unique(best, return_inverse=True)
    lost = losses_of_place(model, user, history, latest[distinct])[rows, items]
    ordered = (strengths > 0) & (lost >= SHARE_OF_ORDER * strengths)
    return [
        Reason(ORDER, int(history.items[latest[row]]), float(strength)) if by_order else None
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


def contributions(model: Recommender, user: int, history: History, positions: np.ndarray) -> np.ndarray:
    """Compute the loss of every film's score when one film is removed from the history.

    Item-to-item models that ignore order have these as weights, times the weights of the history. Other models score
    the histories without each film in one batch: where recency counts, what came before a removed film moves up.

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: history of one row.
        positions: int64 (m,) positions in the history of the films to remove, one at a time.

    Returns:
        float32 (m, n_items).
    """
    if isinstance(model, ItemToItem) and not model.reads_order:
        return model.history_weights(history)[positions, None] * model.weights_of(history.items[positions])
    everything = np.arange(len(history.items))
    return _losses(model, user, history, [np.delete(everything, position) for position in positions])


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


def _overlaps(item_frame: pd.DataFrame, liked: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the Jaccard index of genres and people of each pair of films, float64 (len(liked), len(items))."""
    rows, columns = ([set(_metadata(item_frame, item)) for item in codes] for codes in (liked, items))
    return np.array([[len(row & column) / max(1, len(row | column)) for column in columns] for row in rows])


def _in_common(item_frame: pd.DataFrame, item: int, other: int) -> tuple[str, ...]:
    """Return the genres and people of both films, in the order of the first."""
    others = _metadata(item_frame, other)
    return tuple(value for value in _metadata(item_frame, item) if value in others)


def _metadata(item_frame: pd.DataFrame, item: int) -> list[str]:
    """Return the genres and people of a film."""
    lists = [item_frame[column].iloc[item] for column in METADATA_COLUMNS if column in item_frame]
    return list(dict.fromkeys(value for values in lists for value in values))
