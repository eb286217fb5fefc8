"""Graphs of tensor operations that compute scores from padded histories, for export by `torch.export` or to ONNX.

A graph reads histories as rows of L columns. The latest interaction is in the last column, and shorter histories have
`PADDING` on the left. A graph computes the same scores as its model, in float32, for any number of users at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from recsys.data.query import History
from recsys.models.popularity_context import DAY

PADDING = -1  # item code of a column without an interaction


class PaddedQuery(NamedTuple):
    """The inputs of a graph for B users; fields that the graph does not list in its `reads` are None.

    Attributes:
        users: int64 (B,) user codes; -1 is an unknown user.
        items: int64 (B, L) item codes of the histories, `PADDING` on the left.
        times: int64 (B, L) Unix times of the interactions in seconds.
        plays: float32 (B, L) how often, or how long, each item was played.
        moments: int64 (B,) Unix times in seconds at which the users get recommendations.
    """

    users: Tensor | None = None
    items: Tensor | None = None
    times: Tensor | None = None
    plays: Tensor | None = None
    moments: Tensor | None = None


class ScoreGraph(nn.Module):
    """Computes a model's scores without the fallback: `forward` maps a `PaddedQuery` to scores, float32 (B, n_items).

    Attributes:
        reads: names of the fields of `PaddedQuery` that the graph reads.
    """

    reads: tuple[str, ...] = ("items",)

    def lengths(self, query: PaddedQuery) -> Tensor:
        """Return the number of interactions of each user, int64 (B,)."""
        return (given(query.items) >= 0).sum(dim=1)

    def by_history(self, query: PaddedQuery) -> Tensor:
        """Return whether each user is scored by the history, bool (B,); by default, all users are."""
        return self.lengths(query) >= 0


class HistoryWeights(nn.Module):
    """Computes weights of interactions by position, age and plays.

    Args:
        by_place: float32 (L,) weight of each position, in the order of the columns, which end with the latest
            interaction.
        days: half-life, in days, of the weight of an interaction by its age; None if weights do not depend on age.
        play_weight: see `recsys.models.plays.WeighsPlays`.
        play_scale: see `recsys.models.plays.WeighsPlays`.
    """

    by_place: Tensor

    def __init__(
        self,
        by_place: np.ndarray,
        days: float | None = None,
        play_weight: float = 0.0,
        play_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("by_place", torch.from_numpy(by_place))
        self.days, self.play_weight, self.play_scale = days, play_weight, play_scale
        self.reads = ("items", *(["times"] if days else []), *(["plays"] if play_weight else []))

    def forward(self, query: PaddedQuery) -> Tensor:
        """Return the weights, float32 (B, L); zero at padding."""
        weights = torch.where(given(query.items) >= 0, self.by_place, 0.0)
        if self.days:
            times = given(query.times)
            weights = weights * torch.exp2((times - times[:, -1:]).float() / (self.days * DAY))
        if self.play_weight:
            plays = given(query.plays)
            plays = plays if self.play_scale is None else torch.log1p(plays / self.play_scale)
            weights = weights * (1 + self.play_weight * plays)
        return weights


class LinearGraph(ScoreGraph):
    """Scores = [x^1 B, ..., x^S B] W, where x^s is the history as a vector over items, weighted for time scale s.

    Args:
        scales: the S modules that compute the weights of interactions, one for each time scale.
        item_weights: W, float32 (S d, n_items), with d = n_items if B is the identity.
        item_basis: B, float32 (n_items, d), or None for the identity.
    """

    item_weights: Tensor
    item_basis: Tensor | None

    def __init__(
        self,
        scales: Sequence[HistoryWeights],
        item_weights: np.ndarray,
        item_basis: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(scales)
        self.reads = scales[0].reads
        self.register_buffer("item_weights", torch.from_numpy(item_weights))
        self.register_buffer("item_basis", None if item_basis is None else torch.from_numpy(item_basis))

    def forward(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph`."""
        items = given(query.items)
        empty = self.item_weights.new_zeros(items.shape[0], self.item_weights.shape[1])
        x = [empty.scatter_add(1, items.clamp(min=0), scale(query)) for scale in self.scales]
        if self.item_basis is not None:
            x = [vectors @ self.item_basis for vectors in x]
        return torch.cat(x, dim=1) @ self.item_weights


