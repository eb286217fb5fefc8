"""Whether one model is better than another: paired tests, intervals, and a correction for asking more than once.

Models are compared user by user on the same split, since users differ far more than models do (Smucker, Allan and
Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval Evaluation", CIKM 2007). Where
there are several splits, the interval over splits tells what the choice of the split does, to what was trained on
ratings that splits mostly share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95  # of confidence


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its confidence interval; NaN where one value alone gives none."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        ends = "" if np.isnan(self.low) else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.mean:.4f}{ends}"


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """The mean of values and its interval by Student's t."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(mean, np.nan, np.nan)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half)


def paired(model: Sequence[pd.Series], baseline: Sequence[pd.Series]) -> tuple[Interval, float]:
    """How far a model is above another, user by user.

    Args:
        model: a metric of each user, indexed by user, for each split.
        baseline: the same on the same splits.

    Returns:
        The mean difference of users that both were tested on, with its interval over users, and the p-value of its
        two-sided t-test: 1 where no user differs. A user's differences on several splits count as one, their mean.
    """
    differences = pd.concat([own - other for own, other in zip(model, baseline, strict=True)]).dropna()
    of_users = differences.groupby(level=0).mean().to_numpy()
    p_value = stats.ttest_1samp(of_users, 0.0).pvalue if len(of_users) > 1 and of_users.any() else 1.0
    return mean_interval(of_users), float(p_value)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p-values for their number: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979."""
    given = np.asarray(p_values, float)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
