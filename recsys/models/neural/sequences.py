"""Sequence models, which are trained to predict the next item at each position and score from the last position.

Sequences are packed: the histories of a batch are stored one after another, so that layers compute no padding.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.errors import UserError, check_positive, check_shares
from recsys.models.base import FitContext, FitReport, ScoresByProducts
from recsys.models.graphs import PaddedQuery, ScoreGraph, given
from recsys.models.neural.batches import HistoryBatch, PaddedHistoryBatch, QueryBatch, slices, to_device
from recsys.models.neural.graphs import HistoryGraph
from recsys.models.neural.module import HistoryModule
from recsys.models.neural.recommender import HistoryRecommender
from recsys.models.neural.sampling import Draw, Interactions, popularity_weights


class SequenceBatch(NamedTuple):
    """Sequences of items, with the item that follows each position.

    Attributes:
        queries: users, whose histories are the input items, P positions in total.
        targets: int64 (P,) the next item of each position.
        negatives: int64 (ceil(P / s), n) items drawn for each group of s consecutive positions, see `ItemSampler`; if
            the loss needs no sampler, the shape is (0, 0).
    """

    queries: QueryBatch
    targets: Tensor
    negatives: Tensor


class SequenceModule(HistoryModule):
    """A module that reads a history from the oldest item to the latest, and computes a state after each item.

    Args:
        n_users: number of user codes.
        n_items: number of item codes.
        max_length: maximum number of items that are read; of a longer history, only the latest items are read.
        **training: see `NeuralModule`.
    """

    shards_users = True
    scores_per_pass = 1 << 20  # the states of a few hundred sequences are computed together

    def __init__(self, n_users: int, n_items: int, max_length: int, **training: Any) -> None:
        super().__init__(n_users, n_items, **training)
        self.max_length = max_length

    @abstractmethod
    def item_table(self) -> Tensor:
        """Return the vectors of items, (n_items, h), which the model reads as inputs and multiplies with its states.

        Objectives call this once per training step. Scoring calls `item_embeddings`, which a module can override to
        return vectors that `refresh` has computed.
        """

    @abstractmethod
    def states(self, history: HistoryBatch, table: Tensor) -> Tensor:
        """Return the state after each interaction, (P, h), from this and earlier interactions of the same user.

        Args:
            history: histories of users, each with at least one and at most `max_length` interactions; P in all.
            table: the result of `item_table` in training, or of `item_embeddings` in scoring.
        """

    def item_embeddings(self) -> Tensor:
        """See `HistoryModule.item_embeddings`; by default, the result of `item_table`."""
        return self.item_table()

    def encode(self, queries: QueryBatch) -> Tensor:
        """Return the last state of each user, (B, h); zero for a user without a history."""
        history, table = queries.history, self.item_embeddings()
        known = to_device(np.flatnonzero(history.host_lengths), table.device)
        encoded = table.new_zeros(len(history.lengths), table.shape[1])
        if not len(known):
            return encoded
        lengths, host_lengths = history.lengths[known], history.host_lengths[history.host_lengths > 0]
        rows, _ = slices(lengths, lengths, int(host_lengths.sum()))
        latest = history._replace(lengths=lengths, host_lengths=host_lengths, rows=rows).latest(self.max_length)
        last = self.states(latest, table)[latest.lengths.cumsum(0) - 1]
        return encoded.index_copy(0, known, last.to(encoded.dtype))

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """Return logits of all items, (B, n_items), even if `items` is given: last states times item vectors."""
        return self.encode(queries) @ self.item_embeddings().T


class SequenceGraph(HistoryGraph):
    """Computes the scores of a sequence module: inner products of the last states with the items' vectors."""

    module: SequenceModule

    def forward(self, query: PaddedQuery) -> Tensor:
        """See `ScoreGraph`; the state of a user without a history is zero."""
        table, n_read = self.module.item_embeddings(), self.module.max_length
        latest = query._replace(items=given(query.items)[:, -n_read:])
        history = PaddedHistoryBatch.from_padded(latest, self.weights(latest))
        states = history.by_user(self.module.states(history, table))  # (B, L, h)
        last = states[torch.arange(states.shape[0]), (history.lengths - 1).clamp(min=0)]
        return torch.where(history.lengths[:, None] > 0, last, 0.0) @ table.T


