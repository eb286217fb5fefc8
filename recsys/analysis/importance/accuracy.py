"""The accuracy of predicted ratings and their intervals: calibration, errors, and coverage, by groups of ratings."""

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
    """Compare mean predicted and actual ratings in tenths of the ratings, ordered by prediction.

    Returns:
        A row for each tenth: means `predicted` and `actual` in stars, and the 95% `margin` of the latter.
    """
    tenths = {"tenth": _quantile_bins(sample.predicted, range(1, 1 + N_TENTHS))}
    predicted, actual = _averages(sample.predicted, tenths), _averages(sample.ratings, tenths)
    return actual.assign(predicted=predicted["mean"]).rename(columns={"mean": "actual"})


def errors(sample: Sample) -> pd.DataFrame:
    """Compute the error in bands of the number of known ratings of the user, and of the film.

    Returns:
        A row for each `band` of each `kind` (user, film): `rmse` in stars and its 95% `margin`.
    """
    squares = _averages((sample.predicted.astype(np.float64) - sample.ratings) ** 2, sample.bands)
    rmse = np.sqrt(squares["mean"])
    return squares.assign(rmse=rmse, margin=squares["margin"] / (2 * rmse))  # by the delta method


def coverage(sample: Sample, intervals: Intervals) -> pd.DataFrame:
    """Compute the share of ratings within their intervals.

    Returns:
        A row for all ratings (`kind` all), for each of `QUARTERS` by width (`kind` interval), and for each `band` of
        user and film: the share as `mean`, its 95% `margin`, and the mean `width` of the intervals in stars.
    """
    low, high = intervals.low, intervals.high
    all_ratings = pd.Categorical(["all ratings"] * len(low))
    labels = {"all": all_ratings, "interval": _quantile_bins(high - low, QUARTERS), **sample.bands}
    within = (low <= sample.ratings) & (sample.ratings <= high)
    return _averages(within, labels).assign(width=_averages(high - low, labels)["mean"])


def _quantile_bins(values: np.ndarray, names: Sequence[Any]) -> pd.CategoricalIndex:
    """Assign values to bins of equal size, lowest first; ties are broken by position."""
    return pd.CategoricalIndex(pd.qcut(pd.Series(values).rank(method="first"), len(names), labels=list(names)))


def _averages(values: np.ndarray, labels: Mapping[str, Any]) -> pd.DataFrame:
    """Average values by label: a row for each `band` of each `kind` of labels, with the `mean` and its 95% `margin`."""
    parts = []
    for kind, labels_of_kind in labels.items():
        groups = pd.Series(values, dtype=np.float64).groupby(pd.CategoricalIndex(labels_of_kind), observed=True)
        part = pd.DataFrame({"kind": kind, "mean": groups.mean(), "margin": norm.ppf((1 + LEVEL) / 2) * groups.sem()})
        parts.append(part.rename_axis("band").reset_index())
    return pd.concat(parts, ignore_index=True)
