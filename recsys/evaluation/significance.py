"""Whether one model is better than another: paired tests, intervals, and a correction for asking more than once.

Models are compared user by user on the same split, since users differ far more than models do (Smucker, Allan and
Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval Evaluation", CIKM 2007). Where
there are several splits, the interval over splits tells what the choice of the split does, to what was trained on
ratings that splits mostly share.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

LEVEL = 0.95  # of confidence
N_RESAMPLES = 9999  # of randomisation and bootstrap: the p-value cannot get below 1 / (N_RESAMPLES + 1)
_AT_ONCE = 2**22  # signs, or users, drawn together


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


def user_differences(model: Sequence[pd.Series], baseline: Sequence[pd.Series]) -> np.ndarray:
    """How far a model is above another for each user whom both were tested on, float64 (n,).

    Args:
        model: a metric of each user, indexed by user, for each split.
        baseline: the same on the same splits.

    Returns:
        A value for each user, as users are what tests take to be independent: the mean over the splits.
    """
    differences = pd.concat([own - other for own, other in zip(model, baseline, strict=True)]).dropna()
    return differences.groupby(level=0).mean().to_numpy()


def paired(model: Sequence[pd.Series], baseline: Sequence[pd.Series]) -> tuple[Interval, float]:
    """How far a model is above another, user by user.

    Args:
        model: as of `user_differences`.
        baseline: the same.

    Returns:
        The mean difference with its interval over users, and the p-value of its two-sided t-test: 1 where no user
        differs.
    """
    of_users = user_differences(model, baseline)
    p_value = stats.ttest_1samp(of_users, 0.0).pvalue if len(of_users) > 1 and of_users.any() else 1.0
    return mean_interval(of_users), float(p_value)


def randomisation(differences: np.ndarray, seed: int = 0) -> float:
    """The two-sided p-value of paired differences, (n,), by flipping their signs at random.

    Were two models the same, each user's values could as well be the other way round (Fisher, "The Design of
    Experiments", 1935). No normal distribution is supposed, which differences of hits are far from. The observed signs
    count as one of the draws (Phipson and Smyth, "Permutation P-values Should Never Be Zero", 2010).
    """
    differing = differences[differences != 0]  # the sign of the others changes nothing
    observed = abs(differing.sum()) * (1 - 1e-9)  # sums that are equal differ by rounding
    rng = np.random.default_rng(seed)
    n_as_far, left = 1, N_RESAMPLES
    while left:
        drawn = min(left, max(1, _AT_ONCE // max(1, len(differing))))
        positive = rng.integers(2, size=(drawn, len(differing)), dtype=np.int8)
        n_as_far += int((np.abs((2 * positive - 1) @ differing) >= observed).sum())
        left -= drawn
    return n_as_far / (1 + N_RESAMPLES)


def bootstrap_interval(differences: np.ndarray, seed: int = 0) -> Interval:
    """The mean of values, (n,), and its interval by the bootstrap over users; no interval where all are the same.

    Corrected for bias and skewness: Efron, "Better Bootstrap Confidence Intervals", JASA 1987.
    """
    if not len(differences) or np.ptp(differences) == 0:
        return Interval(float(differences.mean()) if len(differences) else np.nan, np.nan, np.nan)
    return _bootstrap((differences,), np.mean, seed)


def bootstrap_ratio(numerators: ArrayLike, denominators: ArrayLike, seed: int = 0) -> Interval:
    """The ratio of two sums over users, (n,) each, and its interval as of `bootstrap_interval`, users drawn whole.

    NaN where nothing is divided by; no interval where all users have the same ratio, or many of them nothing in it.
    """
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    if np.allclose(above * below.sum(), below * above.sum()):
        return Interval(float(above.sum() / below.sum()) if below.any() else np.nan, np.nan, np.nan)
    return _bootstrap((above, below), _ratio, seed)


def _ratio(numerators: np.ndarray, denominators: np.ndarray, axis: int) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # nobody who was drawn has anything in it
        return numerators.sum(axis) / denominators.sum(axis)


def _bootstrap(samples: tuple[np.ndarray, ...], statistic: Callable[..., np.ndarray], seed: int) -> Interval:
    """A statistic of samples of the same users, (n,) each, with its interval; NaN where it cannot be told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            samples, statistic, paired=True, n_resamples=N_RESAMPLES, confidence_level=LEVEL,
            batch=max(1, _AT_ONCE // len(samples[0])), method="BCa", rng=np.random.default_rng(seed),
        ).confidence_interval  # fmt: skip
    return Interval(float(statistic(*samples, axis=-1)), float(found.low), float(found.high))


def effect_size(differences: np.ndarray) -> float:
    """The mean of paired differences, (n,), in their standard deviations; NaN where all are the same.

    d_z of Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988: 0.2 is small, 0.5 medium, 0.8 large.
    """
    if not len(differences) or np.ptp(differences) == 0:
        return np.nan
    return float(differences.mean() / differences.std(ddof=1))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p-values for their number: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979."""
    given = np.asarray(p_values, float)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
