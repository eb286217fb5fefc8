"""What trees go by, how right they are and how sure, measured on ratings that they never saw.

A column counts for as much as the error grows by when its values are dealt out anew among the ratings: Breiman, "Random
Forests", Machine Learning 2001. What other columns tell as well hides a column that way, so groups of columns are dealt
out together, too. How predictions follow a column is its partial dependence (Friedman, "Greedy Function Approximation",
Annals of Statistics 2001), a mean of lines that each belong to one rating (Goldstein et al., "Peeking Inside the Black
Box", JCGS 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats.mstats import mquantiles
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import root_mean_squared_error
from tqdm import tqdm

from recsys.data.dataset import Holdout
from recsys.data.query import Pairs
from recsys.evaluation.evaluate import bands
from recsys.evaluation.significance import LEVEL
from recsys.models.trees import RatingTrees

N_RATINGS = 5000  # drawn from those of the test
N_FOLLOWED = 300  # ratings whose predictions are followed along a column
N_STEPS = 20  # along a column
ENDS = (0.05, 0.95)  # quantiles of a column between which it is followed
N_TENTHS = 10
QUARTERS = ("narrowest quarter", "second quarter", "third quarter", "widest quarter")


@dataclass(frozen=True, eq=False)
class Intervals:
    """Between which stars ratings are said to lie.

    Attributes:
        share: of the ratings, asked to lie within.
        low: float32 (m,) the lower ends.
        high: float32 (m,) the upper ends.
    """

    share: float
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class Sample:
    """Test ratings, what the trees were told of them, and what they said.

    Attributes:
        frame: features, a row for each of m ratings.
        groups: the columns of each group of features.
        ratings: float32 (m,) stars.
        predicted: float32 (m,) stars, within the scale.
        intervals: of a model that has some, or None.
        bands: of each rating by how many ratings of `user` and `film` were known.
        scale: lowest and highest stars.
    """

    frame: pd.DataFrame
    groups: dict[str, list[str]]
    ratings: np.ndarray
    predicted: np.ndarray
    intervals: Intervals | None
    bands: dict[str, pd.Categorical[str]]
    scale: tuple[float, float]

    @property
    def rmse(self) -> float:
        """Root mean squared error in stars."""
        return root_mean_squared_error(self.ratings, self.predicted)


def draw(model: RatingTrees, holdout: Holdout, seed: int) -> Sample:
    """Up to `N_RATINGS` of a holdout's ratings, with what a model is told of them and says."""
    chosen = np.random.default_rng(seed).permutation(len(holdout.ratings))[:N_RATINGS]
    asked, known = holdout.ratings.select(np.sort(chosen)), holdout.known
    users, rows = np.unique(asked.users, return_inverse=True)
    pairs = Pairs(known.query(users), rows, asked.items, asked.times)
    return Sample(
        frame=model.feature_frame(pairs),
        groups={name: columns for name, columns in model.feature_names(pairs).items() if columns},
        ratings=asked.ratings,
        predicted=model.predict(pairs),
        intervals=None if model.interval is None else Intervals(model.interval, *model.predict_intervals(pairs)),
        bands={"user": bands(known.user_counts[asked.users]), "film": bands(known.item_counts[asked.items])},
        scale=known.scale,
    )


def importances(
    trees: Any, sample: Sample, blocks: Mapping[str, Sequence[str]], n_repeats: int, seed: int, doing: str
) -> pd.DataFrame:
    """How much the error grows when blocks of columns are dealt out anew, each block together.

    Args:
        trees: a fitted regressor of the sample's features.
        sample: what it is measured on.
        blocks: columns by the block's name.
        n_repeats: of each permutation.
        seed: of the permutations.
        doing: what the progress bar says.

    Returns:
        A row for each block, the most important first: `increase` of the root mean squared error in stars, the mean
        over repeats, and its standard deviation, `spread`.
    """
    own = np.arange(len(sample.frame))
    rows = np.tile(own[:, None], len(blocks))  # where each block's values are from; these are permuted

    with tqdm(total=1 + n_repeats * len(blocks), desc=doing, disable=None) as bar:

        def negative_error(trees: Any, rows: np.ndarray, ratings: np.ndarray) -> float:
            frame = sample.frame.copy()
            for columns, dealt in zip(blocks.values(), rows.T, strict=True):
                if not np.array_equal(dealt, own):
                    frame[columns] = frame[columns].take(dealt).set_axis(frame.index)
            bar.update()
            return -root_mean_squared_error(ratings, np.clip(trees.predict(frame), *sample.scale))

        found = permutation_importance(
            trees, rows, sample.ratings, scoring=negative_error, n_repeats=n_repeats, random_state=seed
        )
    measured = {"increase": found.importances_mean, "spread": found.importances_std}
    return pd.DataFrame(measured, index=list(blocks)).sort_values("increase", ascending=False)