class VectorGraph(ScoreGraph):
    """Scores = inner products of stored user vectors and item vectors; zero for unknown users.

    Args:
        user_vectors: float32 (n_users, d) vectors of the users, by user code.
        item_vectors: float32 (n_items, d) vectors of the items, by item code.
        lengths: int64 (n_users,) number of interactions from which each user vector was computed.
    """

    reads = ("users",)
    user_vectors: Tensor
    item_vectors: Tensor
    n_interactions: Tensor

    def __init__(self, user_vectors: np.ndarray, item_vectors: np.ndarray, lengths: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("user_vectors", torch.from_numpy(np.pad(user_vectors, ((0, 1), (0, 0)))))
        self.register_buffer("item_vectors", torch.from_numpy(item_vectors))
        self.register_buffer("n_interactions", torch.from_numpy(np.append(lengths, 0)))

    def forward(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph`."""
        return self.user_vectors[rows_of_users(query, len(self.user_vectors) - 1)] @ self.item_vectors.T

    def lengths(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph.lengths`; 0 for unknown users."""
        return self.n_interactions[rows_of_users(query, len(self.user_vectors) - 1)]


class PopularityGraph(nn.Module):
    """Adds popularity to a model's scores, and uses popularity as the scores of users without a history.

    See `recsys.models.histories`. An array is None if the model's settings do not need it.

    Args:
        popularity: float32 (n_items,) scores of a user without a history.
        long: a history is short if it has fewer interactions than this number.
        prior_strength: see `ReadsHistories`.
        next_popularity: attribute of `ReadsHistories`; needed if `prior_strength` is above 0.
        moments: attribute of `ReadsHistories`; needed if recent popularity is added.
        recent_popularity: attribute of `ReadsHistories`; needed if recent popularity is added.
        groups: attribute of `ReadsHistories`; needed if popularity depends on attributes of users.
        group_factors: attribute of `ReadsHistories`; needed if popularity depends on attributes of users.
    """

    popularity: Tensor
    next_popularity: Tensor
    moments: Tensor
    recent_popularity: Tensor
    groups: Tensor
    group_factors: Tensor

    def __init__(
        self,
        popularity: np.ndarray,
        long: int,
        prior_strength: float = 0.0,
        next_popularity: np.ndarray | None = None,
        moments: np.ndarray | None = None,
        recent_popularity: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        group_factors: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.long, self.prior_strength = long, prior_strength
        tables = {
            "popularity": popularity,
            "next_popularity": next_popularity,
            "moments": moments,
            "recent_popularity": recent_popularity,
            "groups": groups,
            "group_factors": group_factors,
        }
        for name, table in tables.items():
            self.register_buffer(name, None if table is None else torch.from_numpy(table))
        self.adds = any(table is not None for table in (next_popularity, moments, groups))
        self.reads = (*(["moments"] if moments is not None else []), *(["users"] if groups is not None else []))

    def forward(self, own: Tensor, lengths: Tensor, by_history: Tensor, query: PaddedQuery) -> Tensor:
        """Return the final scores, which combine the model's own scores with popularity: float32 (B, n_items).

        Args:
            own: float32 (B, n_items) the model's own scores.
            lengths: int64 (B,) number of interactions of each user.
            by_history: bool (B,) whether each user is scored by the history; the scores of other users do not change.
            query: the query whose users are scored.
        """
        scores = torch.where((by_history & (lengths == 0))[:, None], self.popularity, own)
        return torch.where(by_history[:, None], self._added(scores, lengths, query), scores) if self.adds else scores

    def _added(self, scores: Tensor, lengths: Tensor, query: PaddedQuery) -> Tensor:
        n = lengths[:, None]
        popularity, weights = self._recent(query, scores), torch.ones_like(scores[:, :1])
        if self.next_popularity is not None:
            short = (n > 0) & (n < self.long)
            popularity = torch.where(short, self.next_popularity[lengths.clamp(max=self.long - 1)], popularity)
            by_length = self.prior_strength * ((self.long / n.clamp(min=1).float()) ** 2 - 1)
            weights = torch.where(short, by_length, weights)
        if self.groups is not None:
            factors = self.group_factors[self.groups[rows_of_users(query, len(self.groups) - 1)]].prod(dim=1)
            popularity = popularity * factors
            scores = torch.where(n > 0, scores, scores * factors)
        return scores + weights * _spread(scores) * _standardised(popularity)

    def _recent(self, query: PaddedQuery, scores: Tensor) -> Tensor:
        if self.moments is None:
            return torch.zeros_like(scores)
        rows = (given(query.moments)[:, None] >= self.moments[1:]).sum(dim=1)
        return self.recent_popularity[rows]


def rows_of_users(query: PaddedQuery, unknown: int) -> Tensor:
    """Return each user's row in a table with a row for each user code, int64 (B,); `unknown` for unknown users."""
    users = given(query.users)
    return torch.where(users >= 0, users, unknown)


def full_history(length: int) -> History:
    """Return a history of one row with `length` distinct items, which have no times and were played 0 times.

    The weights of these interactions depend only on their positions.
    """
    return History(
        np.array([0, length]), np.arange(length, dtype=np.int32), np.ones(length, np.float32), plays=np.zeros(length)
    )


def _standardised(counts: Tensor) -> Tensor:
    return (counts - counts.mean(dim=1, keepdim=True)) / _spread(counts)


def _spread(values: Tensor) -> Tensor:
    """Return the standard deviation of each row, or 1 where it is zero, float32 (B, 1)."""
    spread = (values - values.mean(dim=1, keepdim=True)).square().mean(dim=1, keepdim=True).sqrt()
    return torch.where(spread > 0, spread, 1.0)


def given(field: Tensor | None) -> Tensor:
    """Check that a query has a field, and return the field.

    Raises:
        ValueError: the field is None, because the graph does not declare it in `reads`.
    """
    if field is None:
        raise ValueError("a graph must declare in `reads` what it reads of a query")
    return field
