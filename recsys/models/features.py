"""What a tree is told of a user, a film and the time when one rates the other: groups of columns.

A group learns from ratings and then describes pairs of user and film, by what it learned and by the users' histories at
hand. Pairs that are themselves among the ratings have to be described by a group that was fitted without them: see
`trees`. Columns hold numbers, or text where they are categories; NaN is what is not known. `preprocessing` makes
numbers of all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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

from recsys.data.dataset import Dataset, History
from recsys.data.features import features, vocabulary
from recsys.data.text import FIELDS, make_encoder
from recsys.models.base import FitContext, HasEmbeddings, Recommender
from recsys.models.bias import Bias
from recsys.models.content import film_vectors
from recsys.models.segmentation import RatingProfiles, Segmentation

DAY, HOUR = 86_400, 3_600  # in seconds
DAYS_A_YEAR = 365.2425
NEAR = 5  # ratings to either side in time that tell of today's mood
DAMPING = 5.0  # ratings at the mean that a taste for a kind of film, or a mood, begins with
KINDS = ("genres", "year")
PEOPLE = ("directors", "actors", "writers")
USER_FACTS = ("age", "age_group", "gender", "occupation")
TIME_COLUMNS = [
    "film year",
    "film age",
    "day",
    "hour",
    "weekday",
    "days since the user's first rating",
    "user's mood",
    "user's ratings on the day",
]
N_COMPONENTS = 16  # of people and of texts


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of user and film to describe.

    Attributes:
        users: int64 (B,) user codes; -1 is somebody unknown.
        history: B rows, what each user rated so far.
        rows: int64 (P,) which of the users.
        items: int (P,) film codes.
        times: int64 (P,) seconds UTC at which the films are rated, or None: right after the user's last rating.
    """

    users: np.ndarray
    history: History
    rows: np.ndarray
    items: np.ndarray
    times: np.ndarray | None = None

    @classmethod
    def among(cls, known: Dataset, asked: Dataset) -> Pairs:
        """The pairs of some ratings, with other ratings as the histories."""
        users = np.arange(known.n_users)
        return cls(users, known.history(users), asked.users, asked.items, asked.times)

    @cached_property
    def lengths(self) -> np.ndarray:
        """int64 (B,): ratings in each history."""
        return np.diff(self.history.indptr)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Of values of the histories' ratings (n,), by user (B,); NaN where there are none."""
        sums = np.bincount(self.history.rows, values, minlength=len(self.users))
        return np.divide(sums, self.lengths, out=np.full(len(sums), np.nan), where=self.lengths > 0)


class Group(ABC):
    """A group of columns."""

    @property
    def name(self) -> str:
        """As settings name it."""
        return type(self).__name__.lower()

    @abstractmethod
    def fit(self, train: Dataset) -> Self:
        """Learn from ratings. Returns self."""

    @abstractmethod
    def of(self, pairs: Pairs) -> pd.DataFrame:
        """A row for each pair."""

    def align(self, like: Self, train: Dataset) -> None:  # noqa: B027  most columns mean the same by their names
        """Give columns the meaning that they have in a group of the same kind, fitted to other ratings."""


class Statistics(Group):
    """How a user rates, how a film is rated, and how the user rates films of the film's genres and decade."""

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`."""
        self.bias = _bias().fit(train)
        stars = pd.Series(train.ratings.astype(np.float64)).groupby(train.items).agg(["mean", "std", "size"])
        films = stars.reindex(np.arange(train.n_items)).set_axis(["film mean", "film spread", "film ratings"], axis=1)
        self.films = films.fillna({"film ratings": 0}).assign(**{"film bias": self.bias.item_bias})
        told = features(train.item_frame, vocabulary(train.item_frame, KINDS, min_count=1)).toarray()
        self.kinds = told / np.maximum(told.sum(axis=1, keepdims=True), 1)  # (n_items, g)
        return self

    def of(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.of`."""
        history, rows = pairs.history, pairs.rows
        residuals, user_bias = _residuals(self.bias, history), self.bias.user_bias(history)
        means = pairs.mean(history.ratings)
        taste, share = self._taste(pairs, residuals)
        users = {
            "user mean": means,
            "user spread": np.sqrt(pairs.mean((history.ratings - means[history.rows]) ** 2)),
            "user ratings": pairs.lengths,
            "user bias": user_bias,
            "user squared residual": pairs.mean(residuals**2),
        }
        told = pd.DataFrame({name: values[rows] for name, values in users.items()})
        films = self.films.iloc[pairs.items].reset_index(drop=True)
        together = {
            "bias": self.bias.mean + told["user bias"] + films["film bias"],
            "user's taste for its kind": taste,
            "user's share of its kind": share,
        }
        return pd.concat([told, films, pd.DataFrame(together)], axis=1)

    def _taste(self, pairs: Pairs, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean residual, damped, and share of the user's ratings of films like it in genres and decade: (P,) each."""
        history, n_items = pairs.history, len(self.kinds)
        shape = (len(history), n_items)
        counts = history.matrix(n_items) @ self.kinds  # (B, g)
        sums = sparse.csr_matrix((residuals, history.items, history.indptr), shape) @ self.kinds
        kinds = self.kinds[pairs.items]  # (P, g)
        taste, share = sums / (counts + DAMPING), counts / (pairs.lengths[:, None] + DAMPING)
        return (taste[pairs.rows] * kinds).sum(axis=1), (share[pairs.rows] * kinds).sum(axis=1)


