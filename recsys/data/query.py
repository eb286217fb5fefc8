"""Queries: users for whom a model scores items, with their histories.

Times are Unix times in seconds. Ratings are on the scale of their data set (0.5 to 5 stars in many sources).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

UNKNOWN = -1  # code of a user who is not in the data


@dataclass(frozen=True, eq=False)
class History:
    """Interactions of several users in CSR layout: one row per user, each row in time order, oldest first.

    Attributes:
        indptr: int64 (n_rows + 1,); row r is the slice `indptr[r]:indptr[r + 1]`.
        items: int32 (n,) item codes.
        ratings: float32 (n,) ratings.
        times: int64 (n,) Unix times in seconds; None if the source has no times.
        plays: float32 (n,) how often, or for how long, each item was played; None if the source does not say.
    """

    indptr: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    times: np.ndarray | None = None
    plays: np.ndarray | None = None

    @classmethod
    def of_items(cls, rows: Sequence[Sequence[int]], rating: float = 5.0) -> History:
        """Build a history without times from a list of item codes per user; all items get the same rating."""
        items = np.array([item for row in rows for item in row], dtype=np.int32)
        return cls(row_pointers([len(row) for row in rows]), items, np.full(len(items), rating, np.float32))

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of interactions in each row, int64 (n_rows,)."""
        return np.diff(self.indptr)

    @cached_property
    def rows(self) -> np.ndarray:
        """Return the row to which each interaction belongs, int64 (n,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def places_from_the_end(self) -> np.ndarray:
        """Return for each interaction how many interactions follow it in its row, int64 (n,): 0 for the latest."""
        return np.repeat(self.indptr[1:], self.lengths) - np.arange(1, len(self.items) + 1)

    def reversed(self) -> History:
        """Return the history with each row in reverse order; times are dropped, since they would be descending."""
        positions = np.repeat(self.indptr[:-1] + self.indptr[1:] - 1, self.lengths) - np.arange(len(self.items))
        return replace(self._slice(self.indptr, positions), times=None)

    def latest(self, n: int) -> History:
        """Return a history with the last n interactions of each row, or the whole row if it has fewer."""
        lengths = np.minimum(self.lengths, n)
        return select_rows(self.indptr[1:] - lengths, lengths, self)

    def between(self, start: int, stop: int) -> History:
        """Return the rows from `start` (included) to `stop` (excluded)."""
        indptr = self.indptr[start : stop + 1]
        return self._slice(indptr - indptr[0], slice(indptr[0], indptr[-1]))

    def shuffled(self, rng: np.random.Generator) -> History:
        """Return the history with the items, ratings and plays of each row shuffled together; times stay in order."""
        order = np.lexsort((rng.random(len(self.items)), self.rows))
        return replace(self._slice(self.indptr, order), times=self.times)

    def select(self, rows: np.ndarray) -> History:
        """Return a history of some rows, given as a boolean mask (n_rows,) or as positions in any order."""
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows
        return select_rows(self.indptr[positions], self.lengths[positions], self)

    def positions_at(self, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return, for pairs of a row and a time, the position of the row's first interaction at or after that time.

        Args:
            rows: int64 (P,) row of each pair.
            times: int64 (P,) time of each pair, a Unix time in seconds; the history must have times.

        Returns:
            int64 (P,) positions in `items`; the end of the row if all of its interactions are earlier than the time.
        """
        own_times = cast("np.ndarray", self.times)
        start = min(own_times.min(initial=0), times.min(initial=0))
        span = max(own_times.max(initial=0), times.max(initial=0)) - start + 1
        keys = self.rows * span + (own_times - start)  # ascending, since rows are in time order
        return np.searchsorted(keys, rows * span + (times - start))

    def matrix(self, n_items: int, weights: np.ndarray | None = None) -> sparse.csr_matrix:
        """Return the interactions as a sparse matrix, float32 (n_rows, n_items).

        Args:
            n_items: number of items in the catalogue.
            weights: float32 (n,) matrix entry of each interaction; None makes all entries 1.
        """
        from scipy import sparse  # not every command needs it

        values = np.ones(len(self.items), np.float32) if weights is None else weights
        return sparse.csr_matrix((values, self.items, self.indptr), shape=(len(self), n_items))

    def _slice(self, indptr: np.ndarray, chosen: slice | np.ndarray) -> History:
        times, plays = (None if array is None else array[chosen] for array in (self.times, self.plays))
        return History(indptr, self.items[chosen], self.ratings[chosen], times, plays)


