"""Popularity in the scores of models that read histories, with more weight for users with shorter histories.

One or two interactions tell a model that scores by histories little: for users with such short histories, it ranks
items worse than popularity does. `ReadsHistories.score` returns for item i

    s_i + w_n sd(s) z(c)_i

where s are the model's own scores, or popularity for a user without a history, sd(s) is their standard deviation over
the items, z standardises the popularity c over the items, and w_n is a weight. Both c and w_n depend on the length n of
the history:

    0 < n < 20        w_n = strength ((20 / n)^2 - 1). c(i) counts the training interactions with item i that are not
                      among the first n interactions of their user.
    n = 0, n >= 20    w_n = 1 if there is a half-life, else 0. c(i), the recent popularity, counts the training
                      interactions with item i before the moment of the query, weighted by recency with this half-life.

If the strength is 0, the second case applies to all n. Recent popularity is computed in advance for at most 64 moments.
A query uses the latest of these moments that is not after the query's own, or the first one if all are later.

Users' first items differ from their later ones, so popularity after n interactions differs from overall popularity.
Since few users may have more than n interactions, n_items pseudo-counts in proportion to overall popularity are added
to c. The weight decreases with the square of n. If it decreases more slowly but helps new users as much, users with 10
to 20 interactions lose more accuracy where random rather than later interactions are held out. Recent popularity
reflects what users rate now, whereas the model is trained on all years. If the strength is above 0, recent popularity
is not used for short histories: for users with 10 ratings, mean metrics were lower with it, though the significance of
this difference was not tested (experiments/newcomers).

If attributes of users, such as gender, are given, popularity is multiplied by a ratio: how popular an item is among
users with the same attributes, divided by how popular it is among all users.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from recsys.data.dataset import Dataset
from recsys.data.query import Query
from recsys.errors import check_not_negative, check_positive
from recsys.models.base import Recommender
from recsys.models.popularity_context import group_factors, next_popularity, recent_popularity, standardised

if TYPE_CHECKING:
    from recsys.models.graphs import PopularityGraph

LONG = 20  # least number of interactions of a history that is not short


class ReadsHistories(Recommender):
    """A model that scores by the history in the query, and can add popularity (see `recsys.models.histories`).

    Args:
        prior_strength: strength with which popularity is added to the scores of users with short histories (1 to 19
            interactions); 0 adds none.
        popularity_half_life: half-life, in days, with which interactions are weighted in recent popularity. Recent
            popularity is added to the scores of users whose history is not short or, if `prior_strength` is 0, of all
            users. If the half-life is None, or the data have no times, no recent popularity is added.
        popularity_by: columns of the table of users, such as gender. Popularity is adjusted to the users with the same
            values in these columns, and so are the scores of users without a history. Columns that the data lack are
            ignored.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        next_popularity: float32 (20, n_items) popularity c for users with short histories; row n is for n interactions.
            Set only if `prior_strength` is above 0.
        moments: int64 (m,) the moments of recent popularity, Unix times in seconds, ascending. Set only with
            `popularity_half_life`.
        recent_popularity: float32 (m, n_items) recent popularity at each of `moments`. Set only with
            `popularity_half_life`.
        groups: int64 (n_users + 1, 1 + n_columns) the rows of `group_factors` that apply to each user; their product is
            the user's ratio for each item. The last row is for unknown users. Set only with `popularity_by`.
        group_factors: float32 (n_groups, n_items) ratio of each item's popularity in each group of users; see
            `recsys.models.popularity_context.group_factors`. Set only with `popularity_by`.
    """

    uses_history = True
    next_popularity: np.ndarray
    moments: np.ndarray
    recent_popularity: np.ndarray
    groups: np.ndarray
    group_factors: np.ndarray

    def __init__(
        self,
        prior_strength: float = 0.0,
        popularity_half_life: float | None = None,
        popularity_by: Sequence[str] = (),
    ) -> None:
        check_not_negative(prior_strength=prior_strength)
        if popularity_half_life is not None:
            check_positive(popularity_half_life=popularity_half_life)
        self.prior_strength = prior_strength
        self.popularity_half_life = popularity_half_life
        self.popularity_by = list(popularity_by)

    def score(self, query: Query) -> np.ndarray:
        """See `Recommender.score`; also adds popularity to the model's scores, unless the model predicts ratings."""
        scores, changed = super().score(query), self.falls_back(query)
        if self._popularity_arrays() and changed.any():
            scores[changed] = self._with_popularity(scores[changed], query.select(changed))
        return scores

    def falls_back(self, query: Query) -> np.ndarray:
        """See `Recommender.falls_back`; true without a history, and where popularity is added to the model's scores."""
        limit = LONG if self.prior_strength else 1
        by_popularity = (query.history.lengths < limit) | (self.popularity_half_life is not None)
        return by_popularity & (self.uses_history and not self.predicts_ratings)

    def prior_weights(self, n: np.ndarray) -> np.ndarray:
        """Return the weight w_n of popularity, float (B,), for histories of length n, int64 (B,), from 1 to 19."""
        return self.prior_strength * ((LONG / n) ** 2 - 1)

    def add_unrated(self, n: int) -> None:
        """Extend all popularity arrays by n new items without interactions; called by `add_items` of a model.

        The ratio of new items is 1 in all groups of users.
        """
        if self.popularity is not None:  # models of earlier versions have none
            self.popularity = np.pad(self.popularity, (0, n))
        for name, value in {"next_popularity": 0, "recent_popularity": 0, "group_factors": 1}.items():
            if name in self._popularity_arrays():
                setattr(self, name, np.pad(getattr(self, name), ((0, 0), (0, n)), constant_values=value))

    def popularity_graph(self) -> PopularityGraph:
        """Return a graph that adds popularity to the model's own scores, in the same way as `score`."""
        from recsys.models.graphs import PopularityGraph  # torch

        arrays = {name: getattr(self, name) for name in self._popularity_arrays()}
        return PopularityGraph(self.popularity, LONG, self.prior_strength, **arrays)  # type: ignore[arg-type]

    def _count(self, train: Dataset) -> None:
        """See `Recommender._count`; also computes the popularity arrays that the hyperparameters require."""
        super()._count(train)
        if self.prior_strength:
            self.next_popularity = next_popularity(train, LONG)
        if self.popularity_half_life is not None:
            self.moments, self.recent_popularity = recent_popularity(train, self.popularity_half_life)
        if self.popularity_by:
            self.groups, self.group_factors = group_factors(train, self.popularity_by)

    def _with_popularity(self, scores: np.ndarray, query: Query) -> np.ndarray:
        """Return the scores of the query's users with popularity added, float32 (B, n_items)."""
        n = query.history.lengths
        popularity, weights = self._recent(query), np.ones(len(query), np.float32)
        if self.prior_strength:
            short = (n > 0) & (n < LONG)
            popularity[short] = self.next_popularity[n[short]]
            weights[short] = self.prior_weights(n[short])
        if self.popularity_by:
            factors = self.group_factors[self.groups[query.users]].prod(axis=1)
            popularity *= factors
            scores = np.where(n[:, None] > 0, scores, scores * factors)
        spread = scores.std(axis=1)
        weights *= np.where(spread > 0, spread, 1)
        return scores + weights[:, None] * standardised(popularity)

    def _recent(self, query: Query) -> np.ndarray:
        """Return recent popularity at the moment of each user, float32 (B, n_items); zeros without a half-life."""
        if self.popularity_half_life is None:
            return np.zeros((len(query), len(self.popularity)), np.float32)  # type: ignore[arg-type]
        if query.times is None:
            return np.tile(self.recent_popularity[-1], (len(query), 1))
        return self.recent_popularity[np.searchsorted(self.moments[1:], query.times, side="right")]

    def _stored(self) -> list[str]:
        return [*super()._stored(), *self._popularity_arrays()]

    def _popularity_arrays(self) -> list[str]:
        """Return the names of the popularity arrays that the hyperparameters require."""
        names = ["next_popularity"] if self.prior_strength else []
        names += [] if self.popularity_half_life is None else ["moments", "recent_popularity"]
        return names + (["groups", "group_factors"] if self.popularity_by else [])