class Demographics(Group):
    """What the data set tells of users."""

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`."""
        self.users = train.user_frame[[name for name in USER_FACTS if name in train.user_frame]]
        return self

    def of(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.of`."""
        asked = self.users.reindex(pairs.users)  # -1 is in no row
        return asked.iloc[pairs.rows].reset_index(drop=True)


class _FilmColumns(Group):
    """Columns of films alone."""

    films: pd.DataFrame

    def of(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.of`."""
        return self.films.iloc[pairs.items].reset_index(drop=True)


class Genres(_FilmColumns):
    """A column for each genre, 1 or 0."""

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`."""
        names = vocabulary(train.item_frame, ("genres",), min_count=1)
        self.films = pd.DataFrame(features(train.item_frame, names).toarray(), columns=names)
        return self


class People(_FilmColumns):
    """Directors, actors and writers of several films, by singular value decomposition."""

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`."""
        names = vocabulary(train.item_frame, PEOPLE)
        self.films = _components(features(train.item_frame, names), "people")
        return self


class Texts(_FilmColumns):
    """Documents of films by encoders, by singular value decomposition.

    Args:
        encoders: by name, plain settings as models of content take them.
        context: says where vectors are kept.
    """

    def __init__(self, encoders: Mapping[str, Mapping[str, Any]], context: FitContext | None) -> None:
        self.encoders = encoders
        self.context = context

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`."""
        parts = [pd.DataFrame(index=np.arange(train.n_items))]
        for name, setting in self.encoders.items():
            vectors = film_vectors(train, make_encoder(setting), FIELDS, self.context)
            parts.append(_components(sparse.csr_matrix(vectors), name))
        self.films = pd.concat(parts, axis=1)
        return self


