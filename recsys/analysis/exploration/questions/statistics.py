"""Statistics that several questions compute from their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm


def joint_margins(errors: pd.Series) -> pd.Series:
    """Return half widths of intervals that jointly cover the true values of all rows with 95% confidence (Bonferroni).

    Args:
        errors: standard errors over users or films as clusters, since the ratings of one user or one film are
            correlated.
    """
    return errors * norm.ppf(1 - 0.025 / len(errors))


def row_of_largest(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Return the row with the largest value; NaN is ignored."""
    return rows.iloc[int(np.nanargmax(values))]
