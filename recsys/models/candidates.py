"""Candidates: the unseen items that several models rank highest, with the features by which they are ranked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recsys.data.query import Pairs, Query
from recsys.models.base import Recommender
from recsys.models.blend import RANK_OFFSET, standard_scores
from recsys.models.candidate_features import CandidateFeatures, Columns


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of all users of a query: P pairs of a user and an item, with their features.

    Attributes:
        rows: int64 (P,) row of each candidate's user in the query, ascending.
        items: int64 (P,) item codes of the candidates, ascending within a row.
        features: groups of features by name; a group is a dictionary of columns, float (P,) each, by name.
        scores: float32 (B, n_items) scores that the first base model gives all items, standardised within each row.
    """

    rows: np.ndarray
    items: np.ndarray
    features: dict[str, Columns]
    scores: np.ndarray

    @property
    def frame(self) -> np.ndarray:
        """Return the columns of all groups of features side by side, float32 (P, n_columns)."""
        columns = [values for group in self.features.values() for values in group.values()]
        return np.stack(columns, axis=1).astype(np.float32)

    @property
    def group_of_column(self) -> np.ndarray:
        """Return, for each column of `frame`, the position of its group in `features`, int64 (n_columns,)."""
        return np.repeat(np.arange(len(self.features)), [len(group) for group in self.features.values()])


@dataclass(frozen=True, eq=False)
class FirstStage:
    """Fitted models that find candidates.

    Attributes:
        models: fitted models by name.
        budgets: number of candidates per user that each model contributes, by name of the model.
        features: computes the features of candidates; already fitted.
    """

    models: Mapping[str, Recommender]
    budgets: Mapping[str, int]
    features: CandidateFeatures

    def candidates(self, query: Query) -> Candidates:
        """Find the candidates of each user: the union, over all models, of the `budgets[name]` best unseen items.

        The groups of features are `by NAME` for the model of that name (its standardised score and the logarithm of its
        rank), `by all models` (mean of 1 / (60 + rank) over the models), and the groups of `CandidateFeatures`.
        """
        scores = [standard_scores(model.score(query)) for model in self.models.values()]  # (B, n_items) each
        seen = query.history.matrix(scores[0].shape[1]).toarray() > 0
        ranks = [_ranks(np.where(seen, -np.inf, score)) for score in scores]
        budgets = [self.budgets[name] for name in self.models]
        chosen = np.any([rank <= budget for rank, budget in zip(ranks, budgets, strict=True)], axis=0) & ~seen
        rows, items = chosen.nonzero()
        by_model = {
            f"by {name}": {"score": score[rows, items], "rank": np.log(rank[rows, items])}
            for name, score, rank in zip(self.models, scores, ranks, strict=True)
        }
        reciprocal = np.mean([1 / (RANK_OFFSET + rank[rows, items]) for rank in ranks], axis=0)
        together = {"by all models": {"mean reciprocal rank": reciprocal}}
        return Candidates(
            rows, items, by_model | together | self.features.transform(Pairs(query, rows, items)), scores[0]
        )


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Return the rank of each score within its row, int32 (B, n_items); the best is 1, ties are ranked by item code."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty(order.shape, np.int32)
    np.put_along_axis(ranks, order, np.arange(1, 1 + order.shape[1], dtype=np.int32)[None], axis=1)
    return ranks
