"""Data sets, which contain interactions as arrays, and holdouts, which contain held-out ratings.

Users and items are identified by contiguous integer codes; the raw ids are columns of the data frames. Interactions are
sorted by user, then time, then the source's row order, so a user's interactions are one slice, oldest first. Among
interactions of one user at the same time, the source's last row counts as the latest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import pandas as pd

from recsys.counted import counted
from recsys.data.item_names import item_names
from recsys.data.query import History, Query, row_pointers, select_rows
from recsys.errors import UserError

if TYPE_CHECKING:
    from scipy import sparse


class Shard(Protocol):
    """The users of one of several processes, each of which holds only the ratings of its own users.

    The methods except `own` are collective operations: all processes must call them, in the same order.
    """

    @property
    def own(self) -> range:
        """Return the user codes of this process, a contiguous range; the next process has the codes that follow."""

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the elementwise sum of the arrays that the processes pass, which must have the same shape."""

    def joined(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, in the order of users.

        Only the first process gets the rows of all; every other process gets just its own `rows`.
        """

    def of_each(self, value: Any) -> list[Any]:
        """Return the list of values that the processes pass, in the order of the processes; values should be small."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """An immutable data set: ratings with contiguous user and item codes, and data frames of the users and items.

    A subset of the ratings, which `select` returns, is a Dataset with the same codes and frames.

    Attributes:
        name: name of the source, such as `ml-100k`.
        users: int32 (n,) user codes, ascending.
        items: int32 (n,) item codes; each pair of user and item occurs at most once.
        ratings: float32 (n,) ratings; all 1 if the source has only interactions without ratings.
        times: int64 (n,) Unix times in seconds, or None if the source has no times.
        user_frame: one row per user code, with `user_id` and the source's other columns (`age`, `gender`, `occupation`,
            ...).
        item_frame: one row per item code, with `movie_id`, `title`, `year`, `genres` (a list) and any other columns.
        scale: lowest and highest rating of the source.
        fingerprint: digest of the source and of the cleaning that produced this data set.
        parts: int8 (n,) part of each rating in the source's own partition (folds, or train and test), as an index into
            `part_names`; None if the source has no partition.
        part_names: names of the parts, such as `("u1", ..., "u5")` or `("train", "test")`.
        negatives: int32 (n_users, m) unrated items of each user, against which the source's protocol ranks the user's
            test item; short rows are padded with -1. None if the source has no such items.
        plays: float32 (n,) how often, or for how long, the user played the item of each rating; None if that is
            unknown.
        shard: the users of this process if the ratings are distributed over several processes, else None. With a shard,
            `item_counts`, `n_ratings`, `n_raters` and `mean_rating` still cover the ratings of all processes; their
            first access is a collective operation, which all processes must make at the same point. Everything else
            covers only the ratings of this process.
    """

    name: str
    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    times: np.ndarray | None
    user_frame: pd.DataFrame
    item_frame: pd.DataFrame
    scale: tuple[float, float] = (0.5, 5.0)
    fingerprint: str = ""
    parts: np.ndarray | None = None
    part_names: tuple[str, ...] = ()
    negatives: np.ndarray | None = None
    plays: np.ndarray | None = None
    shard: Shard | None = None

    @classmethod
    def from_arrays(
        cls,
        users: Sequence[int] | np.ndarray,
        items: Sequence[int] | np.ndarray,
        ratings: Sequence[float] | np.ndarray | None = None,
        times: Sequence[int] | np.ndarray | None = None,
        *,
        plays: Sequence[float] | np.ndarray | None = None,
        n_users: int | None = None,
        n_items: int | None = None,
        name: str = "arrays",
        fingerprint: str = "",
    ) -> Dataset:
        """Build a data set from copies of arrays; its frames contain only invented titles, and the codes as ids.

        Ratings of a user with equal times keep the order of the arrays. Whether each pair of user and item occurs only
        once is not checked. The scale is the range of the ratings.

        Args:
            users: user codes (n,), from 0.
            items: item codes (n,), from 0.
            ratings: ratings (n,); None means that all are 1.
            times: Unix times (n,) in seconds, or None if they are unknown.
            plays: plays (n,), see the attribute `plays`, or None if they are unknown.
            n_users: number of users; None for the highest code plus one.
            n_items: number of items; None for the highest code plus one.
            name: name of the data set.
            fingerprint: digest that identifies the data.

        Raises:
            UserError: there are no ratings, the arrays have different lengths, a rating is not finite, or a code is not
                a whole number from 0 to `n_users - 1` or `n_items - 1`.
        """
        given = {"users": users, "items": items, "ratings": ratings, "times": times, "plays": plays}
        arrays = {name: np.asarray(array) for name, array in given.items() if array is not None}
        _check_lengths(arrays)
        n_users = _n_codes("users", arrays["users"], n_users)
        n_items = _n_codes("items", arrays["items"], n_items)
        columns = (users,) if times is None else (times, users)
        order = np.lexsort([np.asarray(column) for column in columns])
        user_codes = np.asarray(users, np.int32)[order]
        item_codes = np.asarray(items, np.int32)[order]
        values = np.ones(len(order), np.float32) if ratings is None else np.asarray(ratings, np.float32)[order]
        if not np.isfinite(values).all():
            raise UserError("ratings must be finite numbers.")
        return cls(
            name=name,
            users=user_codes,
            items=item_codes,
            ratings=values,
            times=None if times is None else np.asarray(times, np.int64)[order],
            user_frame=pd.DataFrame({"user_id": np.arange(n_users)}),
            item_frame=pd.DataFrame({"movie_id": np.arange(n_items), "title": [f"Film {i}" for i in range(n_items)]}),
            scale=(float(values.min()), float(values.max())),
            fingerprint=fingerprint,
            plays=None if plays is None else np.asarray(plays, np.float32)[order],
        )

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        counts = f"{counted(len(self), 'rating')} by {counted(self.n_users, 'user')} of {counted(self.n_items, 'item')}"
        return f"{type(self).__name__}({self.name!r}: {counts})"

    @property
    def n_users(self) -> int:
        """Return the number of user codes, including users without ratings in this data set."""
        return len(self.user_frame)

    @property
    def n_items(self) -> int:
        """Return the number of item codes, including items without ratings in this data set."""
        return len(self.item_frame)

    @cached_property
    def item_names(self) -> np.ndarray:
        """Return the title and year of each item, object (n_items,); see `recsys.data.item_names`."""
        return item_names(self.item_frame)

    @property
    def middle_of_scale(self) -> float:
        """Return the middle of the rating scale; ratings at or above it count as positive."""
        return sum(self.scale) / 2

    @cached_property
    def indptr(self) -> np.ndarray:
        """Return row pointers, int64 (n_users + 1,). User u has the ratings from `indptr[u]` up to `indptr[u + 1]`."""
        return row_pointers(np.bincount(self.users, minlength=self.n_users))

    @cached_property
    def item_counts(self) -> np.ndarray:
        """Return the number of ratings of each item, summed over all processes, int64 (n_items,)."""
        return self.total(np.bincount(self.items, minlength=self.n_items))

    @cached_property
    def n_ratings(self) -> int:
        """Return the number of ratings in all processes together; `len` counts only the ratings of this process."""
        return int(self.total(np.array([len(self)])).item())

    @cached_property
    def n_raters(self) -> int:
        """Return the number of users with ratings in all processes together."""
        return int(self.total(np.array([np.count_nonzero(self.user_counts)])).item())

    @cached_property
    def mean_rating(self) -> float:
        """Return the mean of the ratings of all processes, in the units of the scale."""
        if self.shard is None:
            return float(self.ratings.mean(dtype=np.float64))
        return float(self.total(np.array([self.ratings.sum(dtype=np.float64)])).item()) / self.n_ratings

    @cached_property
    def latest_time(self) -> int | None:
        """Return the time of the latest rating, a Unix time in seconds, or None if the source has no times."""
        return None if self.times is None else int(self.times.max())

    @property
    def user_counts(self) -> np.ndarray:
        """Return the number of ratings of each user, int64 (n_users,)."""
        return np.diff(self.indptr)

    @cached_property
    def _by_item(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the ratings sorted by item, int64 (n,), and row pointers, int64 (n_items + 1,)."""
        return np.argsort(self.items, kind="stable"), row_pointers(np.bincount(self.items, minlength=self.n_items))

    def positions_of_item(self, item: int) -> np.ndarray:
        """Return the positions of an item's ratings, int64 (m,), in the order of their users."""
        positions, starts = self._by_item
        return positions[starts[item] : starts[item + 1]]

    @property
    def pairs(self) -> np.ndarray:
        """Return a number that identifies the pair of each rating, `user * n_items + item`, int64 (n,)."""
        return self.users.astype(np.int64) * self.n_items + self.items

    def users_in(self, earlier: Dataset) -> np.ndarray:
        """Return the code that each user has in an earlier data set with the same items, int64 (n_users,).

        New users have -1. Users are matched by their raw ids, which are compared as text.

        Raises:
            UserError: the two data sets differ in their items or in the order of items, so item codes do not match.
        """
        own, others = (frame["movie_id"].astype(str).tolist() for frame in (self.item_frame, earlier.item_frame))
        if own != others:
            raise UserError(
                f"The items of {self.name} must be those of {earlier.name}, on which the earlier model was trained "
                f"(got {len(own):,} items, the model has {len(others):,}): train a new model without a warm start."
            )
        own_ids, known_ids = (pd.Index(frame["user_id"].astype(str)) for frame in (self.user_frame, earlier.user_frame))
        return known_ids.get_indexer(own_ids).astype(np.int64)

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of `values` over the processes that share the ratings; without a shard, `values` itself."""
        return values if self.shard is None else self.shard.total(values)

    def select(self, chosen: np.ndarray) -> Dataset:
        """Return a subset of the ratings with unchanged codes.

        Args:
            chosen: bool (n,) mask, or int64 (m,) positions, in an order in which the ratings stay sorted by user and
                time.
        """
        return replace(
            self,
            users=self.users[chosen],
            items=self.items[chosen],
            ratings=self.ratings[chosen],
            times=None if self.times is None else self.times[chosen],
            parts=None if self.parts is None else self.parts[chosen],
            plays=None if self.plays is None else self.plays[chosen],
        )

    def of_users(self, users: range) -> Dataset:
        """Return a copy of the data set with only the ratings of a range of user codes; codes are unchanged."""
        return self.select(np.arange(self.indptr[users.start], self.indptr[users.stop]))

    def histories(self) -> History:
        """Return the ratings of all users as a `History` with one row per user code."""
        return History(self.indptr, self.items, self.ratings, self.times, self.plays)

    def history(self, users: np.ndarray) -> History:
        """Return the ratings of some users, int64 (B,), as a history of B rows, empty for unknown users (-1)."""
        known = np.where(users >= 0, users, 0)
        starts = self.indptr[known]
        lengths = np.where(users >= 0, self.indptr[known + 1] - starts, 0)
        return select_rows(starts, lengths, self.histories())

    def history_of_liked(self, items: Iterable[int]) -> History:
        """Return the history of a new user who gave each of the items the highest rating; repeated items are dropped.

        `items` must be in the order in which the user rated them, oldest first.
        """
        return History.of_items([list(dict.fromkeys(items))], rating=self.scale[1])

    def query(self, users: np.ndarray) -> Query:
        """Return a `Query` for some users (int64 (B,), -1 for an unknown user), with their ratings as histories."""
        return Query(users, self.history(users))

    def matrix(self) -> sparse.csr_matrix:
        """Return the interactions as a float32 matrix (n_users, n_items): 1 where a user has rated an item."""
        return self.histories().matrix(self.n_items)


@dataclass(frozen=True, eq=False)
class Holdout:
    """Held-out ratings for validation or the test, and the ratings that are known when these are predicted.

    A query is a user for whom items are ranked once, with the history at that time. Each user with held-out ratings has
    one query, in the order of user codes; in the subclass `StepHoldout`, a user may have several.

    Attributes:
        ratings: the held-out ratings.
        known: the ratings that make up the users' histories; in time-aware splits they precede the held-out ratings.
        candidates: int32 (m,) the items that are ranked, or None for the whole catalogue. Items that a user has rated
            in `known` are never ranked for that user.
        rated: the ratings of `known` together with withheld ratings, which are neither in histories nor predicted; None
            if no ratings are withheld.
        separates_cold: whether metrics are reported also without cold queries, which have no history or whose held-out
            item has no rating in `known`. If so, every query must have exactly one held-out rating.
    """

    ratings: Dataset
    known: Dataset
    candidates: np.ndarray | None = None
    rated: Dataset | None = None
    separates_cold: bool = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({counted(len(self.ratings), 'rating')} of {self.known.name!r})"

    @cached_property
    def users(self) -> np.ndarray:
        """Return the users with held-out ratings, int64 (n,), ascending."""
        return np.flatnonzero(self.ratings.user_counts)

    @property
    def unranked(self) -> Dataset:
        """Return each user's ratings of items that are not ranked: `rated`, or `known` if `rated` is None."""
        return self.known if self.rated is None else self.rated

    @property
    def query_users(self) -> np.ndarray:
        """Return the user of each query, int64 (n_queries,), ascending."""
        return self.users

    @property
    def history_lengths(self) -> np.ndarray:
        """Return the number of ratings in the history of each query, int64 (n_queries,)."""
        return self.known.user_counts[self.query_users]

    @property
    def n_queries(self) -> int:
        """Return the number of queries."""
        return len(self.query_users)

    def query(self, rows: np.ndarray) -> Query:
        """Return some of the queries, selected by position (`rows`, int64 (B,)), as a `Query` that models can score.

        The time of a query is the time of the user's first held-out rating.
        """
        users = self.query_users[rows]
        times = None if self.ratings.times is None else self.ratings.times[self.ratings.indptr[users]]
        return Query(users, self.known.history(users), times)

    def relevant(self, rows: np.ndarray) -> History:
        """Return the held-out ratings of some queries (positions, int64 (B,)), as a history with a row per query."""
        return self.ratings.history(self.query_users[rows])

    def seen(self, rows: np.ndarray) -> History:
        """Return, for some queries, the user's ratings of items that are not ranked, as a history with a row per query.

        The queries are given by their positions, int64 (B,).
        """
        return self.unranked.history(self.query_users[rows])

    def of_users(self, users: range) -> Self:
        """Return a copy of the holdout with only the ratings of a range of user codes; codes are unchanged."""
        rated = None if self.rated is None else self.rated.of_users(users)
        return replace(self, ratings=self.ratings.of_users(users), known=self.known.of_users(users), rated=rated)

    def joined(self) -> Holdout:
        """Return a holdout with the queries of all processes, over which metrics are averaged.

        Only the first process gets all queries; each other process gets only its own. All processes must call this, see
        `Shard`. Without a shard, the holdout itself is returned.
        """
        shard, held_out = self.known.shard, self.ratings
        if shard is None:
            return self
        ratings = replace(
            held_out,
            users=shard.joined(held_out.users),
            items=shard.joined(held_out.items),
            ratings=shard.joined(held_out.ratings),
            times=None if held_out.times is None else shard.joined(held_out.times),
            parts=None,
            plays=None,
            shard=None,
        )
        n_relevant = self.relevant(np.arange(self.n_queries)).lengths
        of_queries = (shard.joined(values) for values in (self.query_users, self.history_lengths, n_relevant))
        self.known.item_counts  # noqa: B018 - of all processes, while all are here
        return JoinedHoldout(ratings, self.known, self.candidates, None, self.separates_cold, of_queries=(*of_queries,))

    def interactions(self) -> sparse.csr_matrix:
        """Return a float32 matrix (n_users, n_items), nonzero where a rating is known, withheld or held out."""
        return self.unranked.matrix() + self.ratings.matrix()


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class JoinedHoldout(Holdout):
    """The held-out ratings of several processes, gathered for metrics: histories are reduced to their lengths.

    Attributes:
        of_queries: three arrays, each int64 (n_queries,): the user, the number of ratings in the history, and the
            number of held-out ratings of each query.
    """

    of_queries: tuple[np.ndarray, ...]

    @property
    def query_users(self) -> np.ndarray:
        """Return the user of each query of all processes, int64 (n_queries,), ascending."""
        return self.of_queries[0]

    @property
    def history_lengths(self) -> np.ndarray:
        """Return the number of ratings in the history of each query, int64 (n_queries,)."""
        return self.of_queries[1]

    def relevant(self, rows: np.ndarray) -> History:
        """Return the held-out ratings of some queries (positions, int64 (B,)), as a history with a row per query."""
        n_relevant = self.of_queries[2]
        return select_rows(row_pointers(n_relevant)[rows], n_relevant[rows], self.ratings.histories())


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class StepHoldout(Holdout):
    """A holdout with one query per held-out rating; the history of a query ends just before that rating was made.

    Attributes:
        timeline: the ratings from which histories are taken. It contains `known`, the ratings that models were trained
            on, and in some splits held-out ratings, which are then in the histories of the user's later queries.
        ends: int64 (n_queries,) position in `timeline` at which the history of each query ends, ascending.
    """

    timeline: Dataset
    ends: np.ndarray

    @cached_property
    def query_users(self) -> np.ndarray:
        """Return the user of each query, that is, of each held-out rating: int64 (n_queries,), ascending."""
        return self.ratings.users.astype(np.int64)

    @property
    def history_lengths(self) -> np.ndarray:
        """Return the number of ratings in the history of each query, int64 (n_queries,)."""
        return self.ends - self.timeline.indptr[self.query_users]

    def query(self, rows: np.ndarray) -> Query:
        """Return some of the queries (positions, int64 (B,)), each at the time of its held-out rating."""
        times = None if self.ratings.times is None else self.ratings.times[rows]
        return Query(self.query_users[rows], self.seen(rows), times)

    def relevant(self, rows: np.ndarray) -> History:
        """Return the held-out rating of some queries (positions, int64 (B,)), as a history with a row per query."""
        return select_rows(rows, np.ones(len(rows), np.int64), self.ratings.histories())

    def seen(self, rows: np.ndarray) -> History:
        """Return, for some queries, the user's ratings before the held-out rating; see `Holdout.seen`."""
        starts = self.timeline.indptr[self.query_users[rows]]
        return select_rows(starts, self.ends[rows] - starts, self.timeline.histories())

    def of_users(self, users: range) -> Self:
        """Return a copy of the holdout with only the ratings of a range of user codes; codes are unchanged."""
        held_out, first = self.ratings.indptr, self.timeline.indptr[users.start]
        ends = self.ends[held_out[users.start] : held_out[users.stop]] - first
        return replace(super().of_users(users), timeline=self.timeline.of_users(users), ends=ends)

    def interactions(self) -> sparse.csr_matrix:
        """Return a float32 matrix (n_users, n_items), nonzero where a rating is in `timeline` or held out."""
        return self.timeline.matrix() + self.ratings.matrix()


def _check_lengths(arrays: Mapping[str, np.ndarray]) -> None:
    """Check that all arrays have the same length, one value per rating, and are not empty.

    Raises:
        UserError: the arrays have different lengths, or are empty.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{n} {name}" for name, n in lengths.items())
        raise UserError(f"Arrays must have one value for each rating (got {listed}).")
    if not lengths["users"]:
        raise UserError("A data set must have at least one rating (got none).")


def _n_codes(name: str, codes: np.ndarray, n: int | None) -> int:
    """Check codes, and return how many there are: `n` or, if that is None, the highest code plus one.

    Raises:
        UserError: a code is not a whole number, or is below 0, or is not below the number returned.
    """
    if codes.dtype.kind not in "iu":
        raise UserError(f"{name} must be whole numbers from 0 (got {codes[:1].tolist()[0]!r}).")
    lowest, highest = int(codes.min()), int(codes.max())
    n = highest + 1 if n is None else n
    if lowest < 0 or highest >= n:
        raise UserError(f"{name} must be whole numbers from 0 to {n - 1} (got {lowest if lowest < 0 else highest}).")
    return n