class Time(Group):
    """When the film is from and when it is rated: age, hour, weekday, how long the user is here, and the user's mood.

    The mood is the mean residual of the user's ratings next in time; Koren, "Collaborative Filtering with Temporal
    Dynamics", KDD 2009, found that people differ more from day to day than they drift over years.
    """

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`."""
        self.bias = _bias().fit(train)
        self.columns = ["film year"] if train.times is None else TIME_COLUMNS
        films = train.item_frame
        self.years = films["year"].astype("float64").to_numpy() if "year" in films else np.full(train.n_items, np.nan)
        return self

    def of(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.of`."""
        history, rows = pairs.history, pairs.rows
        years = self.years[pairs.items]
        if history.times is None:
            return pd.DataFrame({"film year": years}).reindex(columns=self.columns)
        first, last = (np.append(history.times, 0)[at] for at in (history.indptr[:-1], history.indptr[1:] - 1))
        times = last[rows] if pairs.times is None else pairs.times
        days = times // DAY
        mood, n_near = self._mood(pairs, times)
        told = {
            "film year": years,
            "film age": 1970 + days / DAYS_A_YEAR - years,
            "day": days,
            "hour": times % DAY // HOUR,
            "weekday": (days + 3) % 7,  # from Monday; the first day of 1970 was a Thursday
            "days since the user's first rating": (times - first[rows]) / DAY,
            "user's mood": mood,
            "user's ratings on the day": n_near,
        }
        return pd.DataFrame(told, columns=self.columns)

    def _mood(self, pairs: Pairs, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Damped mean residual of the nearest ratings, and how many there are within half a day: (P,) each."""
        history, rows = pairs.history, pairs.rows
        start = min(history.times.min(initial=0), times.min(initial=0)) - DAY  # type: ignore[union-attr]
        span = max(history.times.max(initial=0), times.max(initial=0)) - start + 2 * DAY  # type: ignore[union-attr]
        keys = history.rows * span + (history.times - start)  # ascending, since rows are in time order
        asked = rows * span + (times - start)
        at = np.searchsorted(keys, asked)
        low = np.maximum(at - NEAR, history.indptr[rows])
        high = np.minimum(at + NEAR, history.indptr[rows + 1])
        sums = np.concatenate([[0.0], np.cumsum(_residuals(self.bias, history))])
        n_near = np.searchsorted(keys, asked + DAY // 2) - np.searchsorted(keys, asked - DAY // 2)
        return (sums[high] - sums[low]) / (high - low + DAMPING), n_near


class Embeddings(Group):
    """Vectors of user and film in a model's space, their product and cosine.

    Args:
        model: fitted, with embeddings.
    """

    def __init__(self, model: HasEmbeddings) -> None:
        self.users, self.films = model.user_embeddings(), model.item_embeddings()  # (n_users, d), (n_items, d)

    def align(self, like: Self, train: Dataset) -> None:
        """Turn the axes: two trainings find the same space turned differently."""
        both, others = (np.concatenate([space.users, space.films]) for space in (self, like))
        turn = orthogonal_procrustes(both, others)[0]
        self.users, self.films = self.users @ turn, self.films @ turn

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; the model has learned already."""
        return self

    def of(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.of`."""
        known = np.where(pairs.users[:, None] >= 0, self.users[pairs.users], np.nan)
        users, films = known[pairs.rows], self.films[pairs.items]
        product = (users * films).sum(axis=1)
        lengths = np.linalg.norm(users, axis=1) * np.linalg.norm(films, axis=1)
        names = [f"{side} embedding {i}" for side in ("user", "film") for i in range(films.shape[1])]
        told = pd.DataFrame(np.concatenate([users, films], axis=1), columns=names)
        return told.assign(
            **{"embeddings' product": product, "embeddings' cosine": product / np.maximum(lengths, 1e-9)}
        )


class Segments(Group):
    """The user's taste segment, by profiles of ratings, and how far the profile is from the segments' centres.

    Segments are found in the ratings at hand, and not those of `segments_from`: these have seen every training rating.

    Args:
        n_segments: how many.
        seed: of the segmentation.
    """

    def __init__(self, n_segments: int, seed: int) -> None:
        self.segmentation = Segmentation(n_segments, seed=seed)

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`."""
        self.profiles = RatingProfiles().fit(train)
        self.segmentation.fit(self.profiles.of(_histories(train)))
        self.numbers = np.arange(len(self.segmentation.centres))
        return self

    def align(self, like: Self, train: Dataset) -> None:
        """Number the segments like those that share most users with them."""
        own, theirs = (group.segmentation.assign(group.profiles.of(_histories(train))) for group in (self, like))
        shared = confusion_matrix(own, theirs, labels=np.arange(self.segmentation.n_segments))
        self.numbers = linear_sum_assignment(-shared)[1][: len(self.numbers)]

    def of(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.of`."""
        points = self.profiles.of(pairs.history)
        distances = np.full((len(points), self.segmentation.n_segments), np.nan)
        distances[:, self.numbers] = self.segmentation.distances(points)
        told = pd.DataFrame(distances, columns=[f"distance to segment {i}" for i in range(distances.shape[1])])
        told["segment"] = [f"segment {number}" for number in self.numbers[self.segmentation.assign(points)]]
        return told.iloc[pairs.rows].reset_index(drop=True)


class Predictions(Group):
    """Stars that models predict.

    Args:
        models: fitted, by name.
    """

    def __init__(self, models: Mapping[str, Recommender]) -> None:
        self.models = models

    def fit(self, train: Dataset) -> Self:
        """See `Group.fit`; the models have learned already."""
        return self

    def of(self, pairs: Pairs) -> pd.DataFrame:
        """See `Group.of`."""
        asked = (pairs.users, pairs.history, pairs.rows, pairs.items, pairs.times)
        return pd.DataFrame({f"by {name}": model.predict(*asked) for name, model in self.models.items()})


def preprocessing() -> ColumnTransformer:
    """Categories as a column of 0 or 1 each, numbers as they are with the median where one is missing."""
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    numbers = SimpleImputer(strategy="median", keep_empty_features=True)
    parts = [
        ("categories", categories, make_column_selector(dtype_include=object)),
        ("numbers", numbers, make_column_selector(dtype_include=np.number)),
    ]
    return ColumnTransformer(parts, verbose_feature_names_out=False)


def _histories(train: Dataset) -> History:
    """Of everybody with ratings."""
    return train.history(np.flatnonzero(train.user_counts))


def _bias() -> Bias:
    """What residuals are seen from."""
    return Bias(item_damping=2, user_damping=5, n_sweeps=5)


def _residuals(bias: Bias, history: History) -> np.ndarray:
    """float64 (n,): stars of the histories' ratings above what is expected of user and film."""
    return history.ratings - bias.mean - bias.item_bias[history.items] - bias.user_bias(history)[history.rows]


def _components(columns: sparse.csr_matrix, name: str) -> pd.DataFrame:
    """What rows (n, f) vary in most, (n, `N_COMPONENTS`) or less."""
    n_components = min(N_COMPONENTS, *columns.shape)
    if not n_components:
        return pd.DataFrame(index=np.arange(columns.shape[0]))
    svd = TruncatedSVD(
        n_components, algorithm="arpack" if n_components < min(columns.shape) else "randomized", random_state=0
    )
    reduced = svd.fit_transform(columns)
    return pd.DataFrame(reduced, columns=[f"{name} {i}" for i in range(n_components)])


def concatenated(groups: Sequence[Group], pairs: Pairs) -> pd.DataFrame:
    """All groups' columns, a row for each pair; numbers as float32."""
    frame = pd.concat([group.of(pairs) for group in groups], axis=1)
    numbers = frame.select_dtypes(np.number)
    categories = frame.drop(columns=numbers.columns).astype(object)
    return pd.concat([numbers.astype(np.float32), categories.where(categories.notna(), "unknown")], axis=1)
