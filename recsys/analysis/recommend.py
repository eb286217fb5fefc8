"""Recommendations for one user, with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recsys.analysis.explain import Explainer, Reason
from recsys.data.dataset import Dataset
from recsys.data.query import History, Query, row_pointers
from recsys.errors import UserError
from recsys.evaluation.reranking import Ranker, rank_by_score
from recsys.metrics.ranking import mask_seen
from recsys.models.base import ExplainsByFeatures
from recsys.models.scoring import Scorer


@dataclass(frozen=True)
class Recommendation:
    """A recommended film.

    Attributes:
        item: code of the film.
        score: the model's score of the film.
        reason: the reason for the recommendation, or None if no film of the history supports it.
        contributions: how much each group of features adds to the score, keyed by the name of the group, the largest
            absolute value first; empty if the model does not compute contributions, or for a user without a history.
    """

    item: int
    score: float
    reason: Reason | None
    contributions: Mapping[str, float] = field(default_factory=dict)


def recommend(
    model: Scorer,
    dataset: Dataset,
    user: int,
    history: History,
    candidates: np.ndarray,
    k: int,
    rank: Ranker = rank_by_score,
) -> list[Recommendation]:
    """Recommend the best films that are not in a user's history, best first.

    Args:
        model: model fitted on this data set.
        dataset: data set of the films.
        user: code of the user, or `UNKNOWN` for a new user.
        history: the user's history, one row.
        candidates: int64 (m,) codes of the films that may be recommended.
        k: largest number of films to recommend.
        rank: function that turns scores into lists, which may be reranked; see `Ranker`.
    """
    query = Query(np.array([user]), history)
    scores = model.score(query)
    items = rank(mask_seen(scores, history, candidates), query.users, history, k)[0]
    items = items[items >= 0]
    reasons = Explainer(dataset).explain(model, user, history, items)
    contributions = _contributions(model, query, items)
    return [
        Recommendation(int(item), float(scores[0, item]), reason, added)
        for item, reason, added in zip(items, reasons, contributions, strict=True)
    ]


def _contributions(model: Scorer, query: Query, items: np.ndarray) -> list[dict[str, float]]:
    """Return the contributions of groups of features to the score of each film; see `Recommendation.contributions`."""
    if not isinstance(model, ExplainsByFeatures) or not len(query.history.items):
        return [{} for _ in items]
    added = model.feature_contributions(query, items)
    largest_first = (row.dropna().sort_values(ascending=False, key=abs) for _, row in added.iterrows())
    return [{str(group): float(value) for group, value in row.items()} for row in largest_first]


def check_scores_new_users(model: Scorer) -> None:
    """Check that a model scores users who are not in its training data.

    Raises:
        UserError: the model scores only the users of its training data.
    """
    if not model.scores_new_users:
        raise UserError(
            f"{type(model).__name__} ignores the history of a new user: choose one of its users with --user, or a run "
            "of a model that scores by histories, such as ease."
        )


def history_of_ratings(model: Scorer, dataset: Dataset, items: Sequence[int], ratings: Sequence[float]) -> History:
    """Return a new user's history for a model, with only those ratings that `given_ratings` selects.

    The history has one row and no times.

    Args:
        model: model that will use the history.
        dataset: data set of the films.
        items: codes of the rated films, the oldest rating first.
        ratings: ratings of these films, on the scale of the data set.
    """
    is_given = given_ratings(model, dataset, np.array(ratings, np.float32))
    chosen = np.array(items, np.int32)[is_given]
    return History(row_pointers([len(chosen)]), chosen, np.array(ratings, np.float32)[is_given])


def given_ratings(model: Scorer, dataset: Dataset, ratings: np.ndarray) -> np.ndarray:
    """Return a mask of the ratings that belong in a new user's history for a model, bool (n,).

    A model that does not predict ratings learns from positive interactions only, so the history for such a model has
    only the films that the user liked.

    Args:
        model: model that will use the history.
        dataset: data set of the films, whose rating scale determines which films are liked.
        ratings: (n,) ratings of the user.
    """
    return ratings >= (0 if model.predicts_ratings else dataset.middle_of_scale)
