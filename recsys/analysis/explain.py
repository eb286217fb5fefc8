"""Reasons: of the films that somebody liked, the one that speaks most for a film recommended.

Three kinds, of which the first that a model allows is given:

- history: what the score loses when the liked film leaves the history, which is what the model itself goes by; Li,
  Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure", arXiv 2016.
- embeddings: for models that ignore histories, the cosine of the two films' embeddings.
- metadata: for those without embeddings as well, the share of genres and people that the two films have in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.analysis.similar import cosines
from recsys.data.dataset import History
from recsys.models.base import HasEmbeddings, Recommender
from recsys.models.item_to_item import ItemToItem

HISTORY, EMBEDDINGS, METADATA = "history", "embeddings", "metadata"
MOST_LIKED = 100  # reasons are looked for among so many films; some people have rated thousands
SHARED = ("genres", "directors", "actors", "writers")


@dataclass(frozen=True)
class Reason:
    """Why a film was recommended.

    Attributes:
        kind: `history`, `embeddings` or `metadata`, as above.
        item: code of the liked film.
        strength: what the score loses without it, the cosine, or the share in common; always above zero.
        shared: genres and people of both films, where the kind is `metadata`.
    """

    kind: str
    item: int
    strength: float
    shared: tuple[str, ...] = ()

    def sentence(self, names: np.ndarray) -> str:
        """The reason in words.

        Args:
            names: of all films, as `data.titles.item_names` gives them.
        """
        film = names[self.item]
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
    among: int = MOST_LIKED,
    at_least: float = 0.0,
) -> list[Reason | None]:
    """The main reason for each of some films.

    Args:
        model: trained.
        user: code; -1 is somebody unknown.
        history: one row, what the films were recommended from.
        items: int64 (m,) films recommended.
        item_frame: row i tells of film code i.
        among: how many liked films reasons are looked for among, the most liked first.
        at_least: stars that a liked film has.

    Returns:
        m reasons; None where no liked film speaks for a film.
    """
    liked = most_liked(history, k=among, at_least=at_least)
    if not len(liked):
        return [None] * len(items)
    films = history.items[liked]
    if model.uses_history:
        kind, strengths = HISTORY, contributions(model, user, history, liked)[:, items]
    elif isinstance(model, HasEmbeddings):
        kind, strengths = EMBEDDINGS, cosines(model, films)[:, items]
    else:
        kind, strengths = METADATA, _overlaps(item_frame, films, items)
    reasons: list[Reason | None] = []
    for column, best in enumerate(strengths.argmax(axis=0)):
        strength, film = float(strengths[best, column]), int(films[best])
        shared = _in_common(item_frame, film, items[column]) if kind == METADATA else ()
        reasons.append(Reason(kind, film, strength, shared) if strength > 0 else None)
    return reasons


def most_liked(history: History, row: int = 0, k: int = MOST_LIKED, at_least: float = 0.0) -> np.ndarray:
    """Positions in a history, int64 (at most k,), of what one row's user liked.

    Films rated no lower than that user rates on average, nor lower than `at_least`; highest ratings first, the latest
    first among equals.
    """
    positions = np.arange(history.indptr[row], history.indptr[row + 1])[::-1]
    ratings = history.ratings[positions]
    best_first = np.argsort(-ratings, kind="stable")
    n_liked = int((ratings >= max(at_least, ratings.mean())).sum()) if len(ratings) else 0
    return positions[best_first][: min(k, n_liked)]


def contributions(model: Recommender, user: int, history: History, positions: np.ndarray) -> np.ndarray:
    """What every film's score loses when one film leaves the history: all in one batch, or as the model has it.

    Args:
        model: one that uses histories.
        user: code; -1 is somebody unknown.
        history: one row.
        positions: int64 (m,) which films of the history leave it, each in its turn.

    Returns:
        float32 (m, n_items).
    """
    if isinstance(model, ItemToItem):
        return model.weights_of(history.items[positions])
    kept = np.ones((1 + len(positions), len(history.items)), bool)
    kept[1 + np.arange(len(positions)), positions] = False
    scores = model.score(np.full(len(kept), user), _kept(history, kept))
    return scores[0] - scores[1:]


def _kept(history: History, kept: np.ndarray) -> History:
    """A row of what is kept of a history of one row, for each row of a mask (B, n)."""
    indptr = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))
    positions = np.nonzero(kept)[1]
    times = None if history.times is None else history.times[positions]
    return History(indptr, history.items[positions], history.ratings[positions], times)


def _overlaps(item_frame: pd.DataFrame, films: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Genres and people of both films as a share of those of either, float64 (len(films), len(items))."""
    own, others = ([set(_told(item_frame, item)) for item in part] for part in (films, items))
    return np.array([[len(one & other) / max(1, len(one | other)) for other in others] for one in own])


def _in_common(item_frame: pd.DataFrame, film: int, other: int) -> tuple[str, ...]:
    """Genres and people of both films, in the first one's order."""
    others = _told(item_frame, other)
    return tuple(element for element in _told(item_frame, film) if element in others)


def _told(item_frame: pd.DataFrame, item: int) -> list[str]:
    """Genres and people of a film."""
    told = [item_frame[column].iloc[item] for column in SHARED if column in item_frame]
    return list(dict.fromkeys(element for elements in told for element in elements))
