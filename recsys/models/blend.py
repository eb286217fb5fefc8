"""Blend: a convex combination of the scores of several models, with weights chosen on validation.

Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004. To make the scores of different models
comparable, they are replaced by reciprocal ranks, as in Cormack et al., "Reciprocal Rank Fusion Outperforms Condorcet
and Individual Rank Learning Methods", SIGIR 2009, or standardised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import iadd
from typing import Any

import numpy as np
from scipy.stats import rankdata

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.errors import UserError, check_positive, check_seed, one_of
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext, Recommender
from recsys.models.ensemble import Ensemble
from recsys.progress_bar import ProgressBar

RANK_OFFSET = 60  # k of Cormack et al.: the larger, the less the first ranks differ
MAX_SCORES = 1 << 28  # most scores of validation queries, over all models, that are held in memory: 1 GiB

log = logging.getLogger(__name__)


class Blend(Ensemble):
    """Scores item i by the sum over models m of w_m n(s_m)_i, where the weights w are not negative and sum to one.

    The function n makes a user's scores s_m comparable between models. It replaces them by 1 / (60 + rank), where the
    highest score has rank 1, or standardises them to (s - mean) / standard deviation.

    The weights are chosen by greedy selection with replacement. Each round selects the model whose scores, added to the
    sum of the scores selected so far, give the best ndcg@10 on validation. Among the rounds up to the round with the
    best ndcg@10, the weight w_m is the share of rounds that selected model m.

    Args:
        models: the base models by name, see `Ensemble`.
        weights: weight of each model by name; weights are scaled to sum to one. If None, they are chosen on validation
            or, in a fit without validation, all equal.
        normalization: the function n, `reciprocal_rank` or `standard`.
        n_rounds: number of rounds of the selection.
        seed: seed of the sample of validation queries. Weights are chosen on a sample only if the scores of all
            validation queries would take more than 1 GiB (`MAX_SCORES`).
        **prior: arguments of `ReadsHistories`, which adds popularity to the blended scores. Each base model has its
            own values of these arguments.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        shares: float32 (n_models,) the weight w_m of each model, in the order of `models`.
    """

    learned = ("shares",)
    shares: np.ndarray

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Any] | str],
        weights: Mapping[str, float] | None = None,
        normalization: str = "reciprocal_rank",
        n_rounds: int = 20,
        seed: int = 0,
        **prior: Any,
    ) -> None:
        super().__init__(models, **prior)
        self.weights = None if weights is None else dict(weights)
        self.normalization = one_of("normalization", normalization, NORMALIZATIONS)
        self.n_rounds = n_rounds
        self.seed = seed
        self._check()
        self.uses_history = any(model.uses_history for model in self.base_models.values())
        self.reads_order = any(model.reads_order for model in self.base_models.values())

    def _check(self) -> None:
        check_positive(n_rounds=self.n_rounds)
        check_seed(seed=self.seed)
        if self.weights is None:
            return
        if self.weights.keys() != self.models.keys():
            raise UserError(f"weights must name each of {', '.join(self.models)} (got {', '.join(self.weights)}).")
        if not (min(self.weights.values()) >= 0 and 0 < sum(self.weights.values()) < np.inf):
            raise UserError(f"weights must be zero or above, and one of them above zero (got {self.weights}).")

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Fit the base models, with early stopping on `valid`, then choose their weights on `valid`."""
        self._fit_base_models(train, valid, context)
        if self._earlier is not None:
            self.shares = self._earlier.shares
            return
        given = dict.fromkeys(self.models, 1.0) if self.weights is None else self.weights
        weights = np.array([given[name] for name in self.models])
        if self.weights is None and valid is not None and valid.n_queries:
            weights = self._selected(valid)
            log.info("weights: %s", ", ".join(f"{name} {w:g}" for name, w in zip(self.models, weights, strict=True)))
        self.shares = (weights / weights.sum()).astype(np.float32)

    def _selected(self, valid: Holdout) -> np.ndarray:
        """Return how many times greedy selection on validation chose each model, float64 (n_models,)."""
        n_queries = min(valid.n_queries, max(1, MAX_SCORES // (len(self.models) * valid.ratings.n_items)))
        rows = np.sort(np.random.default_rng(self.seed).permutation(valid.n_queries)[:n_queries])
        query = valid.query(rows)
        scores = [self._comparable(model, query) for model in self.base_models.values()]
        return select_with_replacement(
            scores, lambda blended: ranking_metrics(blended, valid, (10,), rows)["ndcg@10"].mean(), self.n_rounds
        )

    def _score(self, query: Query) -> np.ndarray:
        """See `Recommender._score`; models with a weight of 0 are not called."""
        shares = zip(self.shares, self.base_models.values(), strict=True)
        return reduce(iadd, (share * self._comparable(model, query) for share, model in shares if share > 0))

    def _comparable(self, model: Recommender, query: Query) -> np.ndarray:
        return NORMALIZATIONS[self.normalization](model.score(query))


def reciprocal_ranks(scores: np.ndarray) -> np.ndarray:
    """Return 1 / (60 + rank) of each score within its row, float32 (B, n_items).

    The highest score has rank 1; equal scores share their mean rank.
    """
    return (1 / (RANK_OFFSET + rankdata(-scores, axis=1))).astype(np.float32)


def standard_scores(scores: np.ndarray) -> np.ndarray:
    """Return each row of scores scaled to mean 0 and standard deviation 1, float32 (B, n_items).

    A row of equal scores becomes zeros.
    """
    deviation = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1)


NORMALIZATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "reciprocal_rank": reciprocal_ranks,
    "standard": standard_scores,
}


def select_with_replacement(
    scores: Sequence[np.ndarray], quality: Callable[[np.ndarray], float], n_rounds: int
) -> np.ndarray:
    """Select models greedily, with replacement, so that the sum of their scores has the best quality.

    Args:
        scores: float32 (B, n_items) for each model.
        quality: function that takes a sum of scores, (B, n_items), and returns its quality; higher is better.
        n_rounds: number of rounds, each of which selects one model.

    Returns:
        float64 (n_models,) number of times that each model was selected, up to the first round with the best quality.
    """
    total, counts = np.zeros_like(scores[0]), np.zeros(len(scores))
    best, best_counts = -np.inf, counts
    for _ in ProgressBar(range(n_rounds), desc="choosing weights"):
        qualities = [quality(total + added) for added in scores]
        chosen = int(np.argmax(qualities))
        total += scores[chosen]
        counts[chosen] += 1
        if qualities[chosen] > best:
            best, best_counts = qualities[chosen], counts.copy()
    return best_counts
