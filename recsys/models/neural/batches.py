"""Queries and training samples as tensors, the inputs of modules and objectives.

A `QueryBatch` is a `recsys.data.query.Query` on the device of the module. Modules receive it both in training and in
scoring.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recsys.data.query import History
from recsys.models.graphs import PaddedQuery, given
from recsys.models.neural.embeddings import pooled

NO_LENGTHS = np.empty(0, np.int64)  # in place of the lengths on the host where no shape depends on them
TINY = torch.finfo(torch.float32).tiny  # divisor in place of 0 for users without interactions


class HistoryBatch(NamedTuple):
    """The histories of B users, packed one after another without padding: P interactions, oldest first for each user.

    Attributes:
        lengths: int64 (B,) number of interactions of each user.
        rows: int64 (P,) the user, from 0 to B - 1, of each interaction.
        items: int64 (P,) item codes.
        ratings: float32 (P,) ratings.
        host_lengths: int64 (B,) `lengths` as a NumPy array, from which shapes are computed without waiting for a GPU.
        times: int64 (P,) Unix times in seconds, or None if the source has no times.
        recency: float32 (P,) recency weight of each interaction, or None if all weights are equal, as in training.
    """

    lengths: Tensor
    rows: Tensor
    items: Tensor
    ratings: Tensor
    host_lengths: np.ndarray
    times: Tensor | None = None
    recency: Tensor | None = None

    @classmethod
    def from_history(cls, history: History, device: torch.device) -> HistoryBatch:
        """Return histories as tensors on a device, without recency weights; see `to_device`."""
        return cls(
            to_device(history.lengths, device),
            to_device(history.rows, device),
            to_device(history.items.astype(np.int64), device),
            to_device(history.ratings, device),
            history.lengths,
            None if history.times is None else to_device(history.times, device),
        )

    @property
    def weights(self) -> Tensor:
        """Return the weight of each interaction, float32 (P,): 1 where `recency` is None."""
        return torch.ones_like(self.ratings) if self.recency is None else self.recency

    @property
    def unit_weights(self) -> Tensor:
        """Return the weights of interactions, scaled so that each user's weights have an L2 norm of 1: float32 (P,)."""
        return self.weights * self.sums(self.weights.square()).clamp(min=TINY).rsqrt()[self.rows]

    @property
    def mean_weights(self) -> Tensor:
        """Return the weights of interactions, scaled so that each user's weights sum to 1: float32 (P,)."""
        return self.weights / self.sums(self.weights).clamp(min=TINY)[self.rows]

    def pooled(self, vectors: Tensor, weights: Tensor) -> Tensor:
        """Return for each user the weighted sum of the history's item vectors, (B, d); zero for an empty history.

        Args:
            vectors: float (n, d) item vectors, usually of the whole catalogue. The batch's `items` are row numbers
                of this array.
            weights: float32 (P,) weights of the interactions.
        """
        return pooled(vectors, self.items, self.lengths, weights)

    def sums(self, values: Tensor) -> Tensor:
        """Given a value for each interaction, float32 (P,), return the sum of each user's values, float32 (B,)."""
        return values.new_zeros(len(self.lengths)).index_add(0, self.rows, values)

    def latest(self, n: int) -> HistoryBatch:
        """Return the latest n interactions of each user, or all if there are fewer."""
        lengths, host_lengths = self.lengths.clamp(max=n), self.host_lengths.clip(max=n)
        rows, positions = slices(self.lengths.cumsum(0) - lengths, lengths, int(host_lengths.sum()))
        times = None if self.times is None else self.times[positions]
        recency = None if self.recency is None else self.recency[positions]
        items, ratings = self.items[positions], self.ratings[positions]
        return HistoryBatch(lengths, rows, items, ratings, host_lengths, times, recency)

    def places_from_the_end(self) -> Tensor:
        """Return how many later interactions of the same user follow each interaction, int64 (P,): 0 for the latest."""
        ends = self.lengths.cumsum(0)
        return ends[self.rows] - 1 - torch.arange(len(self.rows), device=ends.device)

    def padded(self, values: Tensor, length: int, padding: float) -> Tensor:
        """Arrange values of the interactions, (P,), as a padded (B, length) array, the latest in the last column.

        Args:
            values: (P,) a value for each interaction, such as `items`.
            length: number of columns; a longer history is truncated to its latest interactions.
            padding: value that fills shorter rows on the left.
        """
        ends = self.lengths.cumsum(0)[:, None]
        positions = ends - torch.arange(length, 0, -1, device=values.device)  # (B, length)
        missing = positions < ends - self.lengths[:, None]
        return torch.cat([values, values.new_full((1,), padding)])[positions.masked_fill(missing, len(values))]


