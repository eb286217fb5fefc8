"""Popularity in the scores of models that read histories, with more weight for users with shorter histories.

A model that scores by histories learns little from one or two interactions, and ranks items for such users worse than
popularity does. `ReadsHistories.score` returns for item i

    s_i + w_n sd(s) z(c)_i

where s are the model's own scores, or popularity for a user without a history, sd(s) is their standard deviation over
the items, and z standardises popularity c over the items. c and w_n depend on the number n of interactions:

    0 < n < 20        w_n = strength ((20 / n)^2 - 1); c(i) counts the training interactions with item i that are not
                      among the first n of their user
    n = 0, n >= 20    w_n = 1 with a half-life, else 0; c(i) counts the training interactions with item i before the
                      moment of the query, weighted by recency with this half-life

If the strength is 0, the second case is that of all n. Recent popularity is stored for 64 moments, of which a query
uses the latest that is not after its own or, if there is none, the first.

Users' first items differ from their later ones, so popularity after n interactions differs from overall popularity.
Since few users may have more than n interactions, n_items pseudo-counts in proportion to overall popularity are added
to c. The weight decreases with the square of n: a slower decrease that helps new users as much lowers the accuracy for
users with 10 to 20 interactions more if random rather than later interactions are held out. Recent popularity reflects
what users rate now, which a model trained on all years does not. With a strength, it has no weight for short histories:
with 10 ratings, mean metrics were lower with it, a difference that was not tested (experiments/newcomers).

If attributes of users, such as gender, are given, popularity is multiplied by a ratio: how popular an item is among
users with equal attributes, divided by how popular it is among all users.
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
    """A model that scores by the history in the query.

    Args:
        prior_strength: the strength in w_n, the weight of popularity in the scores of users with short histories, of 1
            to 19 interactions; 0 adds none.
        popularity_half_life: half-life, in days, of training interactions in the recent popularity that is added to the
            scores of all other users (with `prior_strength=0`, of all users); None adds none. It has no effect if the
            data have no times.
        popularity_by: columns of the table of users, such as gender. Both popularities are adjusted to users with the
            same values, and so are the scores of users without a history. Columns that the data lack are ignored.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        next_popularity: float32 (20, n_items) c of users with short histories, row n for n interactions; set if
            `prior_strength` is above 0.
        moments: int64 (m,) Unix times in seconds, ascending; set if there is a half-life, like `recent_popularity`.
        recent_popularity: float32 (m, n_items) c of other users at each moment.
        groups: int64 (n_users + 1, 1 + n_columns) rows of `group_factors` for each user, whose product is the user's
            ratio; the last row is that of unknown users. Set if there is `popularity_by`, like `group_factors`.
        group_factors: float32 (n_groups, n_items) ratio of each item's popularity in each group of users; see
            `recsys.models.popularity_context.group_factors`.
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
        """See `Recommender.score`; adds popularity (see the module), except if the model predicts ratings."""
        scores, changed = super().score(query), self.falls_back(query)
        if self._popularity_arrays() and changed.any():
            scores[changed] = self._with_popularity(scores[changed], query.select(changed))
        return scores

    def falls_back(self, query: Query) -> np.ndarray:
        """See `Recommender.falls_back`; also true for users to whose scores popularity is added."""
        limit = LONG if self.prior_strength else 1
        by_popularity = (query.history.lengths < limit) | (self.popularity_half_life is not None)
        return by_popularity & (self.uses_history and not self.predicts_ratings)

    def prior_weights(self, n: np.ndarray) -> np.ndarray:
        """Return w_n, float (B,), for histories of n interactions each, int64 (B,), from 1 to 19; see the module."""
        return self.prior_strength * ((LONG / n) ** 2 - 1)

    def add_unrated(self, n: int) -> None:
        """Append n items without interactions to all arrays of popularity, as `add_items` of a model needs.

        Groups of users do not differ in such items.
        """
        if self.popularity is not None:  # models of earlier versions have none
            self.popularity = np.pad(self.popularity, (0, n))
        for name, value in {"next_popularity": 0, "recent_popularity": 0, "group_factors": 1}.items():
            if name in self._popularity_arrays():
                setattr(self, name, np.pad(getattr(self, name), ((0, 0), (0, n)), constant_values=value))

    def popularity_graph(self) -> PopularityGraph:
        """Return the graph that adds popularity to the model's own scores, as `score` does."""
        from recsys.models.graphs import PopularityGraph  # torch

        arrays = {name: getattr(self, name) for name in self._popularity_arrays()}
        return PopularityGraph(self.popularity, LONG, self.prior_strength, **arrays)  # type: ignore[arg-type]

    def _count(self, train: Dataset) -> None:
        """See `Recommender._count`; also computes the arrays of popularity that the settings need."""
        super()._count(train)
        if self.prior_strength:
            self.next_popularity = next_popularity(train, LONG)
        if self.popularity_half_life is not None:
            self.moments, self.recent_popularity = recent_popularity(train, self.popularity_half_life)
        if self.popularity_by:
            self.groups, self.group_factors = group_factors(train, self.popularity_by)

    def _with_popularity(self, scores: np.ndarray, query: Query) -> np.ndarray:
        """Return the scores of some users with popularity added, float32 (B, n_items)."""
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
        """Return the recent popularity at the moment of each query, float32 (B, n_items); zeros without a half-life."""
        if self.popularity_half_life is None:
            return np.zeros((len(query), len(self.popularity)), np.float32)  # type: ignore[arg-type]
        if query.times is None:
            return np.tile(self.recent_popularity[-1], (len(query), 1))
        return self.recent_popularity[np.searchsorted(self.moments[1:], query.times, side="right")]

    def _stored(self) -> list[str]:
        return [*super()._stored(), *self._popularity_arrays()]

    def _popularity_arrays(self) -> list[str]:
        """Return the names of the learned arrays of popularity."""
        names = ["next_popularity"] if self.prior_strength else []
        names += [] if self.popularity_half_life is None else ["moments", "recent_popularity"]
        return names + (["groups", "group_factors"] if self.popularity_by else [])
