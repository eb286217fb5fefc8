"""Training epochs, drawn on the device: of positives with sampled negatives, of single ratings, or of whole users.

The samples of an epoch depend only on the interactions and the epoch's seed, so a resumed run sees the same samples as
an uninterrupted one. All processes of a distributed run draw the same epoch, and each takes its share of every batch,
unless the run is sharded by user: see `recsys.models.neural.sharding`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import lgamma

import numpy as np
import torch
from torch import Generator, Tensor

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.neural.batches import HistoryBatch, QueryBatch, RatingBatch, SampledBatch, slices

# Negatives are drawn for this many positives at a time, which bounds memory whatever the number of interactions.
POSITIVES_PER_DRAW = 1 << 20


class Interactions:
    """Training interactions as tensors on a device.

    The attributes have the same names, order of elements and dtypes as in `Dataset`. `users`, `items`, `ratings`,
    `times`, `indptr` and `item_counts` are tensors on the device, `user_counts` is a NumPy array, and the others are
    numbers. If each process has only the interactions of its own users, `item_counts`, `n_raters` and `mean_rating`
    still cover all users.

    Args:
        train: the interactions, all of which are positives.
        device: device on which the module is trained.
    """

    def __init__(self, train: Dataset, device: torch.device) -> None:
        self.n_items = train.n_items
        self.users = torch.from_numpy(train.users).to(device)
        self.items = torch.from_numpy(train.items).to(device)
        self.ratings = torch.from_numpy(train.ratings).to(device)
        self.times = None if train.times is None else torch.from_numpy(train.times).to(device)
        self.indptr = torch.from_numpy(train.indptr).to(device)
        self.item_counts = torch.from_numpy(train.item_counts).to(device)
        self.user_counts = train.user_counts  # a NumPy array on the host
        self.mean_rating = train.mean_rating
        self.n_raters = train.n_raters

    def __len__(self) -> int:
        return len(self.users)

    def history(self, users: Tensor, host_lengths: np.ndarray) -> HistoryBatch:
        """Return all training interactions of some users.

        Args:
            users: int64 (B,) user codes.
            host_lengths: int64 (B,) number of interactions of each of these users, a NumPy array from `user_counts`.
        """
        starts = self.indptr[users]
        lengths = self.indptr[users + 1] - starts
        rows, positions = slices(starts, lengths, int(host_lengths.sum()))
        times = None if self.times is None else self.times[positions]
        return HistoryBatch(lengths, rows, self.items[positions].long(), self.ratings[positions], host_lengths, times)


class NegativeSampler:
    """Draws items that a user has not rated in training, in proportion to popularity ** power.

    Args:
        positives: the training interactions, whose items are never drawn for their users.
        power: exponent of popularity. 0 draws uniformly from the whole catalogue. With other exponents, items without
            ratings are never drawn: 1 draws in proportion to the number of ratings, and word2vec uses 0.75.

    Attributes:
        log_q: float32 (n_items,) log probability of each item in one draw; draws that yield positives are repeated.

    Raises:
        UserError: a user has rated every item that can be drawn.
    """

    def __init__(self, positives: Interactions, power: float = 0.0) -> None:
        self.n_items = positives.n_items
        self.keys = (positives.users.long() * self.n_items + positives.items).sort().values
        self.weights = popularity_weights(positives.item_counts, power)
        drawable = self.weights > 0
        n_rated = torch.zeros(len(positives.indptr) - 1, dtype=torch.long, device=self.keys.device)
        n_rated.index_add_(0, positives.users.long(), drawable[positives.items.long()].long())
        if bool((n_rated >= drawable.sum()).any()):
            raise UserError(
                "Every user must have an unrated item to draw negatives from, but a user has rated all items: use "
                "model.loss=softmax, which draws no negatives."
            )
        self.uniform = power == 0.0
        self.log_q = (self.weights / self.weights.sum()).log().float()

    def draw(self, users: Tensor, n_negatives: int, generator: Generator) -> Tensor:
        """Draw negatives for users (B,) with replacement, int64 (B, n_negatives).

        If a positive of the user is drawn, the draw is repeated.
        """
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
        ordered, places = keys.sort()  # sorted keys are looked up next to each other in memory
        found = torch.searchsorted(self.keys, ordered).clamp_(max=len(self.keys) - 1)
        return torch.empty_like(keys, dtype=torch.bool).scatter_(0, places, self.keys[found] == ordered)


def popularity_weights(item_counts: Tensor, power: float, rated_only: bool = False) -> Tensor:
    """Return the weight of each item in random draws, popularity ** power: float64 (n_items,).

    Items without training interactions have weight 0, except that they have weight 1 if the power is 0 and `rated_only`
    is False.
    """
    return torch.where(item_counts > 0, item_counts.double() ** power, float(power == 0 and not rated_only))


@dataclass(frozen=True)
class Share:
    """The rows of every batch that belong to one process of a distributed run.

    Attributes:
        rank: number of the process, from 0.
        n_processes: number of processes.
    """

    rank: int = 0
    n_processes: int = 1

    @property
    def stream(self) -> int:
        """Return a number to hash into the seed of an epoch: 0 in all processes, so that all draw the same epoch."""
        return 0

    def fair(self, n_rows: int) -> int:
        """Round a number of rows down to a multiple of the number of processes, with at least one row for each."""
        return max(1, n_rows // self.n_processes) * self.n_processes

    def bounds(self, n_rows: int, batch_size: int) -> np.ndarray:
        """Divide drawn rows into batches, each of which is shared by all processes.

        The last rows are left out if they cannot be divided equally among processes.

        Args:
            n_rows: number of rows.
            batch_size: number of rows in a batch over all processes, rounded by `fair`; the last batch can be smaller.

        Returns:
            int64 (n_batches + 1,) positions at which the batches begin, and the position at which the last one ends.
        """
        n_rows = self.fair(n_rows)
        return np.append(np.arange(0, n_rows, self.fair(batch_size)), n_rows)

    def rows(self, start: int, stop: int) -> slice:
        """Return the rows of this process in the batch from `start` to `stop`: every `n_processes`-th row."""
        return slice(start + self.rank, stop, self.n_processes)


@dataclass(frozen=True)
class Draw:
    """Settings that determine the samples of an epoch, given the interactions.

    Attributes:
        batch_size: number of samples in a step, over all processes.
        seed: seed of the epoch.
        share: determines the rows of each batch that belong to this process.
    """

    batch_size: int
    seed: int
    share: Share = Share()

    def bounds(self, n_rows: int, batch_size: int | None = None) -> np.ndarray:
        """See `Share.bounds`; if `batch_size` is None, the attribute `batch_size` is used."""
        return self.share.bounds(n_rows, batch_size or self.batch_size)

    def order(self, rows: Tensor, generator: Generator) -> Tensor:
        """Return rows (n,), such as user codes or positions, in random order."""
        return rows[torch.randperm(len(rows), generator=generator, device=rows.device)]

    def batches(
        self, users: Tensor, interactions: Interactions, generator: Generator
    ) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Yield batches of users in random order, each reduced to the users that belong to this process.

        Args:
            users: int64 (n,) user codes; each user is drawn once.
            interactions: the training interactions.
            generator: random number generator that determines the order.

        Yields:
            User codes, int64 (B,) on the device, and their numbers of interactions, int64 (B,) as a NumPy array.
        """
        order = self.order(users, generator)
        counts = interactions.user_counts[order.cpu().numpy()]  # read once, so that no step waits for the device
        for start, stop in pairwise(self.bounds(len(order)).tolist()):
            own = self.share.rows(start, stop)
            yield order[own], counts[own]

    def generator(self, device: torch.device) -> Generator:
        """Return a random number generator on the device, seeded with the epoch's seed."""
        return Generator(device).manual_seed(self.seed)


