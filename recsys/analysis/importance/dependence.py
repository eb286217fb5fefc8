"""Partial dependence: how predictions change with the value of a single feature.

An individual curve shows how the prediction of one rating changes with the feature (Goldstein, Kapelner, Bleich and
Pitkin, "Peeking Inside the Black Box: Visualizing Statistical Learning with Plots of Individual Conditional
Expectation", JCGS 2015). The partial dependence is the mean of these curves (Friedman, "Greedy Function Approximation:
A Gradient Boosting Machine", Annals of Statistics 2001).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats.mstats import mquantiles
from sklearn.inspection import partial_dependence

N_CURVES = 300  # number of ratings whose individual curves are computed
N_STEPS = 20  # number of values of the feature on a curve
QUANTILES = (0.05, 0.95)  # quantiles of the feature between which curves are computed


def has_dependence(values: pd.Series) -> bool:
    """Return whether partial dependence can be computed: the column is numeric, and its `QUANTILES` differ."""
    if not pd.api.types.is_numeric_dtype(values):
        return False
    low, high = mquantiles(values.dropna(), QUANTILES) if values.notna().any() else (0, 0)
    return bool(low < high)


def dependence(trees: Any, frame: pd.DataFrame, column: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predict r ratings for each of g values of one feature, while all other features stay unchanged.

    Args:
        trees: fitted regressor.
        frame: features, a row for each rating.
        column: the feature, a column for which `has_dependence` is True.
        seed: seed of the draw of ratings.

    Returns:
        The values of the feature, float64 (g,), at most `N_STEPS`; and the predicted stars, (r, g). The r ratings, at
        most `N_CURVES`, are drawn from all ratings that have a value of the feature.
    """
    known = frame[frame[column].notna()]
    sample = known.sample(min(N_CURVES, len(known)), random_state=seed)
    sample = sample.astype({column: np.float64})  # the grid's values need more precision than float32
    result = partial_dependence(
        trees, sample, [column], kind="individual", percentiles=QUANTILES, grid_resolution=N_STEPS
    )
    return result["grid_values"][0], result["individual"][0]
