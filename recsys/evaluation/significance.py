"""Effect sizes of paired differences, and correction of p-values for multiple testing.

The uncorrected p-values and the confidence intervals are computed by `recsys.evaluation.resampling.compare`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SIGNIFICANT = 0.05  # adjusted p-values below this are significant
_ROUNDING = 1e-12  # smaller variations of differences are due to rounding; metrics are of the order of 1 or above


def effect_size(differences: np.ndarray) -> float:
    """Return the mean of paired differences (n,) divided by their standard deviation.

    The result is NaN if n is 0, or if all differences are equal apart from rounding.

    This is the effect size d_z of Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988: 0.2 is small,
    0.5 medium and 0.8 large.
    """
    if not len(differences) or np.ptp(differences) <= _ROUNDING * max(1.0, np.abs(differences).max()):
        return np.nan
    return float(differences.mean() / differences.std(ddof=1))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust the p-values (n,) of n tests by Holm's method, and return them in the given order, float64 (n,).

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.
    """
    given = np.asarray(p_values, float)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
