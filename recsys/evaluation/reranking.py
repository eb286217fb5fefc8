"""Reorder the best films of a model's list, so that it also serves another goal: diversity, calibration, surprise.

All ways fill a list greedily, place by place, with the candidate of the largest

    (1 - trade_off) * relevance - trade_off * cost

where relevance is the model's score, stretched to 0 to 1 over the user's candidates, and the cost depends on the films
that stand in the list already. Candidates are a user's best films; of equal ones the model's first is taken, so that
`trade_off` 0 gives the model's own list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recsys.data.dataset import Dataset, History
from recsys.errors import UserError
from recsys.evaluation import metrics
from recsys.evaluation.genres import genres, shares, tastes
from recsys.evaluation.ranking import top_k
from recsys.models.base import HasEmbeddings, Recommender

_USERS_AT_ONCE = 64  # whose candidates' features stay in the processor's cache

# (scores (B, n_items) with -inf at films that are not ranked, users (B,), their history, k) -> lists int64 (B, k),
# filled with -1
Lists = Callable[[np.ndarray, np.ndarray, History, int], np.ndarray]


def own_lists(scores: np.ndarray, users: np.ndarray, history: History, k: int) -> np.ndarray:
    """The lists of the model itself; see `Lists`."""
    return top_k(scores, users, k)


class Costs(ABC):
    """What each candidate costs that is listed next, while a list grows."""

    @abstractmethod
    def of_next(self) -> np.ndarray:
        """Float32 (B, n)."""

    @abstractmethod
    def add(self, places: np.ndarray) -> None:
        """Put one candidate of each user, int (B,) from 0, at the end of the list."""


@dataclass(frozen=True)
class Reranker(ABC):
    """Reorders lists. Subclasses are frozen dataclasses whose fields are JSON-able.

    Args:
        trade_off: from 0, the model's own list, to 1, the other goal alone.
        n_candidates: how many of a user's best films are reordered; those behind them stay where they are.

    Raises:
        UserError: a value out of range.
    """

    trade_off: float = 0.5
    n_candidates: int = 100

    def __post_init__(self) -> None:
        """See the class."""
        if not 0 <= self.trade_off <= 1:
            raise UserError(
                f"trade_off={self.trade_off} lies outside 0 (the model's list) to 1 (the other goal alone)."
            )
        if self.n_candidates < 1:
            raise UserError(f"n_candidates={self.n_candidates} leaves nothing to reorder: choose 1 or more.")

    @abstractmethod
    def check(self, model: Recommender, known: Dataset) -> None:
        """Refuse what cannot be reordered; also of a model that is not fitted.

        Raises:
            UserError: model or films lack what the goal is about.
        """

    @abstractmethod
    def costs(self, model: Recommender, known: Dataset) -> Callable[[np.ndarray, History], Costs]:
        """What gives the costs of candidates int64 (B, n), filled with -1, by the users' history."""

    def lists(self, model: Recommender, known: Dataset) -> Lists:
        """What makes lists of a fitted model's scores.

        Raises:
            UserError: see `check`.
        """
        self.check(model, known)
        costs = self.costs(model, known)

        def lists(scores: np.ndarray, users: np.ndarray, history: History, k: int) -> np.ndarray:
            top = top_k(scores, users, max(k, self.n_candidates))
            candidates = top[:, : self.n_candidates]
            relevance = _relevance(scores, candidates)
            for start in range(0, len(top), _USERS_AT_ONCE):
                rows = slice(start, start + _USERS_AT_ONCE)
                growing = costs(candidates[rows], history.between(rows.start, rows.stop))
                order = _greedy(relevance[rows], growing, self.trade_off, min(k, self.n_candidates))
                chosen = np.take_along_axis(candidates[rows], order, axis=1)
                top[rows, : order.shape[1]] = np.where(order >= 0, chosen, -1)
            return top[:, :k]

        return lists


@dataclass(frozen=True)
class MaximalMarginalRelevance(Reranker):
    """Films unlike those before them: the cost is the largest similarity to a film of the list.

    Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
    Summaries", SIGIR 1998.

    Args:
        trade_off: see `Reranker`; the paper's 1 - lambda.
        n_candidates: see `Reranker`.
        similarity: of genres, shared by joint ones (Jaccard); or of the model's embeddings, the cosine.
    """

    similarity: Literal["genres", "embeddings"] = "genres"

    def check(self, model: Recommender, known: Dataset) -> None:
        """See `Reranker.check`."""
        if self.similarity == "genres":
            _need_genres(known)
        elif not isinstance(model, HasEmbeddings):
            raise UserError(f"{type(model).__name__} has no embeddings: choose reranker.similarity=genres.")

    def costs(self, model: Recommender, known: Dataset) -> Callable[[np.ndarray, History], Costs]:
        """See `Reranker.costs`."""
        if self.similarity == "embeddings" and isinstance(model, HasEmbeddings):
            embeddings = model.item_embeddings()
            lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
            features, similarity = embeddings / np.maximum(lengths, 1e-12), _cosine
        else:
            features, similarity = genres(known.item_frame), _jaccard
        return lambda candidates, history: _Redundancy(features[candidates], similarity)


