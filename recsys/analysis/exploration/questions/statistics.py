"""Statistics that several questions compute from the results of their SELECT statements."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm


def joint_margins(errors: pd.Series) -> pd.Series:
    """Return half widths of confidence intervals that jointly have a level of 95% (Bonferroni).

    With 95% confidence, all of the intervals contain the true values that are estimated.

    Args:
        errors: standard error of each estimate, clustered by user or by film, since the ratings of one user or one film
            are correlated.
    """
    return errors * norm.ppf(1 - 0.025 / len(errors))


def row_of_largest(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Return the row of the frame for which `values`, one per row, is largest; NaN is ignored."""
    return rows.iloc[int(np.nanargmax(values))]
