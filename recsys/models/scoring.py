"""The base class of `Recommender` that defines how a fitted model scores items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from recsys.data.query import Pairs, Query

SCORES_PER_PASS = 1 << 24  # number of scores that are computed at a time to predict pairs


class Scorer(ABC):
    """The part of a model's interface that scores all items for some users.

    Attributes:
        popularity: float32 (n_items,) number of training interactions of each item. If the model ranks by histories,
            these are its scores for a user without a history. None before a fit, and in models saved by earlier
            versions.
        scale: float32 (2,) lowest and highest rating of the training data's scale; set only in models that predict
            ratings.
    """

    predicts_ratings = False  # True: scores are in rating units
    uses_history = False  # True: scores depend on the history in the query, also for users unseen in training
    reads_order = False  # True: scores depend on the order of the history, so training interactions must have times
    popularity: np.ndarray | None = None
    scale: np.ndarray

    def score(self, query: Query) -> np.ndarray:
        """Score all items for some users.

        For a user without a history, models that rank by histories return the popularity of the items, whereas models
        that predict ratings return predicted ratings, from what they learned about items and users. Models that ignore
        histories score an unknown user (code -1) like an average user.

        Returns:
            float32 (B, n_items), finite, higher is better. Items in the history are scored like all others. Predicted
            ratings are not clipped to the scale.
        """
        if self.popularity is None:  # earlier versions stored none
            return self._score(query)
        if not len(query):
            return np.empty((0, len(self.popularity)), np.float32)
        if not self.uses_history or self.predicts_ratings:
            return self._score(query)
        known = query.history.lengths > 0
        if known.all():
            return self._score(query)
        scores = np.tile(self.popularity, (len(query), 1))
        if known.any():
            scores[known] = self._score(query.select(known))
        return scores

    def falls_back(self, query: Query) -> np.ndarray:
        """Return for which users `score` returns popularity, or adds it to the model's own scores, bool (B,)."""
        return (query.history.lengths == 0) & (self.uses_history and not self.predicts_ratings)

    def score_without_fallback(self, query: Query) -> np.ndarray:
        """Score all items by the model alone, without the popularity that `score` returns or adds for some users.

        Returns:
            float32 (B, n_items), finite.
        """
        return self._score(query)

    def predict(self, pairs: Pairs) -> np.ndarray:
        """Score pairs of user and item.

        Returns:
            float32 (P,) in the order of the pairs, clipped to `scale` if the model predicts ratings.
        """
        predicted = self._predict(pairs)
        return np.clip(predicted, *self.scale) if self.predicts_ratings else predicted

    @property
    def scores_new_users(self) -> bool:
        """Return whether the model scores users unseen in training by their histories."""
        return self.uses_history

    @abstractmethod
    def _score(self, query: Query) -> np.ndarray:
        """Return the scores of all items for the users of a query, float32 (B, n_items).

        When `score` calls this method, the query has at least one user and, if the model ranks by histories, no empty
        history. When `score_without_fallback` calls it, histories can be empty.
        """

    def _predict(self, pairs: Pairs) -> np.ndarray:
        """Return the scores of pairs, float32 (P,), not clipped; by default, as `score` returns them."""
        if self.popularity is None:  # earlier versions stored none, so the size of the catalogue is unknown
            return self.score(pairs.query)[pairs.rows, pairs.items]
        return scores_of_pairs(self.score, pairs, len(self.popularity))


def scores_of_pairs(score: Callable[[Query], np.ndarray], pairs: Pairs, n_items: int) -> np.ndarray:
    """Return the scores of pairs, float32 (P,), selected from the scores of all items for the users of the pairs.

    About `SCORES_PER_PASS` scores are computed at a time, so that memory does not grow with the number of users.

    Args:
        score: function that returns the scores of all items for a query, float32 (B, n_items).
        pairs: the pairs. Users of `pairs.query` who are in no pair can be scored too, without effect on the result.
        n_items: size of the catalogue.
    """
    scores = np.empty(len(pairs), np.float32)
    order = np.argsort(pairs.rows, kind="stable")
    size = max(1, SCORES_PER_PASS // n_items)
    starts = range(0, len(pairs.query), size)
    passes = np.split(order, np.searchsorted(pairs.rows[order], starts[1:]))
    for start, own in zip(starts, passes, strict=False):  # a query without users has one pass, without pairs
        if len(own):
            of_pass = score(pairs.query.between(start, start + size))
            scores[own] = of_pass[pairs.rows[own] - start, pairs.items[own]]
    return scores
