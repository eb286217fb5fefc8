"""Queries and training samples as tensors, as a module sees them.

A `QueryBatch` is a `recsys.data.query.Query` on the device of the module. Modules receive it both in training and in
scoring.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recsys.data.query import History


class HistoryBatch(NamedTuple):
    """Interactions of B users, one user after another, each in time order, oldest first.

    Attributes:
        lengths: int64 (B,) number of interactions of each user.
        rows: int64 (P,) the user, from 0 to B - 1, of each interaction.
        items: int64 (P,) item codes.
        ratings: float32 (P,) ratings.
        host_lengths: int64 (B,) `lengths` as an array, from which shapes are computed without waiting for a GPU.
        times: int64 (P,) seconds UTC, or None where the source has none.
        recency: float32 (P,) weight of each interaction, or None where all count alike, as in training.
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
        """Copy histories to a device."""
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
        """Return the weight of each interaction, float32 (P,)."""
        return torch.ones_like(self.ratings) if self.recency is None else self.recency

    @property
    def unit_weights(self) -> Tensor:
        """Return the weights of each user scaled to length one, float32 (P,)."""
        return self.weights * self.sums(self.weights.square()).rsqrt()[self.rows]

    def sums(self, values: Tensor) -> Tensor:
        """Return the sum of each user's values (P,), float32 (B,)."""
        return values.new_zeros(len(self.lengths)).index_add(0, self.rows, values)

    def latest(self, n: int) -> HistoryBatch:
        """Return the latest n interactions of each user, all of those with fewer."""
        lengths, host_lengths = self.lengths.clamp(max=n), self.host_lengths.clip(max=n)
        rows, positions = slices(self.lengths.cumsum(0) - lengths, lengths, int(host_lengths.sum()))
        times = None if self.times is None else self.times[positions]
        recency = None if self.recency is None else self.recency[positions]
        items, ratings = self.items[positions], self.ratings[positions]
        return HistoryBatch(lengths, rows, items, ratings, host_lengths, times, recency)

    def places_from_the_end(self) -> Tensor:
        """Return int64 (P,): 0 for the latest interaction of a user, 1 for the one before."""
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


_NONE = torch.empty(0, dtype=torch.long)
NO_INTERACTIONS = HistoryBatch(_NONE, _NONE, _NONE, torch.empty(0), _NONE.numpy())


class QueryBatch(NamedTuple):
    """Users with their histories.

    Attributes:
        users: int64 (B,) user codes; the code of an unknown user is n_users.
        history: histories of the users. Objectives that draw single interactions pass `NO_INTERACTIONS` instead.
    """

    users: Tensor
    history: HistoryBatch = NO_INTERACTIONS


class SampledBatch(NamedTuple):
    """Positives with sampled negatives.

    Attributes:
        queries: the users of the positives, B of them.
        items: int64 (B, 1 + n_negatives) item codes, the positive first.
        log_q: float32 (n_items,) log probability of drawing each item as a negative.
    """

    queries: QueryBatch
    items: Tensor
    log_q: Tensor


class RatingBatch(NamedTuple):
    """Single ratings.

    Attributes:
        queries: the users of the ratings, B of them.
        items: int64 (B, 1) item codes.
        ratings: float32 (B,) ratings.
    """

    queries: QueryBatch
    items: Tensor
    ratings: Tensor


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to a device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def slices(starts: Tensor, lengths: Tensor, total: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the elements of some slices, one slice after another.

    Args:
        starts: int64 (B,) the first position of each slice.
        lengths: int64 (B,).
        total: sum P of the lengths; where it is not known, it is read from the device.

    Returns:
        int64 (P,) the slice, from 0 to B - 1, that each element belongs to, and its position.
    """
    rows = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths, output_size=total)
    within = torch.arange(len(rows), device=lengths.device) - (lengths.cumsum(0) - lengths)[rows]
    return rows, starts[rows] + within