@dataclass(frozen=True, eq=False)
class Query:
    """Users for whom items are to be scored, each with a history.

    Models that compute scores from histories can serve users unseen in training, and react to new ratings without
    retraining.

    Attributes:
        users: int64 (B,) user codes; -1 stands for an unknown user.
        history: the users' histories, one row per user, B rows in all.
        times: int64 (B,) Unix times in seconds at which the users are served; None means after all training ratings.
    """

    users: np.ndarray
    history: History
    times: np.ndarray | None = None

    @classmethod
    def of_histories(cls, history: History) -> Query:
        """Build a query for unknown users, one per row of a history."""
        return cls(np.full(len(history), -1), history)

    def __len__(self) -> int:
        return len(self.users)

    def between(self, start: int, stop: int) -> Query:
        """Return the rows from `start` (included) to `stop` (excluded)."""
        times = None if self.times is None else self.times[start:stop]
        return Query(self.users[start:stop], self.history.between(start, stop), times)

    def select(self, rows: np.ndarray) -> Query:
        """Return a query with some of the rows, given as a boolean mask (B,) or as positions in any order."""
        times = None if self.times is None else self.times[rows]
        return Query(self.users[rows], self.history.select(rows), times)

    def with_shuffled_histories(self, rng: np.random.Generator) -> Query:
        """Return the query with the interactions of each history in random order; see `History.shuffled`."""
        return replace(self, history=self.history.shuffled(rng))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a user of a query and an item, for which scores or ratings are to be predicted.

    Attributes:
        query: the users of the pairs, B in all, with their histories.
        rows: int64 (P,) row of the query that has the user of each pair.
        items: int (P,) item code of each pair.
        times: int64 (P,) Unix times in seconds at which the users rate the items, or None if unknown. Few models use
            them.
    """

    query: Query
    rows: np.ndarray
    items: np.ndarray
    times: np.ndarray | None = None

    @classmethod
    def of_history(cls, query: Query, history: History) -> Pairs:
        """Pair each user of a query with every item in the same row of `history`; the times come from `history`."""
        return cls(query, history.rows, history.items, history.times)

    def __len__(self) -> int:
        return len(self.items)

    def with_past_histories(self) -> Pairs:
        """Return the pairs with a query that has one row per pair, whose history ends before the time of the pair.

        If the pairs or the histories have no times, the histories are not shortened.
        """
        history, stops = self.query.history, self.query.history.indptr[self.rows + 1]
        if self.times is not None and history.times is not None:
            stops = history.positions_at(self.rows, self.times)
        starts = history.indptr[self.rows]
        past = Query(self.query.users[self.rows], select_rows(starts, stops - starts, history))
        return replace(self, query=past, rows=np.arange(len(self)))

    def between(self, start: int, stop: int) -> Pairs:
        """Return the pairs from `start` (included) to `stop` (excluded).

        Their query contains only the rows from the lowest to the highest row of these pairs.
        """
        rows, times = self.rows[start:stop], None if self.times is None else self.times[start:stop]
        first, end = (rows.min(), rows.max() + 1) if len(rows) else (0, 0)
        return Pairs(self.query.between(first, end), rows - first, self.items[start:stop], times)


def row_pointers(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return CSR row pointers for rows of the given lengths, int64 (n_rows + 1,)."""
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def select_rows(starts: np.ndarray, lengths: np.ndarray, interactions: History) -> History:
    """Return a history of B rows, each a slice of `interactions`, given the start positions (B,) and lengths (B,)."""
    indptr = row_pointers(lengths)
    positions = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
    return interactions._slice(indptr, positions)