@dataclass(frozen=True)
class Calibrated(Reranker):
    """Genres in the proportions of the user's history: the cost is the divergence of the list's from them.

    Steck, "Calibrated Recommendations", RecSys 2018; `metrics.miscalibration` has the equation. Every film counts the
    same.
    """

    def check(self, model: Recommender, known: Dataset) -> None:
        """See `Reranker.check`."""
        _need_genres(known)

    def costs(self, model: Recommender, known: Dataset) -> Callable[[np.ndarray, History], Costs]:
        """See `Reranker.costs`."""
        of_films = shares(genres(known.item_frame))
        return lambda candidates, history: _Miscalibration(of_films[candidates], tastes(history, of_films))


@dataclass(frozen=True)
class Surprising(Reranker):
    """Films that few people know: the cost is log(1 + ratings), as a share of that of the film most rated.

    It falls with a film's self-information, -log p(rated); Zhou et al., "Solving the Apparent Diversity-Accuracy
    Dilemma of Recommender Systems", PNAS 2010.
    """

    def check(self, model: Recommender, known: Dataset) -> None:
        """See `Reranker.check`: any model's lists can be reordered."""

    def costs(self, model: Recommender, known: Dataset) -> Callable[[np.ndarray, History], Costs]:
        """See `Reranker.costs`."""
        counts = np.log1p(known.item_counts)
        familiarity = (counts / max(counts.max(), 1)).astype(np.float32)
        return lambda candidates, history: _Constant(familiarity[candidates])


class _Constant(Costs):
    """What each candidate costs, (B, n), whatever stands in the list."""

    def __init__(self, costs: np.ndarray) -> None:
        self.costs = costs

    def of_next(self) -> np.ndarray:
        return self.costs

    def add(self, places: np.ndarray) -> None:
        """The costs stay as they are."""


class _Redundancy(Costs):
    """The largest similarity to a film of the list, 0 for an empty list; features are (B, n, d)."""

    def __init__(self, features: np.ndarray, similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.features, self.similarity = features, similarity
        self.largest: np.ndarray | None = None

    def of_next(self) -> np.ndarray:
        return np.zeros(self.features.shape[:2], np.float32) if self.largest is None else self.largest

    def add(self, places: np.ndarray) -> None:
        listed = self.features[np.arange(len(places)), places]
        similar = self.similarity(self.features, listed[:, :, None])[:, :, 0]
        self.largest = similar if self.largest is None else np.maximum(self.largest, similar)


class _Miscalibration(Costs):
    """The divergence of the list's genres from a taste (B, g); `of_films` are the candidates' shares (B, n, g)."""

    def __init__(self, of_films: np.ndarray, taste: np.ndarray) -> None:
        self.of_films, self.taste = of_films, taste
        self.listed = np.zeros_like(taste)

    def of_next(self) -> np.ndarray:
        together = self.listed[:, None] + self.of_films
        n_counted = np.maximum(together.sum(axis=2, keepdims=True), 1)
        return metrics.divergence(self.taste, together / n_counted)

    def add(self, places: np.ndarray) -> None:
        self.listed += self.of_films[np.arange(len(places)), places]


def _jaccard(features: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Shared by joint features of (B, n, d) and (B, d, 1), which are 0 or 1: (B, n, 1)."""
    shared = features @ listed
    joint = features.sum(axis=2, keepdims=True) + listed.sum(axis=1, keepdims=True) - shared
    return shared / np.maximum(joint, 1)


def _cosine(features: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Products of (B, n, d) and (B, d, 1) of length 1: (B, n, 1)."""
    return features @ listed


def _relevance(scores: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Float32 (B, n): the candidates' scores, stretched to 0 to 1 for each user; -inf where there is no candidate."""
    values = np.take_along_axis(scores, candidates, axis=1)
    listed = candidates >= 0
    lowest = np.where(listed, values, np.inf).min(axis=1, keepdims=True)
    span = values[:, :1] - lowest
    return np.where(listed, (values - lowest) / np.where(span > 0, span, 1), -np.inf).astype(np.float32)


def _greedy(relevance: np.ndarray, costs: Costs, trade_off: float, n_places: int) -> np.ndarray:
    """int64 (B, n_places): which candidate stands at each place; -1 where none is left."""
    rows = np.arange(len(relevance))
    order = np.empty((len(relevance), n_places), np.int64)
    left = relevance > -np.inf
    worth = (1 - trade_off) * np.where(left, relevance, 0)
    for place in range(n_places):
        values = np.where(left, worth - trade_off * costs.of_next(), -np.inf)
        best = values.argmax(axis=1)
        order[:, place] = np.where(left[rows, best], best, -1)
        left[rows, best] = False
        costs.add(best)
    return order


def _need_genres(known: Dataset) -> None:
    if not genres(known.item_frame).any():
        raise UserError(f"The films of {known.name} have no genres to reorder by: join some with metadata=NAME.")