class PaddedHistoryBatch(HistoryBatch):
    """Histories of B users, padded on the right to L interactions each, for exported graphs.

    In the shapes of `HistoryBatch`, P is thus B L. Padding has item 0 and weight 0. It comes after a user's
    interactions, so states of sequence models do not depend on it. Unlike in a packed batch, shapes do not depend on
    the lengths, so `host_lengths` is empty. All ratings are 1, and there are no times.
    """

    @classmethod
    def from_padded(cls, query: PaddedQuery, weights: Tensor) -> PaddedHistoryBatch:
        """Build a batch from a query whose histories are padded on the left; in the batch, the padding is on the right.

        Args:
            query: a query whose `items` are histories with padding on the left.
            weights: float32 (B, L) weights of the interactions, with the same padding.
        """
        items = given(query.items)
        columns = torch.arange(items.shape[1])
        lengths = (items >= 0).sum(dim=1)
        positions = (columns + (items.shape[1] - lengths)[:, None]).clamp(max=items.shape[1] - 1)
        real = columns < lengths[:, None]
        chosen = torch.where(real, items.gather(1, positions), 0)
        rows = torch.arange(items.shape[0])[:, None].expand_as(chosen)
        recency = torch.where(real, weights.gather(1, positions), 0.0).flatten()
        ratings = torch.ones_like(recency)
        return cls(lengths, rows.flatten(), chosen.flatten(), ratings, NO_LENGTHS, recency=recency)

    def sums(self, values: Tensor) -> Tensor:
        """See `HistoryBatch.sums`."""
        return self.by_user(values).sum(dim=1)

    def pooled(self, vectors: Tensor, weights: Tensor) -> Tensor:
        """See `HistoryBatch.pooled`; computed as a dense matrix of weights, (B, n), times the vectors, (n, d)."""
        x = vectors.new_zeros(self.lengths.shape[0], vectors.shape[0])
        return x.scatter_add(1, self.by_user(self.items), self.by_user(weights)) @ vectors

    def places_from_the_end(self) -> Tensor:
        """See `HistoryBatch.places_from_the_end`; 0 at padding."""
        places = self.lengths[:, None] - 1 - torch.arange(self.by_user(self.items).shape[1])
        return places.clamp(min=0).flatten()

    def by_user(self, values: Tensor) -> Tensor:
        """Reshape values of the interactions from (B L, ...) to (B, L, ...)."""
        return values.unflatten(0, (self.lengths.shape[0], -1))


_NONE = torch.empty(0, dtype=torch.long)
NO_INTERACTIONS = HistoryBatch(_NONE, _NONE, _NONE, torch.empty(0), NO_LENGTHS)


class QueryBatch(NamedTuple):
    """Users and their histories, the input of a module.

    Attributes:
        users: int64 (B,) user codes; the code of an unknown user is n_users.
        history: histories of the users; `NO_INTERACTIONS` if the module does not read histories, or if it is trained on
            single interactions.
    """

    users: Tensor
    history: HistoryBatch = NO_INTERACTIONS


class SampledBatch(NamedTuple):
    """Positives with sampled negatives.

    Attributes:
        queries: the users of the B positives, without histories.
        items: int64 (B, 1 + n_negatives) item codes, the positive first.
        log_q: float32 (n_items,) log probability of drawing each item as a negative; see `NegativeSampler`.
    """

    queries: QueryBatch
    items: Tensor
    log_q: Tensor


class RatingBatch(NamedTuple):
    """Single ratings.

    Attributes:
        queries: the users of the B ratings, without histories.
        items: int64 (B, 1) item codes.
        ratings: float32 (B,) ratings.
    """

    queries: QueryBatch
    items: Tensor
    ratings: Tensor


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Convert an array to a tensor on a device; a tensor on the CPU shares the memory of a contiguous array."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def slices(starts: Tensor, lengths: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """List the positions in B slices of an array, one slice after another.

    Args:
        starts: int64 (B,) the first position of each slice.
        lengths: int64 (B,) number of positions in each slice.
        total: sum P of the lengths, which the caller knows without waiting for a GPU.

    Returns:
        For each position, the number of its slice, from 0 to B - 1, and the position itself: int64 (P,) each.
    """
    rows = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths, output_size=total)
    within = torch.arange(len(rows), device=lengths.device) - (lengths.cumsum(0) - lengths)[rows]
    return rows, starts[rows] + within
