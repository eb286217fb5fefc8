"""Features by which a two-stage model ranks candidates: they describe the user, item, moment and user-item affinity.

All features are computed from training ratings and from the histories of a query. The moment of a user is the time of
the latest rating in the user's history, since the time of the next rating is unknown. If the history is empty, the
moment is the time of the last training rating.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.features import features, vocabulary
from recsys.data.query import History, Pairs
from recsys.models.knn import ItemKNN
from recsys.models.learned_arrays import LearnedArrays
from recsys.models.popularity_context import DAY
from recsys.models.recency import HalfLife, recency_weights

RECENT = 5.0  # half-life, in items, of the weights of ratings in features named "recent"
WINDOWS = (7, 30)  # lengths, in days, of the periods before the moment in which ratings of an item are counted
MAX_GENRES = 20  # the most frequent genres are used
N_NEIGHBOURS, SHRINKAGE = 200, 10.0  # of the `ItemKNN` whose similarities measure co-occurrence

Columns = dict[str, np.ndarray]  # name of a column -> its values (P,)


class CandidateFeatures(LearnedArrays):
    """Computes features of pairs of user and item, in groups of columns, after it has been fitted to training ratings.

    Attributes:
        popularity: float32 (n_items,) logarithm of one plus the number of ratings of each item.
        years: float32 (n_items,) year of each item; if it is unknown, the mean of the known years, or 0 if no
            year is known.
        genre_names: str (g,) names of the genres.
        genres: float32 (n_items, g) 1 if the item has the genre, else 0.
        co_occurrence: float32 (n_items, n_items), CSR: shrunk cosine similarities between items, computed from the
            users who rated them; column i holds the nearest neighbours of item i.
        clock: int64 (2,) Unix times of the first and of the last training rating, in seconds.
        first_times: int64 (n_items,) Unix time of the first rating of each item; `clock[1]` for an item without
            ratings.
        rating_keys: int64 (n,) keys that order all training ratings by item, then by time; stored in ascending order.
    """

    learned = ("popularity", "years", "genre_names", "genres", "co_occurrence", "clock", "first_times", "rating_keys")
    co_occurrence: sparse.csr_matrix

    def fit(self, train: Dataset) -> Self:
        """Learn from training ratings, which must have times. Return the fitted object itself."""
        times, frame = np.asarray(train.times), train.item_frame
        self.popularity = np.log1p(train.item_counts).astype(np.float32)
        self.years = _known_years(frame)
        self.genre_names = vocabulary(frame, ("genres",), min_count=1)[:MAX_GENRES]
        self.genres = features(frame, self.genre_names).toarray()
        self.co_occurrence = sparse.csr_matrix(ItemKNN(k=N_NEIGHBOURS, shrinkage=SHRINKAGE).fit(train).item_weights)
        self.clock = np.array([times.min(), times.max()])
        self.first_times = np.full(train.n_items, self.clock[1])
        np.minimum.at(self.first_times, train.items, times)
        self.rating_keys = np.sort(self._keys(train.items, times))
        return self

    def transform(self, pairs: Pairs) -> dict[str, Columns]:
        """Return the features of P pairs, in the groups `user`, `item`, `moment` and `affinity`.

        If the histories have no times, all their ratings are assumed to have the time of the last training rating.

        Returns:
            The groups by name; a group is a dictionary of columns, float (P,) each, by name.
        """
        if pairs.query.history.times is None:
            pairs = self._with_times(pairs)
        history = pairs.query.history
        always, recently = self._profiles(history, None), self._profiles(history, RECENT)
        moments = _times_at(history, history.indptr[1:] - 1, np.full(len(history), self.clock[1]))
        return {
            "user": self._user(pairs, always, recently),
            "item": self._item(pairs, moments),
            "moment": _moment(pairs, moments),
            "affinity": self._affinity(pairs, always, recently),
        }

    def _user(self, pairs: Pairs, always: sparse.csr_matrix, recently: sparse.csr_matrix) -> Columns:
        genres = (always @ self.genres)[pairs.rows]
        return {
            "ratings": np.log1p(pairs.query.history.lengths)[pairs.rows],
            "mean popularity": (always @ self.popularity)[pairs.rows],
            "recent popularity": (recently @ self.popularity)[pairs.rows],
            "mean year": (always @ self.years)[pairs.rows],
            "recent year": (recently @ self.years)[pairs.rows],
            **{f"share of {name}": genres[:, g] for g, name in enumerate(self.genre_names)},
        }

    def _item(self, pairs: Pairs, moments: np.ndarray) -> Columns:
        items, at = pairs.items, moments[pairs.rows]
        until = self._ratings_until(items, at)
        recent = {days: until - self._ratings_until(items, at - days * DAY) for days in WINDOWS}
        return {
            "popularity": self.popularity[items],
            **{f"ratings in {days} days": np.log1p(count) for days, count in recent.items()},
            "days since its first rating": (at - self.first_times[items]) / DAY,
            "year": self.years[items],
            **{str(name): self.genres[items, g] for g, name in enumerate(self.genre_names)},
        }

    def _affinity(self, pairs: Pairs, always: sparse.csr_matrix, recently: sparse.csr_matrix) -> Columns:
        rows, items = pairs.rows, pairs.items
        latest = self._profiles(pairs.query.history.latest(1), None)
        n_genres = np.maximum(self.genres.sum(axis=1), 1)[items]

        def overlap(profiles: sparse.csr_matrix) -> np.ndarray:
            return ((profiles @ self.genres)[rows] * self.genres[items]).sum(axis=1) / n_genres

        def co_occurrence(profiles: sparse.csr_matrix) -> np.ndarray:
            return (profiles @ self.co_occurrence).toarray()[rows, items]

        return {
            "genres": overlap(always),
            "recent genres": overlap(recently),
            "distance in popularity": self.popularity[items] - (recently @ self.popularity)[rows],
            "distance in years": self.years[items] - (recently @ self.years)[rows],
            "co-occurrence": co_occurrence(always),
            "recent co-occurrence": co_occurrence(recently),
            "co-occurrence with the latest item": co_occurrence(latest),
        }

    def _profiles(self, history: History, half_life: HalfLife) -> sparse.csr_matrix:
        """Return the items of each history with weights that sum to one, CSR float32 (B, n_items).

        The weights decrease from the latest item to the earliest, with a half-life in items; without a half-life, all
        weights of a history are equal. The row of an empty history is empty.
        """
        weights = recency_weights(history, half_life)
        sums = np.bincount(history.rows, weights, minlength=len(history))
        return history.matrix(len(self.popularity), (weights / sums[history.rows]).astype(np.float32))

    def _with_times(self, pairs: Pairs) -> Pairs:
        """Return the pairs with all times in their histories set to the time of the last training rating."""
        history = pairs.query.history
        timed = replace(history, times=np.full(len(history.items), self.clock[1]))
        return replace(pairs, query=replace(pairs.query, history=timed))

    def _keys(self, items: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return a key for each rating, int64 (n,), such that ascending keys order ratings by item, then by time.

        Times before the first or after the last training rating are clipped to just outside this range.
        """
        start, end = self.clock
        return items * (end - start + 2) + np.clip(times - start + 1, 0, end - start + 1)

    def _ratings_until(self, items: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Count the training ratings of each item up to a time, plus all ratings of the items with lower codes.

        The ratings of other items cancel out if results for the same items at two times are subtracted: the difference
        is the number of ratings of each item between the two times.

        Args:
            items: int (P,) items.
            times: int64 (P,) Unix time in seconds for each item; ratings at exactly this time are counted.

        Returns:
            int64 (P,).
        """
        return np.searchsorted(self.rating_keys, self._keys(items, times), side="right")


def _known_years(item_frame: pd.DataFrame) -> np.ndarray:
    """Return the year of each item, float32 (n_items,), with unknown years filled in; see `CandidateFeatures.years`."""
    if "year" not in item_frame or item_frame["year"].isna().all():
        return np.zeros(len(item_frame), np.float32)
    years = item_frame["year"].astype("Float32")
    return years.fillna(years.mean()).to_numpy(np.float32)


def _moment(pairs: Pairs, moments: np.ndarray) -> Columns:
    history = pairs.query.history
    first = _times_at(history, history.indptr[:-1], moments)
    previous = _times_at(history, np.maximum(history.indptr[1:] - 2, history.indptr[:-1]), moments)
    same_day = moments[history.rows] - np.asarray(history.times) < DAY
    columns = {
        "day": moments / DAY,
        "days since the previous rating": (moments - previous) / DAY,
        "days since the first rating": (moments - first) / DAY,
        "ratings on the day": np.log1p(np.bincount(history.rows, same_day, minlength=len(history))),
    }
    return {name: values[pairs.rows] for name, values in columns.items()}


def _times_at(history: History, positions: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return the time of one interaction of each row, int64 (B,), or the row's moment if the row is empty.

    Args:
        history: B rows.
        positions: int64 (B,) position of the interaction in the history's arrays, one for each row.
        moments: int64 (B,) times for empty rows.
    """
    return np.where(history.lengths > 0, np.append(np.asarray(history.times), 0)[positions], moments)
