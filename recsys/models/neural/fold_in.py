"""Fold-in: a linear regression computes embeddings of users unseen in training from their histories.

A model with an embedding for each user has none for a new user. A user with history H is therefore represented by
x = sum over i in H of q_i / sqrt(|H|), where q_i is the embedding of item i. The regression

    e = mean(e) + (x - mean(x)) W,   W = (X' X + 100 s^2 I)^-1 X' E

predicts the embedding e of a user from x. The rows of X and E are x and e of the training users, minus their means; X'
is the transpose of X, I the identity, and s^2 the mean variance of the elements of x, so the penalty weighs as much as
100 users. The weights of the model itself do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Pairs, Query
from recsys.models.base import FitContext, FitReport, Recommender
from recsys.models.graphs import ScoreGraph
from recsys.models.histories import ReadsHistories
from recsys.models.neural.embeddings import user_tables
from recsys.models.neural.graphs import FoldInGraph
from recsys.models.neural.module import NeuralModule
from recsys.models.neural.recommender import EmbeddingRecommender, NeuralRecommender

PENALTY = 100  # users


class FoldsIn(EmbeddingRecommender, ReadsHistories):
    """A model with an embedding for each training user; it scores new users by fold-in (see the module's docstring).

    Args:
        prior_strength: strength of the prior for users unseen in training; see `ReadsHistories`.
        popularity_half_life: see `ReadsHistories`.
        popularity_by: see `ReadsHistories`.
        **training: see `NeuralRecommender`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        trained: bool (n_users,) whether a user has training interactions.
        regression: float32 (d + 1, m) W, followed by the intercept as the last row. If the module has several tables of
            users, W predicts their rows side by side, and m is the sum of their widths. None in models saved by earlier
            versions, which score all new users like the average user.
    """

    uses_history = False  # training users are scored by their embeddings
    trained: np.ndarray
    regression: np.ndarray | None = None

    def __init__(
        self,
        prior_strength: float = 0.0,
        popularity_half_life: float | None = None,
        popularity_by: Sequence[str] = (),
        **training: Any,
    ) -> None:
        NeuralRecommender.__init__(self, **training)
        ReadsHistories.__init__(self, prior_strength, popularity_half_life, popularity_by)

    @property
    def scores_new_users(self) -> bool:
        """See `Recommender.scores_new_users`; false if the model predicts ratings, which the regression ignores."""
        return self.regression is not None and not self.predicts_ratings

    def falls_back(self, query: Query) -> np.ndarray:
        """See `Recommender.falls_back`; true for all users who are scored by fold-in."""
        return self._folded_in(query)

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph`."""
        if not self.scores_new_users:
            return super().graph(data, length)
        regression = cast(np.ndarray, self.regression)
        return FoldInGraph(self.module, user_tables(self.module), self.trained, regression, self.item_embeddings())

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`."""
        if self.regression is None:
            return super().arrays()
        return super().arrays() | {"trained": self.trained, "regression": self.regression}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`."""
        super().restore(arrays)
        if "regression" in arrays:
            self.trained, self.regression = arrays["trained"], arrays["regression"]

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Train the module, and fit the regression from histories to embeddings."""
        self.regression = None  # otherwise validation would use that of an earlier fit
        report = super()._fit(train, valid, context)
        self.trained = train.total(train.user_counts) > 0
        users = np.flatnonzero(train.user_counts)
        codes = torch.from_numpy(users).to(self.module.device)
        embeddings = [part(codes).detach().cpu().numpy() for part in user_tables(self.module).values()]
        x = self._features(train.history(users)).astype(np.float64)
        e = np.concatenate(embeddings, axis=1).astype(np.float64)

        def mean(values: np.ndarray) -> np.ndarray:
            return values.mean(axis=0) if train.shard is None else train.total(values.sum(axis=0)) / train.n_raters

        means = mean(x), mean(e)
        x -= means[0]
        penalty = PENALTY * mean(x**2).mean() + np.finfo(np.float32).tiny
        products = train.total(x.T @ x), train.total(x.T @ (e - means[1]))
        weights = np.linalg.solve(products[0] + penalty * np.eye(x.shape[1]), products[1])
        self.regression = np.vstack([weights, means[1] - means[0] @ weights]).astype(np.float32)
        return report

    def _score(self, query: Query) -> np.ndarray:
        """See `Recommender._score`."""
        scores, new = super()._score(query), self._folded_in(query)
        if new.any():
            scores[new] = self._with_users(query.history.select(new)).score(_first(new.sum()))
        return scores

    def _predict(self, pairs: Pairs) -> np.ndarray:
        """See `Recommender._predict`."""
        if self._folded_in(pairs.query).any():
            return Recommender._predict(self, pairs)
        return super()._predict(pairs)

    def _folded_in(self, query: Query) -> np.ndarray:
        """Return which users of a query are new but have a history, so that fold-in applies to them: bool (B,)."""
        if not self.scores_new_users:
            return np.zeros(len(query), bool)
        return ~np.append(self.trained, False)[query.users] & (query.history.lengths > 0)

    def _features(self, history: History) -> np.ndarray:
        """Return x, the input of the regression, for each history: float32 (B, d)."""
        items = self.item_embeddings()
        sums = history.matrix(len(items)) @ items
        return sums / np.sqrt(np.maximum(history.lengths, 1), dtype=np.float32)[:, None]

    def _with_users(self, history: History) -> NeuralModule:
        """Return a copy of the module whose users are those of the given histories; it shares all other weights."""
        regression = cast(np.ndarray, self.regression)
        x = self._features(history)
        embeddings = torch.from_numpy(x @ regression[:-1] + regression[-1])
        unknown = embeddings[-1:]  # fills the row of unknown users, which is not used
        state = self.module.state_dict()
        tables = user_tables(self.module)
        rows = torch.cat([embeddings, unknown]).split([part.embedding_dim for part in tables.values()], dim=1)
        module = self.unallocated(len(x), self.n_items)
        device = self.module.device
        state |= {name: own.to(device) for name, own in zip(tables, rows, strict=True)}
        module.load_state_dict(state, assign=True)
        return module.to(device).eval()


def _first(n: int) -> Query:
    """Return a query of the users 0 to n - 1, without histories."""
    return Query(np.arange(n), History.of_items([[]] * n))
