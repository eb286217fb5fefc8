"""Rerankers reorder the best items of a model's list to serve a second goal (diversity, calibration or novelty).

Every reranker fills a list greedily: the next place goes to the candidate that has the largest

    (1 - trade_off) * relevance - trade_off * cost

where relevance is the model's score, scaled linearly to the range 0 to 1 over the user's candidates, and the cost
depends on the items that are already in the list. The candidates are the `n_candidates` items with the highest scores.
Equal values are ranked in the model's order, so `trade_off=0` gives the model's own list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError, one_of
from recsys.metrics.beyond_accuracy import divergence
from recsys.metrics.genres import distributions, genre_indicators, history_distributions
from recsys.metrics.ranking import top_k
from recsys.models.base import HasEmbeddings
from recsys.models.scoring import Scorer

GENRES, EMBEDDINGS = "genres", "embeddings"  # what the similarity of two items can be computed from
_BLOCK_SIZE = 64  # number of users who are reranked at a time; the features of their candidates fit in the cache

# (scores (B, n_items) with -inf at items that are not ranked, users (B,), their histories, k) -> lists int64 (B, k),
# padded with -1
Ranker = Callable[[np.ndarray, np.ndarray, History, int], np.ndarray]


def rank_by_score(scores: np.ndarray, users: np.ndarray, history: History, k: int) -> np.ndarray:
    """Return lists in the order of the model's scores, int64 (B, k), padded with -1; for the arguments see `Ranker`."""
    return top_k(scores, users, k)


class ListCosts(ABC):
    """The cost of appending each candidate to the lists of B users, which are empty at first and grow item by item."""

    @abstractmethod
    def next_costs(self) -> np.ndarray:
        """Return the cost of appending each of n candidates to its user's list, float32 (B, n)."""

    @abstractmethod
    def append(self, places: np.ndarray) -> None:
        """Append a candidate to each user's list.

        Args:
            places: int64 (B,) index of the appended candidate among the user's n candidates.
        """


@dataclass(frozen=True)
class Reranker(ABC):
    """Base class of rerankers, which reorder a model's lists. Subclasses are frozen dataclasses with JSON-able fields.

    Args:
        trade_off: weight of the second goal, from 0 (the model's own list) to 1 (only the second goal counts).
        n_candidates: number of best-scored items of each user that are reordered. In longer lists, the items after
            these keep their places.

    Raises:
        UserError: a value is out of range.
    """

    trade_off: float = 0.5
    n_candidates: int = 100

    def __post_init__(self) -> None:
        """Check that the fields are in range."""
        if not 0 <= self.trade_off <= 1:
            raise UserError(f"trade_off, the weight of the other goal, must be between 0 and 1 (got {self.trade_off}).")
        if self.n_candidates < 1:
            raise UserError(f"n_candidates must be at least 1 (got {self.n_candidates}).")

    @abstractmethod
    def check(self, model: Scorer, dataset: Dataset) -> None:
        """Check that this reranker can reorder the lists of a model, which need not be fitted.

        Raises:
            UserError: the model or the items of `dataset` lack what the goal needs, such as genres.
        """

    @abstractmethod
    def costs(self, model: Scorer, dataset: Dataset) -> Callable[[np.ndarray, History], ListCosts]:
        """Return a function that creates the `ListCosts` of B users, whose lists are still empty.

        Args:
            model: a fitted model.
            dataset: the training ratings with the frame of items.

        Returns:
            A function with two arguments: the candidates, int64 (B, n) item codes padded with -1, and the users'
            histories, B rows.
        """

    def ranker(self, model: Scorer, dataset: Dataset) -> Ranker:
        """Return the function that turns the scores of a fitted model into reordered lists.

        Args:
            model: a fitted model.
            dataset: the training ratings with the frame of items.

        Raises:
            UserError: see `check`.
        """
        self.check(model, dataset)
        costs = self.costs(model, dataset)

        def rank(scores: np.ndarray, users: np.ndarray, history: History, k: int) -> np.ndarray:
            top = top_k(scores, users, max(k, self.n_candidates))
            candidates = top[:, : self.n_candidates]
            relevance = _relevance(scores, candidates)
            for start in range(0, len(top), _BLOCK_SIZE):
                rows = slice(start, start + _BLOCK_SIZE)
                growing = costs(candidates[rows], history.between(rows.start, rows.stop))
                order = _greedy_order(relevance[rows], growing, self.trade_off, min(k, self.n_candidates))
                chosen = np.take_along_axis(candidates[rows], order, axis=1)
                top[rows, : order.shape[1]] = np.where(order >= 0, chosen, -1)
            return top[:, :k]

        return rank


