"""Features of pairs of user and item, in groups of columns, for models that predict ratings from such features.

A group is first fitted to ratings. It then computes features of pairs from what it learned and from the histories in
the query. For a pair that has a training rating, the group must be fitted without this rating (see
`recsys.models.out_of_fold`). Columns hold numbers, or text for categories; unknown values are NaN. `preprocessing`
turns all columns into finite numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.metrics import confusion_matrix
from sklearn.preprocessing import OneHotEncoder

from recsys.data.dataset import Dataset
from recsys.data.features import features, vocabulary
from recsys.data.query import History, Pairs
from recsys.data.text import FIELDS, make_encoder
from recsys.models.base import HasEmbeddings, Recommender
from recsys.models.bias import Bias
from recsys.models.content import encode_items
from recsys.models.popularity_context import DAY, HOUR
from recsys.models.rating_profiles import RatingProfiles
from recsys.models.segmentation import Segmentation

DAYS_PER_YEAR = 365.2425
N_NEAREST = 5  # number of ratings before a moment, and after it, from which the user's mood is estimated
DAMPING = 5.0  # number of average ratings that are added to those from which a taste or mood is estimated
KIND_FIELDS = ("genres", "year")
PEOPLE_FIELDS = ("directors", "actors", "writers")
USER_FIELDS = ("age", "age_group", "gender", "occupation")
TIME_COLUMNS = [
    "item year",
    "item age",
    "day",
    "hour",
    "weekday",
    "days since the user's first rating",
    "user's mood",
    "user's ratings on the day",
]
N_COMPONENTS = 16  # number of columns to which people and texts are reduced


class Group(ABC):
    """Base class of groups of features, each a set of columns that describe pairs of user and item."""

    @property
    def name(self) -> str:
        """Return the group's name, such as `statistics`, by which settings can switch the group off."""
        return type(self).__name__.lower()

    @abstractmethod
    def fit(self, train: Dataset) -> Self:
        """Learn from ratings. Return the group itself."""

    @abstractmethod
    def transform(self, pairs: Pairs) -> pd.DataFrame:
        """Return the columns of the group, with a row for each pair."""

    def align(self, other: Self, train: Dataset) -> None:  # noqa: B027  most groups' columns have a fixed meaning
        """Change the group in place, so that its columns have the same meaning as those of another group.

        Groups whose columns always have the same meaning do nothing, which is the default.

        Args:
            other: group of the same class that was fitted to other ratings.
            train: ratings whose users serve to match the columns of the two groups.
        """