class ItemSampler:
    """Draws negatives in proportion to popularity ** power, for groups of consecutive positions.

    The positions of a group share their negatives, so that the scores of the negatives are a matrix product. If
    a drawn item is the next item of a position, losses do not count it as a negative at this position. Other items of
    the user's history can be negatives.

    Args:
        train: the training interactions.
        n_negatives: number of items drawn for a group, with replacement.
        power: exponent of popularity. 0 draws uniformly. With other exponents, items without training interactions are
            never drawn; 1 draws in proportion to the number of interactions.
        rated_only: whether items without training interactions are excluded even if `power` is 0.

    Attributes:
        n_items: number of items that can be drawn.
        log_q: float32 (n_items,) log probability of drawing each item of the catalogue.
    """

    positions_per_draw = 128  # size of a group, for which the vectors of the negatives are gathered once

    def __init__(self, train: Interactions, n_negatives: int, power: float = 0.0, rated_only: bool = False) -> None:
        self.n_negatives = n_negatives
        weights = popularity_weights(train.item_counts, power, rated_only)
        self.n_items = int(weights.count_nonzero())
        self.weights = weights / weights.sum()
        self.log_q = self.weights.log().float()

    def draw(self, n_positions: int, generator: torch.Generator) -> Tensor:
        """Draw negatives for each group of positions, int64 (n_groups, n_negatives); the last group may be smaller."""
        shape = (ceil(n_positions / self.positions_per_draw), self.n_negatives)
        drawn = torch.multinomial(self.weights, shape[0] * shape[1], replacement=True, generator=generator)
        return drawn.view(shape)


@dataclass(frozen=True)
class SequenceEpoch:
    """One pass over the users in random order, with the latest items of each user; yields `SequenceBatch`.

    Args:
        interactions: the training interactions.
        draw: determines the samples; its `batch_size` counts users.
        max_length: maximum number of positions of a user. Each position has a next item, so a user with two items has
            one position, and users with a single item are left out.
        sampler: draws the negatives; None if the loss covers the whole catalogue.
    """

    interactions: Interactions
    draw: Draw
    max_length: int
    sampler: ItemSampler | None = None

    @property
    def users(self) -> Tensor:
        """Return the users with at least two interactions, int64 (n,)."""
        return (self.interactions.indptr.diff() > 1).nonzero().squeeze(1)

    def __len__(self) -> int:
        return len(self.draw.bounds(len(self.users))) - 1

    def __iter__(self) -> Iterator[SequenceBatch]:
        train, users = self.interactions, self.users
        generator = self.draw.generator(users.device)
        for own, counts in self.draw.batches(users, train, generator):
            last = train.indptr[own + 1] - 1
            lengths = (last - train.indptr[own]).clamp(max=self.max_length)
            host_lengths = (counts - 1).clip(max=self.max_length)
            rows, positions = slices(last - lengths, lengths, int(host_lengths.sum()))
            times = None if train.times is None else train.times[positions]
            items, ratings = train.items[positions].long(), train.ratings[positions]
            history = HistoryBatch(lengths, rows, items, ratings, host_lengths, times)
            negatives = items.new_empty(0, 0)
            if self.sampler is not None:
                negatives = self.sampler.draw(len(positions), generator)
            yield SequenceBatch(QueryBatch(own, history), train.items[positions + 1].long(), negatives)


class SequenceRecommender(HistoryRecommender, ScoresByProducts):
    """A deep model that learns from the order of ratings, so the training ratings must have times.

    Args:
        max_length: maximum number of items that are read; of a longer history, only the latest items are read.
        loss: name of an objective, a key of the model's `objectives`.
        n_negatives: number of items drawn for each group of consecutive positions, for losses with negatives.
        calibration: correction of scores, in the loss `gbce` only, for the share of items that are drawn: 0 is the log
            loss, and 1 corrects fully; see `GBCE`.
        batch_size: number of users in a step, each with a sequence of up to `max_length` positions.
        **training: see `HistoryRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    reads_order = True
    rated_only = False  # True: items without training interactions are never negatives; see `NextItem`
    module: SequenceModule

    def __init__(
        self,
        max_length: int = 200,
        loss: str = "softmax",
        n_negatives: int = 256,
        calibration: float = 0.75,
        batch_size: int = 128,
        **training: Any,
    ) -> None:
        super().__init__(loss=loss, n_negatives=n_negatives, batch_size=batch_size, **training)
        self.max_length = max_length
        self.calibration = calibration
        check_positive(max_length=max_length)
        check_shares(calibration=calibration)

    @property
    def n_read(self) -> int:  # type: ignore[override]
        """See `HasGraph`; equals `max_length`."""
        return self.max_length

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph`."""
        return SequenceGraph(self.module, self.weights_graph(min(length, self.max_length)), self.rating_mean)

    def user_vectors(self, query: Query) -> np.ndarray:
        """See `ScoresByProducts`."""
        return self._encode(query)

    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts`."""
        return self.item_embeddings()

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Check that there are sequences to learn from, and train.

        Raises:
            UserError: no user has two ratings.
        """
        if not train.total(np.array([np.count_nonzero(train.user_counts > 1)])).item():
            raise UserError(
                f"{type(self).__name__} learns which item follows another, so some user must have two training ratings "
                f"(those of {train.name} have one at most): choose model=popularity."
            )
        return super()._fit(train, valid, context)
