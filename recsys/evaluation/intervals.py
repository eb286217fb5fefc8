"""Confidence intervals of means and ratios."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

LEVEL = 0.95  # confidence level of the intervals
N_RESAMPLES = 9999  # number of resamples of the bootstrap
_BATCH_SIZE = 2**22  # number of values that are resampled at a time


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; both ends are NaN if the interval is undefined.

    Attributes:
        mean: the estimate: a mean, or a ratio of two means.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        ends = "" if np.isnan(self.low) else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.mean:.4f}{ends}"


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Return the mean of values (n,) with its Student's t interval; the ends are NaN if there is a single value."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(mean, np.nan, np.nan)
    half = float(special.stdtrit(n - 1, (1 + LEVEL) / 2) * stats.sem(values))
    return Interval(mean, mean - half, mean + half)


def bootstrap_ratio(numerators: ArrayLike, denominators: ArrayLike, seed: int = 0) -> Interval:
    """Return the ratio of two sums over users with its BCa bootstrap interval (bias-corrected and accelerated).

    Efron, "Better Bootstrap Confidence Intervals", JASA 1987.

    Args:
        numerators: float (n,) summand of each user in the numerator.
        denominators: float (n,) summand of each user in the denominator.
        seed: seed of the bootstrap, which resamples users.

    Returns:
        The ratio, which is NaN if the denominators sum to 0, with its interval. The ends of the interval are NaN if all
        users have the same ratio, or if too few users have nonzero summands for the interval to be defined.
    """
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    if np.allclose(above * below.sum(), below * above.sum()):
        return Interval(float(above.sum() / below.sum()) if below.any() else np.nan, np.nan, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        ends = stats.bootstrap(
            (above, below), _ratio, paired=True, n_resamples=N_RESAMPLES, confidence_level=LEVEL,
            batch=max(1, _BATCH_SIZE // len(above)), method="BCa", rng=np.random.default_rng(seed),
        ).confidence_interval  # fmt: skip
    return Interval(float(_ratio(above, below, -1)), float(ends.low), float(ends.high))


def _ratio(numerators: np.ndarray, denominators: np.ndarray, axis: int) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # a resample whose denominators are all 0
        return numerators.sum(axis) / denominators.sum(axis)