class Statistics(Group):
    """How the user rates, how the item is rated, and how the user rates items of the same genres and decade.

    Statistics of users are computed from the histories in the query, statistics of items from the ratings that the
    group was fitted to.
    """

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; fits `Bias`, and computes statistics of items."""
        self.bias = _baseline().fit(train)
        ratings = pd.Series(train.ratings.astype(np.float64)).groupby(train.items).agg(["mean", "std", "size"])
        items = ratings.reindex(np.arange(train.n_items)).set_axis(["item mean", "item spread", "item ratings"], axis=1)
        self.items = items.fillna({"item ratings": 0}).assign(**{"item bias": self.bias.item_bias})
        indicators = features(train.item_frame, vocabulary(train.item_frame, KIND_FIELDS, min_count=1)).toarray()
        self.kinds = indicators / np.maximum(indicators.sum(axis=1, keepdims=True), 1)  # (n_items, g)
        return self

    def transform(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.transform`; statistics of an empty history are 0 or missing."""
        history, rows = pairs.query.history, pairs.rows
        residuals, user_bias = self.bias.residuals(history), self.bias.user_bias(history)
        means = _row_means(history, history.ratings)
        taste, share = self._taste(pairs, residuals)
        by_user = {
            "user mean": means,
            "user spread": np.sqrt(_row_means(history, (history.ratings - means[history.rows]) ** 2)),
            "user ratings": history.lengths,
            "user bias": user_bias,
            "user squared residual": _row_means(history, residuals**2),
        }
        users = pd.DataFrame({name: values[rows] for name, values in by_user.items()})
        items = self.items.iloc[pairs.items].reset_index(drop=True)
        both = {
            "bias": self.bias.mean + users["user bias"] + items["item bias"],
            "user's taste for its kind": taste,
            "user's share of its kind": share,
        }
        return pd.concat([users, items, pd.DataFrame(both)], axis=1)

    def _taste(self, pairs: Pairs, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the user's damped mean residual and damped share of ratings for the item's genres and decade.

        Args:
            pairs: P pairs.
            residuals: float64 (n,) residuals of the ratings in the histories, in rating units.

        Returns:
            The mean residuals and the shares, float64 (P,) each.
        """
        history, n_items = pairs.query.history, len(self.kinds)
        shape = (len(history), n_items)
        counts = history.matrix(n_items) @ self.kinds  # (B, g)
        sums = sparse.csr_matrix((residuals, history.items, history.indptr), shape) @ self.kinds
        kinds = self.kinds[pairs.items]  # (P, g)
        taste, share = sums / (counts + DAMPING), counts / (history.lengths[:, None] + DAMPING)
        return (taste[pairs.rows] * kinds).sum(axis=1), (share[pairs.rows] * kinds).sum(axis=1)


class Demographics(Group):
    """The user's age, gender and occupation, as far as the data set has them; missing for unknown users."""

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; reads the table of users only."""
        self.users = train.user_frame[[name for name in USER_FIELDS if name in train.user_frame]]
        return self

    def transform(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.transform`."""
        users = self.users.reindex(pairs.query.users)  # no row has the index -1, so unknown users have missing values
        return users.iloc[pairs.rows].reset_index(drop=True)


class _ItemColumns(Group):
    """Base class of groups whose columns depend only on the item."""

    items: pd.DataFrame

    def transform(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.transform`."""
        return self.items.iloc[pairs.items].reset_index(drop=True)


class Genres(_ItemColumns):
    """A column for each genre: 1 if the item has the genre, else 0."""

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; reads the metadata of items only."""
        names = vocabulary(train.item_frame, ("genres",), min_count=1)
        self.items = pd.DataFrame(features(train.item_frame, names).toarray(), columns=names)
        return self


class People(_ItemColumns):
    """Directors, actors and writers who occur in several items, reduced by singular value decomposition."""

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; reads the metadata of items only."""
        names = vocabulary(train.item_frame, PEOPLE_FIELDS)
        self.items = _components(features(train.item_frame, names), "people")
        return self


class Texts(_ItemColumns):
    """The items' metadata as vectors of text encoders, reduced to a few columns by singular value decomposition.

    Args:
        encoders: settings of text encoders by name, each with the encoder's class in `_target_`.
        cache_dir: directory in which vectors are cached; None caches nothing.
    """

    def __init__(self, encoders: Mapping[str, Mapping[str, Any]], cache_dir: Path | None) -> None:
        self.encoders = encoders
        self.cache_dir = cache_dir

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; reads the metadata of items only."""
        parts = [pd.DataFrame(index=np.arange(train.n_items))]
        for name, setting in self.encoders.items():
            vectors = encode_items(train, make_encoder(setting), FIELDS, self.cache_dir)
            parts.append(_components(sparse.csr_matrix(vectors), name))
        self.items = pd.concat(parts, axis=1)
        return self


class Time(Group):
    """The item's year, the moment of the rating, how long the user has been active, and the user's mood.

    The mood is the mean residual of the user's ratings that are nearest in time: users differ more from day to day than
    they drift over years (Koren, "Collaborative Filtering with Temporal Dynamics", KDD 2009). Pairs without times are
    treated as ratings at the time of the user's last rating; for an empty history, the time is missing. If the ratings
    that the group is fitted to have no times, the item's year is the only column.
    """

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; fits `Bias`, from whose residuals the mood is computed."""
        self.bias = _baseline().fit(train)
        self.columns = ["item year"] if train.times is None else TIME_COLUMNS
        items = train.item_frame
        self.years = items["year"].astype("float64").to_numpy() if "year" in items else np.full(train.n_items, np.nan)
        return self

    def transform(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.transform`."""
        history, rows = pairs.query.history, pairs.rows
        years = self.years[pairs.items]
        if history.times is None:
            return pd.DataFrame({"item year": years}).reindex(columns=self.columns)
        is_first = history.lengths[rows] == 0  # no rating of the user is known, so that this is the first one
        first, last = (np.append(history.times, 0)[at] for at in (history.indptr[:-1], history.indptr[1:] - 1))
        times = last[rows] if pairs.times is None else pairs.times
        mood, n_same_day = self._mood(pairs, times)
        times = np.where((pairs.times is None) & is_first, np.nan, times)
        days = times // DAY
        columns = {
            "item year": years,
            "item age": 1970 + days / DAYS_PER_YEAR - years,
            "day": days,
            "hour": times % DAY // HOUR,
            "weekday": (days + 3) % 7,  # from Monday; the first day of 1970 was a Thursday
            "days since the user's first rating": (times - np.where(is_first, times, first[rows])) / DAY,
            "user's mood": mood,
            "user's ratings on the day": n_same_day,
        }
        return pd.DataFrame(columns, columns=self.columns)

    def _mood(self, pairs: Pairs, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return, for each pair, the user's mood at a time, and the number of ratings within half a day of this time.

        The mood is the damped mean residual of the user's last `N_NEAREST` ratings before the time and first
        `N_NEAREST` ratings at or after it.

        Args:
            pairs: P pairs, whose query has histories with times.
            times: int64 (P,) Unix time in seconds for each pair.

        Returns:
            Moods, float64 (P,), and numbers of ratings, int64 (P,).
        """
        history, rows = pairs.query.history, pairs.rows
        at = history.positions_at(rows, times)
        low = np.maximum(at - N_NEAREST, history.indptr[rows])
        high = np.minimum(at + N_NEAREST, history.indptr[rows + 1])
        sums = np.concatenate([[0.0], np.cumsum(self.bias.residuals(history))])
        n_same_day = history.positions_at(rows, times + DAY // 2) - history.positions_at(rows, times - DAY // 2)
        return (sums[high] - sums[low]) / (high - low + DAMPING), n_same_day


class Embeddings(Group):
    """A model's embeddings of user and item, with their dot product and cosine; missing for unknown users.

    Args:
        model: fitted model. A user has the embedding learned in training, whatever the history in the query.
    """

    def __init__(self, model: HasEmbeddings) -> None:
        self.users, self.items = model.user_embeddings(), model.item_embeddings()  # (n_users, d), (n_items, d)

    def align(self, other: Self, train: Dataset) -> None:
        """Rotate the embeddings to match another group's embeddings, since two trainings can differ by a rotation."""
        own_space, other_space = (np.concatenate([group.users, group.items]) for group in (self, other))
        rotation = orthogonal_procrustes(own_space, other_space)[0]
        self.users, self.items = self.users @ rotation, self.items @ rotation

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; the model is fitted already."""
        return self

    def transform(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.transform`."""
        queried = pairs.query.users
        known = np.where(queried[:, None] >= 0, self.users[queried], np.nan)
        users, items = known[pairs.rows], self.items[pairs.items]
        product = (users * items).sum(axis=1)
        lengths = np.linalg.norm(users, axis=1) * np.linalg.norm(items, axis=1)
        names = [f"{side} embedding {i}" for side in ("user", "item") for i in range(items.shape[1])]
        columns = pd.DataFrame(np.concatenate([users, items], axis=1), columns=names)
        cosine = product / np.maximum(lengths, 1e-9)
        return columns.assign(**{"embeddings' product": product, "embeddings' cosine": cosine})


class Segments(Group):
    """The user's segment, and the distances of the user's rating profile from the centres of all segments.

    Segments are clusters of users with similar rating profiles in the ratings that the group is fitted to. The column
    `segment` of the table of users is not read, since it may have been computed from all training ratings.

    Args:
        n_segments: number of segments.
        seed: seed of the segmentation.
    """

    def __init__(self, n_segments: int, seed: int) -> None:
        self.segmentation = Segmentation(n_segments, seed=seed)

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; clusters the rating profiles of the users who have ratings."""
        self.profiles = RatingProfiles().fit(train)
        self.segmentation.fit(self.profiles.transform(_histories(train)))
        self.numbers = np.arange(len(self.segmentation.centres))
        return self

    def align(self, other: Self, train: Dataset) -> None:
        """Renumber the segments so that as many users as possible have the same number as in another group."""
        own, others = (
            group.segmentation.predict(group.profiles.transform(_histories(train))) for group in (self, other)
        )
        shared = confusion_matrix(own, others, labels=np.arange(self.segmentation.n_segments))
        self.numbers = linear_sum_assignment(-shared)[1][: len(self.numbers)]

    def transform(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.transform`."""
        points = self.profiles.transform(pairs.query.history)
        distances = np.full((len(points), self.segmentation.n_segments), np.nan)
        distances[:, self.numbers] = self.segmentation.distances(points)
        users = pd.DataFrame(distances, columns=[f"distance to segment {i}" for i in range(distances.shape[1])])
        users["segment"] = [f"segment {number}" for number in self.numbers[self.segmentation.predict(points)]]
        return users.iloc[pairs.rows].reset_index(drop=True)


class Predictions(Group):
    """Ratings that other models predict, with a column for each model.

    Args:
        models: fitted models by name.
    """

    def __init__(self, models: Mapping[str, Recommender]) -> None:
        self.models = models

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; the models are fitted already."""
        return self

    def transform(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.transform`."""
        return pd.DataFrame({f"by {name}": model.predict(pairs) for name, model in self.models.items()})


def feature_frame(groups: Sequence[Group], pairs: Pairs) -> pd.DataFrame:
    """Return the columns of all groups, with a row for each pair.

    Columns of numbers, as float32, come before columns of text, in which missing values are replaced by `unknown`.
    """
    frame = pd.concat([group.transform(pairs) for group in groups], axis=1)
    numbers = frame.select_dtypes(np.number)
    categories = frame.drop(columns=numbers.columns).astype(object)
    return pd.concat([numbers.astype(np.float32), categories.where(categories.notna(), "unknown")], axis=1)


def preprocessing() -> ColumnTransformer:
    """Return an unfitted transformer that turns the result of `feature_frame` into finite numbers.

    It encodes text as indicators, a column for each category, and fills missing numbers with the column's median.
    """
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    numbers = SimpleImputer(strategy="median", keep_empty_features=True)
    parts = [
        ("categories", categories, make_column_selector(dtype_include=object)),
        ("numbers", numbers, make_column_selector(dtype_include=np.number)),
    ]
    return ColumnTransformer(parts, verbose_feature_names_out=False)


def _histories(train: Dataset) -> History:
    """Return the histories of all users with ratings."""
    return train.history(np.flatnonzero(train.user_counts))


def _row_means(history: History, values: np.ndarray) -> np.ndarray:
    """Return the mean of values (n,), one per interaction, in each row of a history: (B,), NaN for an empty row."""
    sums = np.bincount(history.rows, values, minlength=len(history))
    return np.divide(sums, history.lengths, out=np.full(len(sums), np.nan), where=history.lengths > 0)


def _baseline() -> Bias:
    """Return an unfitted bias model, whose residuals are used as features after a fit."""
    return Bias(item_damping=2, user_damping=5, n_sweeps=5)


def _components(columns: sparse.csr_matrix, name: str) -> pd.DataFrame:
    """Reduce columns, (n, f), to at most `N_COMPONENTS` by truncated singular value decomposition.

    The new columns are called `NAME 0`, `NAME 1` and so on.
    """
    if columns.shape[1] < 2:  # nothing to reduce, and scikit-learn decomposes no single column
        return pd.DataFrame(columns.toarray(), columns=[f"{name} {i}" for i in range(columns.shape[1])])
    n_components = min(N_COMPONENTS, *columns.shape)
    svd = TruncatedSVD(
        n_components, algorithm="arpack" if n_components < min(columns.shape) else "randomized", random_state=0
    )
    reduced = svd.fit_transform(columns)
    return pd.DataFrame(reduced, columns=[f"{name} {i}" for i in range(n_components)])
