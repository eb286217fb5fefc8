"""Short histories: the scores of a user with few interactions move towards what is popular after as few.

A model that scores by histories learns little from one or two interactions, and ranks worse by them than popularity
does. For a user with 0 < n < 20 interactions, `ReadsHistories.score` returns for item i

    s_i + strength ((20 / n)^2 - 1) sd(s) z(c_n)_i,

where s are the model's own scores and sd(s) is their standard deviation over the items; c_n(i) counts the training
interactions with item i that are not among the first n of their user, and z standardises them over the items. c_n is
not the popularity c_0, since users go on with other items than they began with; as few users may go on so far, one
interaction for each item, spread like c_0, is added to it. From 20 interactions on the model alone scores. The weight
falls with the square of n: a slower fall that helps new users as much costs users with 10 to 20 interactions more where
random interactions are held out, not later ones (experiments/newcomers).
"""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset
from recsys.data.query import Query
from recsys.errors import check_not_negative, check_positive
from recsys.models.base import Recommender

LONG = 20  # interactions from which a history is scored by the model alone
DAY = 24 * 3600


class ReadsHistories(Recommender):
    """A model whose scores follow the history in the query.

    Args:
        prior_strength: weight of the popularity in the scores of short histories; 0 leaves it out.
        popularity_half_life: days after which a training interaction counts half in this popularity, and in that by
            which items are scored for a user without a history; None counts all equally.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        next_popularity: float32 (20, n_items) c_n of each n; only with a `prior_strength`.
    """

    uses_history = True
    next_popularity: np.ndarray

    def __init__(self, prior_strength: float = 0.0, popularity_half_life: float | None = None) -> None:
        check_not_negative(prior_strength=prior_strength)
        if popularity_half_life is not None:
            check_positive(popularity_half_life=popularity_half_life)
        self.prior_strength = prior_strength
        self.popularity_half_life = popularity_half_life

    def score(self, query: Query) -> np.ndarray:
        """See `Recommender.score`; short histories are scored with the prior, except by models that predict ratings."""
        scores, lengths = super().score(query), query.history.lengths
        short = self.falls_back(query) & (lengths > 0) & (lengths < LONG)
        if self.prior_strength and short.any():
            scores[short] += self._prior(scores[short], lengths[short])
        return scores

    def falls_back(self, query: Query) -> np.ndarray:
        """See `Recommender.falls_back`; with a prior, for short histories too."""
        limit = LONG if self.prior_strength else 1
        return (query.history.lengths < limit) & (self.uses_history and not self.predicts_ratings)

    def _count(self, train: Dataset) -> None:
        """See `Recommender._count`."""
        popularity = next_popularity(train, self.popularity_half_life)
        self.popularity = popularity[0]
        if self.prior_strength:
            self.next_popularity = popularity

    def _prior(self, scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return what is added to the scores of histories of some lengths, float32 (B, n_items)."""
        spread = scores.std(axis=1)
        weights = self.prior_strength * ((LONG / lengths) ** 2 - 1) * np.where(spread > 0, spread, 1)
        distinct, rows = np.unique(lengths, return_inverse=True)
        return weights.astype(np.float32)[:, None] * _standardised(self.next_popularity[distinct])[rows]

    def _stored(self) -> list[str]:
        return [*super()._stored(), "next_popularity"] if self.prior_strength else super()._stored()


def next_popularity(train: Dataset, half_life: float | None = None) -> np.ndarray:
    """Count the interactions that follow the first n of their user, and one more for each item, spread by popularity.

    Args:
        train: the interactions; without times their order means nothing, and all are counted for each n.
        half_life: days after which an interaction counts half, relative to the latest one; None counts all equally.

    Returns:
        float32 (20, n_items), a row for each n; the first is the popularity, to which nothing is added.
    """
    weights = np.ones(len(train.items))
    if half_life is not None and train.times is not None:
        weights = np.exp2((train.times - train.times.max()) / (half_life * DAY))
    popularity = np.bincount(train.items, weights, train.n_items)
    counts = np.tile(popularity, (LONG, 1))
    if train.times is not None:
        places = np.arange(len(train.items)) - np.repeat(train.indptr[:-1], train.user_counts)
        early = places < LONG - 1
        cells = places[early] * train.n_items + train.items[early]
        firsts = np.bincount(cells, weights[early], (LONG - 1) * train.n_items)
        counts[1:] -= firsts.reshape(LONG - 1, train.n_items).cumsum(axis=0)
        counts[1:] += train.n_items * popularity / popularity.sum()
    return counts.astype(np.float32)


def _standardised(counts: np.ndarray) -> np.ndarray:
    """Standardise each row, float32 (n_rows, n_items); a row of equal counts becomes zeros."""
    spread = counts.std(axis=1, keepdims=True)
    return (counts - counts.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