def ranker(reranker: Reranker | None, model: Scorer, dataset: Dataset) -> Ranker:
    """Return the function that turns a fitted model's scores into lists, reordered unless `reranker` is None."""
    return rank_by_score if reranker is None else reranker.ranker(model, dataset)


@dataclass(frozen=True)
class MaximalMarginalRelevance(Reranker):
    """Lists items that are dissimilar to each other: an item's cost is its largest similarity to a listed item.

    Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
    Summaries", SIGIR 1998.

    Args:
        trade_off: see `Reranker`; the paper's 1 - lambda.
        n_candidates: see `Reranker`.
        similarity: `genres` for the Jaccard similarity of genres, `embeddings` for the cosine of the model's item
            embeddings.

    Raises:
        UserError: a value is not allowed.
    """

    similarity: str = GENRES

    def __post_init__(self) -> None:
        """See `Reranker.__post_init__`."""
        super().__post_init__()
        one_of("similarity", self.similarity, (GENRES, EMBEDDINGS))

    def check(self, model: Scorer, dataset: Dataset) -> None:
        """See `Reranker.check`."""
        if self.similarity == GENRES:
            _check_genres(dataset)
        elif not isinstance(model, HasEmbeddings):
            raise UserError(f"{type(model).__name__} has no embeddings: choose reranker.similarity=genres.")

    def costs(self, model: Scorer, dataset: Dataset) -> Callable[[np.ndarray, History], ListCosts]:
        """See `Reranker.costs`."""
        if self.similarity == EMBEDDINGS and isinstance(model, HasEmbeddings):
            embeddings = model.item_embeddings()
            lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
            features, similarity = embeddings / np.maximum(lengths, 1e-12), _cosine
        else:
            features, similarity = genre_indicators(dataset.item_frame), _jaccard
        return lambda candidates, history: _RedundancyCosts(features[candidates], similarity)


@dataclass(frozen=True)
class Calibrated(Reranker):
    """Lists items whose genres have similar proportions as in the user's history.

    The cost of an item is the divergence between two genre distributions: of the history, and of the list with this
    item added. Steck, "Calibrated Recommendations", RecSys 2018. For the equation see
    `recsys.metrics.beyond_accuracy.miscalibration`. All listed items have the same weight.

    Args:
        trade_off: see `Reranker`; the paper's lambda.
        n_candidates: see `Reranker`.

    Raises:
        UserError: a value is out of range.
    """

    def check(self, model: Scorer, dataset: Dataset) -> None:
        """See `Reranker.check`."""
        _check_genres(dataset)

    def costs(self, model: Scorer, dataset: Dataset) -> Callable[[np.ndarray, History], ListCosts]:
        """See `Reranker.costs`."""
        of_items = distributions(genre_indicators(dataset.item_frame))
        return lambda candidates, history: _MiscalibrationCosts(
            of_items[candidates], history_distributions(history, of_items)
        )


@dataclass(frozen=True)
class Surprising(Reranker):
    """Lists less popular items: the cost of item i is log(1 + n_i), where n_i is its number of training ratings.

    The costs are divided by the largest cost in the catalogue. The higher an item's self-information, -log(n_i / n) for
    n users, the lower its cost: Zhou et al., "Solving the Apparent Diversity-Accuracy Dilemma of Recommender Systems",
    PNAS 2010.

    Args:
        trade_off: see `Reranker`.
        n_candidates: see `Reranker`.

    Raises:
        UserError: a value is out of range.
    """

    def check(self, model: Scorer, dataset: Dataset) -> None:
        """Accept any model and data; see `Reranker.check`."""

    def costs(self, model: Scorer, dataset: Dataset) -> Callable[[np.ndarray, History], ListCosts]:
        """See `Reranker.costs`."""
        counts = np.log1p(dataset.item_counts)
        familiarity = (counts / max(counts.max(), 1)).astype(np.float32)
        return lambda candidates, history: _ConstantCosts(familiarity[candidates])