def can_be_followed(values: pd.Series) -> bool:
    """Whether a column holds numbers that differ."""
    if not pd.api.types.is_numeric_dtype(values):
        return False
    low, high = mquantiles(values.dropna(), ENDS) if values.notna().any() else (0, 0)
    return bool(low < high)


def dependence(trees: Any, frame: pd.DataFrame, column: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What would be predicted for some ratings if a column had other values, and all else stayed.

    Args:
        trees: a fitted regressor.
        frame: features.
        column: one that `can_be_followed`.
        seed: of the draw of ratings.

    Returns:
        The column's values (g,), and predicted stars (r, g) of up to `N_FOLLOWED` ratings.
    """
    known = frame[frame[column].notna()]
    followed = known.sample(min(N_FOLLOWED, len(known)), random_state=seed)
    followed = followed.astype({column: np.float64})  # it takes steps that float32 cannot
    found = partial_dependence(trees, followed, [column], kind="individual", percentiles=ENDS, grid_resolution=N_STEPS)
    return found["grid_values"][0], found["individual"][0]


def calibration(sample: Sample) -> pd.DataFrame:
    """Ratings in tenths by what was predicted: means `predicted` and `actual`, the `margin` of the latter at 95%."""
    tenths = {"tenth": _quantiles(sample.predicted, range(1, 1 + N_TENTHS))}
    predicted, actual = _averages(sample.predicted, tenths), _averages(sample.ratings, tenths)
    return actual.assign(predicted=predicted["mean"]).rename(columns={"mean": "actual"})


def errors(sample: Sample) -> pd.DataFrame:
    """Errors by how many ratings of user and film were known.

    Returns:
        A row for each `band` of each `kind` (user, film): `rmse` in stars and its `margin` at 95%.
    """
    squares = _averages((sample.predicted.astype(np.float64) - sample.ratings) ** 2, sample.bands)
    rmse = np.sqrt(squares["mean"])
    return squares.assign(rmse=rmse, margin=squares["margin"] / (2 * rmse))  # by the delta method


def coverage(sample: Sample, intervals: Intervals) -> pd.DataFrame:
    """How many ratings lie within their intervals.

    Returns:
        A row for all ratings, for each of `QUARTERS` (`kind` interval), and for each `band` of user and film: the share
        as `mean`, its `margin` at 95%, and the mean `width` in stars.
    """
    low, high = intervals.low, intervals.high
    everything = pd.Categorical(["all ratings"] * len(low))
    labels = {"all": everything, "interval": _quantiles(high - low, QUARTERS), **sample.bands}
    within = (low <= sample.ratings) & (sample.ratings <= high)
    return _averages(within, labels).assign(width=_averages(high - low, labels)["mean"])


def _quantiles(values: np.ndarray, names: Sequence[Any]) -> pd.CategoricalIndex:
    """Which of several equal parts each value is in, from the least; equal values in the order in which they stand."""
    return pd.CategoricalIndex(pd.qcut(pd.Series(values).rank(method="first"), len(names), labels=list(names)))


def _averages(values: np.ndarray, labels: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each `band` of each `kind` of labels: the `mean` of its values and the `margin` of that at 95%."""
    parts = []
    for kind, labels_of_kind in labels.items():
        groups = pd.Series(values, dtype=np.float64).groupby(pd.CategoricalIndex(labels_of_kind), observed=True)
        told = pd.DataFrame({"kind": kind, "mean": groups.mean(), "margin": norm.ppf((1 + LEVEL) / 2) * groups.sem()})
        parts.append(told.rename_axis("band").reset_index())
    return pd.concat(parts, ignore_index=True)
