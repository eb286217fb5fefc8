"""Ratings as arrays: what every split, model and metric works on.

Users and films are contiguous codes (`users`, `items`); raw ids live in the frames. Ratings lie sorted by user, then
time, then the source's row order, so a user's ratings are one slice, oldest first, and among equal times the source's
last row counts as the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from recsys.errors import UserError


@dataclass(frozen=True, eq=False)
class History:
    """What is known of some users when they are scored: a row each, in CSR layout, oldest rating first.

    Attributes:
        indptr: int64 (n_rows + 1,); row r is the slice `indptr[r]:indptr[r + 1]`.
        items: int32 (n,) film codes.
        ratings: float32 (n,) stars.
        times: int64 (n,) seconds UTC, or None where the source has none.
    """

    indptr: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    times: np.ndarray | None = None

    @classmethod
    def of_items(cls, rows: Sequence[Sequence[int]], rating: float = 5.0) -> History:
        """A history of plain film codes, each rated `rating` stars: somebody new, or a test."""
        items = np.array([item for row in rows for item in row], dtype=np.int32)
        return cls(_indptr([len(row) for row in rows]), items, np.full(len(items), rating, np.float32))

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def rows(self) -> np.ndarray:
        """int64 (n,): the row that each rating belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def between(self, start: int, stop: int) -> History:
        """The rows from `start` up to, and without, `stop`."""
        indptr = self.indptr[start : stop + 1]
        cut = slice(indptr[0], indptr[-1])
        times = None if self.times is None else self.times[cut]
        return History(indptr - indptr[0], self.items[cut], self.ratings[cut], times)

    def matrix(self, n_items: int) -> sparse.csr_matrix:
        """Float32 (n_rows, n_items): 1 where a film was rated."""
        ones = np.ones(len(self.items), np.float32)
        return sparse.csr_matrix((ones, self.items, self.indptr), shape=(len(self), n_items))

    def rating_matrix(self, n_items: int) -> sparse.csr_matrix:
        """Float32 (n_rows, n_items): stars where a film was rated."""
        return sparse.csr_matrix((self.ratings, self.items, self.indptr), shape=(len(self), n_items))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Ratings under contiguous codes, with the frames of users and films; immutable.

    A part of the ratings (`select`) is a Dataset too, with the same codes and frames.

    Attributes:
        name: of the source, `ml-100k`.
        users: int32 (n,) user codes, ascending.
        items: int32 (n,) film codes; a (user, film) pair stands once.
        ratings: float32 (n,) stars; all 1 where the source has only interactions.
        times: int64 (n,) seconds UTC, or None.
        user_frame: row u tells of user code u: `user_id` and what the source has (`age`, `gender`, `occupation`, ...).
        item_frame: row i tells of film code i: `movie_id`, `title`, `year`, `genres` (a list), ...
        scale: lowest and highest rating of the source.
        fingerprint: digest of the source and the cleaning that made this data set.
        parts: int8 (n,) the source's own partition (folds; train and test) as codes into `part_names`, or None.
        part_names: the partition's names, `("u1", ..., "u5")` or `("train", "test")`.
        negatives: int32 (n_users, m) unrated films that the source wants each user's test film ranked among, or None;
            -1 fills short rows.
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

    @classmethod
    def from_arrays(
        cls,
        users: Sequence[int] | np.ndarray,
        items: Sequence[int] | np.ndarray,
        ratings: Sequence[float] | np.ndarray | None = None,
        times: Sequence[int] | np.ndarray | None = None,
        *,
        n_users: int | None = None,
        n_items: int | None = None,
        name: str = "arrays",
        fingerprint: str = "",
    ) -> Dataset:
        """A data set of arrays in source order, sorted here; frames hold only ids and titles."""
        columns = (users,) if times is None else (times, users)
        order = np.lexsort([np.asarray(column) for column in columns])
        user_codes = np.asarray(users, np.int32)[order]
        item_codes = np.asarray(items, np.int32)[order]
        stars = np.ones(len(order), np.float32) if ratings is None else np.asarray(ratings, np.float32)[order]
        n_users = int(user_codes.max()) + 1 if n_users is None else n_users
        n_items = int(item_codes.max()) + 1 if n_items is None else n_items
        return cls(
            name=name,
            users=user_codes,
            items=item_codes,
            ratings=stars,
            times=None if times is None else np.asarray(times, np.int64)[order],
            user_frame=pd.DataFrame({"user_id": np.arange(n_users)}),
            item_frame=pd.DataFrame({"movie_id": np.arange(n_items), "title": [f"Film {i}" for i in range(n_items)]}),
            scale=(float(stars.min()), float(stars.max())),
            fingerprint=fingerprint,
        )

    def __len__(self) -> int:
        return len(self.users)

    @property
    def n_users(self) -> int:
        """Users with a code, rated here or not."""
        return len(self.user_frame)

    @property
    def n_items(self) -> int:
        """Films with a code, rated here or not."""
        return len(self.item_frame)

    @cached_property
    def indptr(self) -> np.ndarray:
        """int64 (n_users + 1,): user u's ratings are the slice `indptr[u]:indptr[u + 1]`."""
        return _indptr(np.bincount(self.users, minlength=self.n_users))

    @cached_property
    def item_counts(self) -> np.ndarray:
        """int64 (n_items,): ratings of each film."""
        return np.bincount(self.items, minlength=self.n_items)

    @property
    def user_counts(self) -> np.ndarray:
        """int64 (n_users,): ratings by each user."""
        return np.diff(self.indptr)

    @property
    def pairs(self) -> np.ndarray:
        """int64 (n,): a number for each rating's user and film, different for different pairs."""
        return self.users.astype(np.int64) * self.n_items + self.items

    def users_in(self, earlier: Dataset) -> np.ndarray:
        """The code that each user has in earlier data of the same films, int64 (n_users,); -1 where there is none.

        Raises:
            UserError: films differ, or their order, so that codes of films would mean others.
        """
        own, others = (frame["movie_id"].astype(str).tolist() for frame in (self.item_frame, earlier.item_frame))
        if own != others:
            raise UserError(
                f"{self.name} has {len(own):,} films, and not the {len(others):,} of {earlier.name} that a model was "
                "trained on: train one on all of them, without an earlier run."
            )
        own_ids, known_ids = (pd.Index(frame["user_id"].astype(str)) for frame in (self.user_frame, earlier.user_frame))
        return known_ids.get_indexer(own_ids).astype(np.int64)

    def select(self, chosen: np.ndarray) -> Dataset:
        """The ratings that a boolean mask (n,) or ascending positions choose, under the same codes."""
        return replace(
            self,
            users=self.users[chosen],
            items=self.items[chosen],
            ratings=self.ratings[chosen],
            times=None if self.times is None else self.times[chosen],
            parts=None if self.parts is None else self.parts[chosen],
        )

    def history(self, users: np.ndarray) -> History:
        """The ratings of some users (int64 (B,), any order), a row each; an unknown user, -1, has an empty row."""
        known = np.where(users >= 0, users, 0)
        starts = self.indptr[known]
        lengths = np.where(users >= 0, self.indptr[known + 1] - starts, 0)
        indptr = _indptr(lengths)
        positions = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        times = None if self.times is None else self.times[positions]
        return History(indptr, self.items[positions], self.ratings[positions], times)

    def matrix(self) -> sparse.csr_matrix:
        """Float32 (n_users, n_items): 1 where a user rated a film."""
        return History(self.indptr, self.items, self.ratings).matrix(self.n_items)


@dataclass(frozen=True, eq=False)
class Holdout:
    """What a model is measured on: ratings to find, and what is known when they are looked for.

    Attributes:
        ratings: the ratings held out.
        known: the ratings that histories are made of; in time-aware splits all are older than those held out.
        candidates: int32 (m,) the films that are ranked, or None for the whole catalogue. Films that a user has in
            `known` are never ranked for that user.
        rated: `known` and what is withheld, neither known nor to be found; None where nothing is.
    """

    ratings: Dataset
    known: Dataset
    candidates: np.ndarray | None = None
    rated: Dataset | None = None

    @property
    def users(self) -> np.ndarray:
        """int64 (n,): users with something held out, ascending."""
        return np.flatnonzero(self.ratings.user_counts)

    @property
    def unranked(self) -> Dataset:
        """The ratings whose films are not ranked for their users."""
        return self.known if self.rated is None else self.rated


def _indptr(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
