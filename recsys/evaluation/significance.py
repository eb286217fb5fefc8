"""Paired comparison of two models: user differences, randomisation test, effect size, correction for many tests.

Models are compared user by user on the same split, since users differ far more than models do (Smucker, Allan and
Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval Evaluation", CIKM 2007).
`recsys.evaluation.intervals.bootstrap_interval` gives the interval of the mean difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

N_DRAWS = 9999  # of signs: the smallest possible p-value is 1 / (N_DRAWS + 1)
_BATCH_SIZE = 2**22  # signs that are drawn at once


def user_differences(model: Sequence[pd.Series], baseline: Sequence[pd.Series]) -> np.ndarray:
    """Subtract a baseline's metric from a model's, for each user on whom both were tested.

    Args:
        model: metric of each user, indexed by user; one series per split.
        baseline: the same for the baseline, on the same splits.

    Returns:
        float64 (n_users,). A user's difference is the mean over splits, so that each user contributes one value and
        the values are independent, as tests assume.
    """
    differences = pd.concat([own - other for own, other in zip(model, baseline, strict=True)]).dropna()
    return differences.groupby(level=0).mean().to_numpy()


def randomisation_test(differences: np.ndarray, seed: int = 0) -> float:
    """Return the two-sided p-value of paired differences (n,), from random changes of their signs.

    If two models do not differ, each user's two values can be exchanged (Fisher, "The Design of Experiments", 1935).
    The test assumes no normal distribution, which differences of hits are far from. The observed signs count as one of
    the draws (Phipson and Smyth, "Permutation P-values Should Never Be Zero", 2010). It is the test of
    `scipy.stats.permutation_test` with `permutation_type="samples"`, as one matrix product per batch of draws.
    """
    nonzero = differences[differences != 0]  # the sign of a zero changes nothing
    observed = abs(nonzero.sum()) * (1 - 1e-9)  # equal sums may differ by rounding
    rng = np.random.default_rng(seed)
    n_extreme, left = 1, N_DRAWS
    while left:
        n_drawn = min(left, max(1, _BATCH_SIZE // max(1, len(nonzero))))
        positive = rng.integers(2, size=(n_drawn, len(nonzero)), dtype=np.int8)
        n_extreme += int((np.abs((2 * positive - 1) @ nonzero) >= observed).sum())
        left -= n_drawn
    return n_extreme / (1 + N_DRAWS)


def effect_size(differences: np.ndarray) -> float:
    """Return the mean of paired differences (n,) in units of their standard deviation; NaN where all are equal.

    d_z of Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988: 0.2 is small, 0.5 medium, 0.8 large.
    """
    if not len(differences) or np.ptp(differences) == 0:
        return np.nan
    return float(differences.mean() / differences.std(ddof=1))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p-values for multiple tests: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979."""
    given = np.asarray(p_values, float)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
