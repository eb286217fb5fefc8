"""The size of paired differences, and the correction of p-values for many tests.

`recsys.evaluation.resampling.compare` gives intervals and p-values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SIGNIFICANT = 0.05  # adjusted p-values below this are significant
_ROUNDING = 1e-12  # differences of two metrics, which are of the order of 1 or above, vary by less through rounding


def effect_size(differences: np.ndarray) -> float:
    """Return the mean of paired differences (n,) divided by their standard deviation.

    It is NaN if n is 0 or all differences are equal, apart from rounding.

    This is d_z of Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988: 0.2 is small, 0.5 medium and
    0.8 large.
    """
    if not len(differences) or np.ptp(differences) <= _ROUNDING * max(1.0, np.abs(differences).max()):
        return np.nan
    return float(differences.mean() / differences.std(ddof=1))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return p-values (n,) adjusted for n tests by Holm's method, float64 (n,), in the given order.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.
    """
    given = np.asarray(p_values, float)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
