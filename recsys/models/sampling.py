"""Training batches as slices of tensors that lie on the device: positives with negatives, ratings, or whole users.

An epoch is a pure function of its seed, so that a resumed run sees what an uninterrupted one would have seen. All
processes of a distributed run draw the same epoch, and each takes its share of every batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, lgamma
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from recsys.data.dataset import Dataset
from recsys.errors import UserError

# Negatives are drawn for this many positives at a time: it bounds memory at any number of ratings.
POSITIVES_PER_DRAW = 1 << 20


class SampledBatch(NamedTuple):
    """Positives beside their negatives, which share the user."""

    users: Tensor  # int64 (B,)
    items: Tensor  # int64 (B, 1 + n_negatives), the positive first
    log_q: Tensor  # float32 (n_items,) log probability that a film is drawn as a negative

    @property
    def candidates(self) -> Tensor:
        """The films to score for each user."""
        return self.items


class RatedBatch(NamedTuple):
    """Ratings: a user, a film and stars each."""

    users: Tensor  # int64 (B,)
    items: Tensor  # int64 (B, 1)
    ratings: Tensor  # float32 (B,) stars above the mean

    @property
    def candidates(self) -> Tensor:
        """The films to score for each user."""
        return self.items


class UserBatch(NamedTuple):
    """Users with all their positives."""

    users: Tensor  # int64 (B,)
    rows: Tensor  # int64 (P,) position in `users` of each positive's user
    items: Tensor  # int64 (P,)
    ratings: Tensor  # float32 (P,) stars above the mean

    @property
    def candidates(self) -> None:
        """The films to score for each user: all."""
        return None

    @property
    def lengths(self) -> Tensor:
        """int64 (B,): positives of each user."""
        return torch.bincount(self.rows, minlength=len(self.users))


class Positives:
    """Training ratings as tensors on a device.

    Args:
        train: the ratings, all of them positives.
        device: where training runs.
        mean: taken off the stars.
    """

    def __init__(self, train: Dataset, device: torch.device, mean: float = 0.0) -> None:
        self.n_items = train.n_items
        self.users = torch.from_numpy(train.users).to(device)
        self.items = torch.from_numpy(train.items).to(device)
        self.ratings = torch.from_numpy(train.ratings - np.float32(mean)).to(device)
        self.indptr = torch.from_numpy(train.indptr).to(device)
        self.item_counts = torch.from_numpy(train.item_counts).to(device)

    def __len__(self) -> int:
        return len(self.users)


class NegativeSampler:
    """Draws films that a user has not rated in training, in proportion to popularity ** power.

    Args:
        positives: what is never drawn.
        power: 0 draws uniformly, 1 by number of ratings, 0.75 as word2vec does.

    Raises:
        UserError: a user rated every film that can be drawn.
    """

    def __init__(self, positives: Positives, power: float = 0.0) -> None:
        self.n_items = positives.n_items
        self.keys = (positives.users.long() * self.n_items + positives.items).sort().values
        self.weights = positives.item_counts.double() ** power
        drawable = self.weights > 0
        rated = torch.zeros(len(positives.indptr) - 1, dtype=torch.long, device=self.keys.device)
        rated.index_add_(0, positives.users.long(), drawable[positives.items.long()].long())
        if bool((rated >= drawable.sum()).any()):
            raise UserError(
                "A user rated every film, so they have no negatives: use model.loss=softmax, which needs none."
            )
        self.uniform = power == 0.0
        self.log_q = (self.weights / self.weights.sum()).log().float()

    def draw(self, users: Tensor, n_negatives: int, generator: Generator) -> Tensor:
        """Draw for each of users (B,) -> int64 (B, n_negatives); proposals that are positives are drawn again."""
        offsets = (users.long() * self.n_items).repeat_interleave(n_negatives)  # (B * n,)
        negatives = torch.empty_like(offsets)
        pending = torch.arange(len(offsets), device=offsets.device)
        while len(pending):
            negatives[pending] = self._propose(len(pending), generator)
            pending = pending[self._is_positive(offsets[pending] + negatives[pending])]
        return negatives.view(-1, n_negatives)

    def _propose(self, n: int, generator: Generator) -> Tensor:
        if self.uniform:
            return torch.randint(self.n_items, (n,), generator=generator, device=self.keys.device)
        return torch.multinomial(self.weights, n, replacement=True, generator=generator)

    def _is_positive(self, keys: Tensor) -> Tensor:
        ordered, places = keys.sort()  # looked up in turn, they find what lies side by side in memory
        found = torch.searchsorted(self.keys, ordered).clamp_(max=len(self.keys) - 1)
        return torch.empty_like(keys, dtype=torch.bool).scatter_(0, places, self.keys[found] == ordered)


@dataclass(frozen=True)
class Share:
    """Which rows of every batch belong to this process of a distributed run."""

    rank: int = 0
    n_processes: int = 1

    def fair(self, n_rows: int) -> int:
        """The number of rows, rounded down so that all processes get as many, one at least."""
        return max(1, n_rows // self.n_processes) * self.n_processes

    def of(self, batch: Tensor) -> Tensor:
        """Every n-th row."""
        return batch[self.rank :: self.n_processes]


@dataclass(frozen=True)
class SampledEpoch:
    """One pass over the positives in random order, each with fresh negatives; yields `SampledBatch`.

    Args:
        positives: what is passed over.
        sampler: draws the negatives.
        n_negatives: per positive.
        batch_size: samples a step; a positive and its negatives count 1 + n_negatives.
        seed: of this epoch.
        share: of this process.
    """

    positives: Positives
    sampler: NegativeSampler
    n_negatives: int
    batch_size: int
    seed: int
    share: Share = Share()

    @property
    def positives_per_batch(self) -> int:
        """As many for each process, and at least one."""
        return self.share.fair(self.batch_size // (1 + self.n_negatives))

    def __len__(self) -> int:
        return ceil(self.share.fair(len(self.positives)) / self.positives_per_batch)

    def __iter__(self) -> Iterator[SampledBatch]:
        device = self.positives.users.device
        generator = Generator(device).manual_seed(self.seed)
        order = torch.randperm(len(self.positives), generator=generator, device=device)
        size = self.positives_per_batch
        for drawn in order[: self.share.fair(len(order))].split(max(1, POSITIVES_PER_DRAW // size) * size):
            users = self.positives.users[drawn]
            negatives = self.sampler.draw(users, self.n_negatives, generator)
            items = torch.cat([self.positives.items[drawn].unsqueeze(1), negatives], dim=1)
            for user_slice, item_slice in zip(users.long().split(size), items.split(size), strict=True):
                yield SampledBatch(self.share.of(user_slice), self.share.of(item_slice), self.sampler.log_q)


@dataclass(frozen=True)
class RatedEpoch:
    """One pass over the ratings in random order; yields `RatedBatch`.

    Args:
        positives: what is passed over.
        batch_size: ratings a step.
        seed: of this epoch.
        share: of this process.
    """

    positives: Positives
    batch_size: int
    seed: int
    share: Share = Share()

    def __len__(self) -> int:
        return ceil(self.share.fair(len(self.positives)) / self.share.fair(self.batch_size))

    def __iter__(self) -> Iterator[RatedBatch]:
        positives = self.positives
        generator = Generator(positives.users.device).manual_seed(self.seed)
        order = torch.randperm(len(positives), generator=generator, device=positives.users.device)
        for batch in order[: self.share.fair(len(order))].split(self.share.fair(self.batch_size)):
            own = self.share.of(batch)
            items = positives.items[own].long().unsqueeze(1)
            yield RatedBatch(positives.users[own].long(), items, positives.ratings[own])


@dataclass(frozen=True)
class UserEpoch:
    """One pass over the users in random order, each with all positives; yields `UserBatch`.

    Args:
        positives: what is passed over.
        batch_size: users a step.
        seed: of this epoch.
        share: of this process.
    """

    positives: Positives
    batch_size: int
    seed: int
    share: Share = Share()

    def __len__(self) -> int:
        n_active = int((self.positives.indptr.diff() > 0).sum())
        return ceil(self.share.fair(n_active) / self.share.fair(self.batch_size))

    def __iter__(self) -> Iterator[UserBatch]:
        device = self.positives.users.device
        generator = Generator(device).manual_seed(self.seed)
        active = (self.positives.indptr.diff() > 0).nonzero().squeeze(1)
        order = active[torch.randperm(len(active), generator=generator, device=device)]
        for batch in order[: self.share.fair(len(order))].split(self.share.fair(self.batch_size)):
            yield self._batch(self.share.of(batch))

    def _batch(self, users: Tensor) -> UserBatch:
        rows, positions = entries(self.positives.indptr, users)
        return UserBatch(users, rows, self.positives.items[positions].long(), self.positives.ratings[positions])


def shared_candidates(
    batch: UserBatch, item_counts: Tensor, draw: Tensor, n_users: int, n_negatives: int
) -> tuple[Tensor, Tensor]:
    """The films that all users of a batch are scored on: everybody's positives, and some drawn at random.

    Args:
        batch: of users drawn without replacement.
        item_counts: int64 (n_items,) users who have a film among their positives.
        draw: float32 (n_items,) probability of a film in one draw.
        n_users: users with positives.
        n_negatives: films drawn, with replacement.

    Returns:
        int64 (C,) films, ascending, and float32 (C,) log probability that a batch has a film that is none of a user's
        own: as another user's positive, or drawn.
    """
    drawn = torch.multinomial(draw, n_negatives, replacement=True)
    items = torch.cat([batch.items, drawn]).unique()
    n_others, n_chosen = n_users - 1, len(batch.users) - 1
    n_raters = item_counts[items].clamp(max=n_others).double()
    log_unwatched = _log_choose(n_others - n_raters, n_chosen) - _log_choose(
        torch.full_like(n_raters, n_others), n_chosen
    )
    log_absent = log_unwatched + n_negatives * torch.log1p(-draw[items].double())
    return items, torch.log(-torch.expm1(log_absent)).float()


def _log_choose(n: Tensor, k: int) -> Tensor:
    """Logarithm of the number of ways to choose k of n; minus infinity where n is less."""
    return torch.lgamma(n + 1) - lgamma(k + 1) - torch.lgamma(n - k + 1)


def entries(indptr: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The entries of some rows (B,) of a CSR layout: int64 (P,) place in `chosen` of each, and position."""
    starts = indptr[chosen]
    lengths = indptr[chosen + 1] - starts
    rows = torch.arange(len(chosen), device=chosen.device).repeat_interleave(lengths)
    within = torch.arange(len(rows), device=chosen.device) - (lengths.cumsum(0) - lengths)[rows]
    return rows, starts[rows] + within
