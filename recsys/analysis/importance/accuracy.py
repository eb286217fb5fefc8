"""The accuracy of predicted ratings and of their prediction intervals, by groups of ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from recsys.analysis.importance.sample import Intervals, Sample
from recsys.evaluation.intervals import LEVEL

N_TENTHS = 10
QUARTERS = ("narrowest quarter", "second quarter", "third quarter", "widest quarter")


def calibration(sample: Sample) -> pd.DataFrame:
    """Compare mean predicted and mean actual ratings for each tenth of the ratings, sorted by prediction.

    Returns:
        A row for each tenth, the lowest predictions first: the means `predicted` and `actual` in stars, and `margin`,
        the half width of the 95% interval of the mean actual rating.
    """
    tenths = {"tenth": _quantile_bins(sample.predicted, range(1, 1 + N_TENTHS))}
    predicted, actual = _averages(sample.predicted, tenths), _averages(sample.ratings, tenths)
    return actual.assign(predicted=predicted["mean"]).rename(columns={"mean": "actual"})


def errors(sample: Sample) -> pd.DataFrame:
    """Compute the error of predictions in bands, by the number of known ratings of the user or of the film.

    Returns:
        A row for each `band` of numbers of known ratings, for each `kind` (`user`, `film`): the root mean squared error
        `rmse` in stars, and `margin`, the half width of its 95% interval.
    """
    squares = _averages((sample.predicted.astype(np.float64) - sample.ratings) ** 2, sample.bands)
    rmse = np.sqrt(squares["mean"])
    return squares.assign(rmse=rmse, margin=squares["margin"] / (2 * rmse))  # by the delta method


def coverage(sample: Sample, intervals: Intervals) -> pd.DataFrame:
    """Compute the share of ratings that are within their prediction intervals.

    Returns:
        A row for each group of ratings: `kind`, `band`, the share as `mean`, `margin` (the half width of its 95%
        interval), and the mean `width` of the prediction intervals in stars. The groups are all ratings (`kind` is
        `all`), quarters of the ratings by the width of the interval (`interval`), and bands by the number of known
        ratings of the user (`user`) and of the film (`film`).
    """
    low, high = intervals.low, intervals.high
    all_ratings = pd.Categorical(["all ratings"] * len(low))
    labels = {"all": all_ratings, "interval": _quantile_bins(high - low, QUARTERS), **sample.bands}
    within = (low <= sample.ratings) & (sample.ratings <= high)
    return _averages(within, labels).assign(width=_averages(high - low, labels)["mean"])


def _quantile_bins(values: np.ndarray, names: Sequence[Any]) -> pd.CategoricalIndex:
    """Assign values to bins with equally many values, the lowest first; equal values are ordered by position."""
    return pd.CategoricalIndex(pd.qcut(pd.Series(values).rank(method="first"), len(names), labels=list(names)))


def _averages(values: np.ndarray, labels: Mapping[str, Any]) -> pd.DataFrame:
    """Average values over groups with equal labels, separately for each kind of labels.

    Args:
        values: (n,) values to average.
        labels: (n,) labels of the values, keyed by the kind of the labels, such as `user`.

    Returns:
        A row for each label: `kind`, the label as `band`, the `mean` of its values, and `margin`, the half width of the
        95% interval of the mean.
    """
    parts = []
    for kind, labels_of_kind in labels.items():
        groups = pd.Series(values, dtype=np.float64).groupby(pd.CategoricalIndex(labels_of_kind), observed=True)
        part = pd.DataFrame({"kind": kind, "mean": groups.mean(), "margin": norm.ppf((1 + LEVEL) / 2) * groups.sem()})
        parts.append(part.rename_axis("band").reset_index())
    return pd.concat(parts, ignore_index=True)