@dataclass(frozen=True)
class SampledEpoch:
    """One pass over the positives in random order, each with newly drawn negatives; yields `SampledBatch`.

    Args:
        positives: the training interactions.
        sampler: draws the negatives.
        n_negatives: number of negatives per positive.
        draw: determines the samples; a positive and its negatives count as 1 + n_negatives samples in `batch_size`.
    """

    positives: Interactions
    sampler: NegativeSampler
    n_negatives: int
    draw: Draw

    @property
    def positives_per_batch(self) -> int:
        """Return the number of positives in a batch over all processes, each of which has an equal share."""
        return self.draw.share.fair(self.draw.batch_size // (1 + self.n_negatives))

    def __len__(self) -> int:
        return len(self.draw.bounds(len(self.positives), self.positives_per_batch)) - 1

    def __iter__(self) -> Iterator[SampledBatch]:
        positives, share = self.positives, self.draw.share
        generator = self.draw.generator(positives.users.device)
        order = self.draw.order(torch.arange(len(positives), device=positives.users.device), generator)
        bounds = self.draw.bounds(len(positives), self.positives_per_batch)
        n_together = max(1, POSITIVES_PER_DRAW // self.positives_per_batch)
        for first in range(0, len(bounds) - 1, n_together):
            group = bounds[first : first + n_together + 1]
            drawn = order[group[0] : group[-1]]
            users = positives.users[drawn].long()
            negatives = self.sampler.draw(users, self.n_negatives, generator)
            items = torch.cat([positives.items[drawn].unsqueeze(1), negatives], dim=1)
            for start, stop in pairwise((group - group[0]).tolist()):
                own = share.rows(start, stop)
                yield SampledBatch(QueryBatch(users[own]), items[own], self.sampler.log_q)


@dataclass(frozen=True)
class RatingEpoch:
    """One pass over the ratings in random order; yields `RatingBatch`.

    Args:
        ratings: the training ratings.
        draw: determines the order; its `batch_size` counts ratings.
    """

    ratings: Interactions
    draw: Draw

    def __len__(self) -> int:
        return len(self.draw.bounds(len(self.ratings))) - 1

    def __iter__(self) -> Iterator[RatingBatch]:
        ratings, share = self.ratings, self.draw.share
        device = ratings.users.device
        order = self.draw.order(torch.arange(len(ratings), device=device), self.draw.generator(device))
        for start, stop in pairwise(self.draw.bounds(len(ratings)).tolist()):
            own = order[share.rows(start, stop)]
            queries = QueryBatch(ratings.users[own].long())
            yield RatingBatch(queries, ratings.items[own].long().unsqueeze(1), ratings.ratings[own])


@dataclass(frozen=True)
class UserEpoch:
    """One pass over the users with interactions, in random order and with their whole histories; yields `QueryBatch`.

    Args:
        interactions: the training interactions.
        draw: determines the order; its `batch_size` counts users.
    """

    interactions: Interactions
    draw: Draw

    @property
    def users(self) -> Tensor:
        """Return the users with interactions, int64 (n,)."""
        return (self.interactions.indptr.diff() > 0).nonzero().squeeze(1)

    def __len__(self) -> int:
        return len(self.draw.bounds(len(self.users))) - 1

    def __iter__(self) -> Iterator[QueryBatch]:
        users = self.users
        for own, lengths in self.draw.batches(users, self.interactions, self.draw.generator(users.device)):
            yield QueryBatch(own, self.interactions.history(own, lengths))


def shared_candidates(
    queries: QueryBatch, item_counts: Tensor, draw: Tensor, n_users: int, n_negatives: int
) -> tuple[Tensor, Tensor]:
    """Draw the candidate items that all users of a batch share: the positives of these users, and sampled items.

    The items are sampled with PyTorch's global random number generator.

    Args:
        queries: the users of the batch, drawn without replacement, with all their positives.
        item_counts: int64 (n_items,) number of users who have each item among their positives.
        draw: float32 (n_items,) probability of each item in one draw.
        n_users: number of users with positives.
        n_negatives: number of draws, with replacement.

    Returns:
        int64 (C,) the candidates, ascending, and float32 (C,) for each of them, the log probability that it becomes a
        candidate for a user of whom it is not a positive, because it is sampled or is a positive of another user in the
        batch.
    """
    drawn = torch.multinomial(draw, n_negatives, replacement=True)
    items = torch.cat([queries.history.items, drawn]).unique()
    n_others, n_chosen = n_users - 1, len(queries.users) - 1
    n_raters = item_counts[items].clamp(max=n_others).double()
    log_unrated = _log_choose(n_others - n_raters, n_chosen) - _log_choose(
        torch.full_like(n_raters, n_others), n_chosen
    )
    log_absent = log_unrated + n_negatives * torch.log1p(-draw[items].double())
    return items, torch.log(-torch.expm1(log_absent)).float()


def _log_choose(n: Tensor, k: int) -> Tensor:
    """Return the logarithm of the binomial coefficient "n choose k", elementwise; minus infinity where n < k."""
    return torch.lgamma(n + 1) - lgamma(k + 1) - torch.lgamma(n - k + 1)