class _ConstantCosts(ListCosts):
    """Costs (B, n) that do not depend on the list."""

    def __init__(self, costs: np.ndarray) -> None:
        self.costs = costs

    def next_costs(self) -> np.ndarray:
        return self.costs

    def append(self, places: np.ndarray) -> None:
        """Do nothing, since the costs do not change."""


class _RedundancyCosts(ListCosts):
    """A candidate's cost is its largest similarity to an item in the list; 0 if the list is empty.

    Args:
        features: (B, n, d) features of the candidates.
        similarity: function that compares the features (B, n, d) of candidates with the features (B, d, 1) of one
            listed item per user, and returns similarities (B, n, 1).
    """

    def __init__(self, features: np.ndarray, similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.features, self.similarity = features, similarity
        self.largest: np.ndarray | None = None

    def next_costs(self) -> np.ndarray:
        return np.zeros(self.features.shape[:2], np.float32) if self.largest is None else self.largest

    def append(self, places: np.ndarray) -> None:
        appended = self.features[np.arange(len(places)), places]
        similar = self.similarity(self.features, appended[:, :, None])[:, :, 0]
        self.largest = similar if self.largest is None else np.maximum(self.largest, similar)


class _MiscalibrationCosts(ListCosts):
    """A candidate's cost is the divergence between the history's genres and the genres of the list with the candidate.

    Args:
        of_candidates: float32 (B, n, g) distribution over genres of each candidate, p(genre | item).
        of_histories: float32 (B, g) distribution over genres of each history, p(genre | user).
    """

    def __init__(self, of_candidates: np.ndarray, of_histories: np.ndarray) -> None:
        self.of_candidates, self.of_histories = of_candidates, of_histories
        self.listed = np.zeros_like(of_histories)

    def next_costs(self) -> np.ndarray:
        together = self.listed[:, None] + self.of_candidates
        n_counted = np.maximum(together.sum(axis=2, keepdims=True), 1)
        return divergence(self.of_histories, together / n_counted)

    def append(self, places: np.ndarray) -> None:
        self.listed += self.of_candidates[np.arange(len(places)), places]


def _jaccard(features: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Return the Jaccard similarity (B, n, 1) of candidates to one listed item per user, from their binary features.

    Args:
        features: (B, n, d) features of the candidates.
        listed: (B, d, 1) features of the listed items.
    """
    shared = features @ listed
    joint = features.sum(axis=2, keepdims=True) + listed.sum(axis=1, keepdims=True) - shared
    return shared / np.maximum(joint, 1)


def _cosine(features: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Return the cosine similarity (B, n, 1) of candidates to one listed item per user, from their unit vectors.

    Args:
        features: (B, n, d) unit vectors of the candidates.
        listed: (B, d, 1) unit vectors of the listed items.
    """
    return features @ listed


def _relevance(scores: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Scale the scores of each user's candidates linearly to the range 0 to 1, float32 (B, n); -inf at padding."""
    values = np.take_along_axis(scores, candidates, axis=1)
    listed = candidates >= 0
    lowest = np.where(listed, values, np.inf).min(axis=1, keepdims=True)
    span = values[:, :1] - lowest
    return np.where(listed, (values - lowest) / np.where(span > 0, span, 1), -np.inf).astype(np.float32)


def _greedy_order(relevance: np.ndarray, costs: ListCosts, trade_off: float, n_places: int) -> np.ndarray:
    """Fill the lists greedily, and return which candidate is at each place.

    Args:
        relevance: float32 (B, n) relevance of the candidates; -inf at padding.
        costs: the costs of the candidates.
        trade_off: weight of the costs, from 0 to 1.
        n_places: length of the lists.

    Returns:
        int64 (B, n_places) index of the candidate at each place; -1 where no candidate is left.
    """
    rows = np.arange(len(relevance))
    order = np.empty((len(relevance), n_places), np.int64)
    left = relevance > -np.inf
    weighted = (1 - trade_off) * np.where(left, relevance, 0)
    for place in range(n_places):
        values = np.where(left, weighted - trade_off * costs.next_costs(), -np.inf)
        best = values.argmax(axis=1)
        order[:, place] = np.where(left[rows, best], best, -1)
        left[rows, best] = False
        costs.append(best)
    return order


def _check_genres(dataset: Dataset) -> None:
    if not genre_indicators(dataset.item_frame).any():
        raise UserError(f"The items of {dataset.name} have no genres to reorder by: add some with metadata=NAME.")
