"""The metrics of one task, ranking items or predicting ratings, at every level of aggregation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd


class Measurements(NamedTuple):
    """Metrics of one task on one holdout.

    Attributes:
        per_query: a row for each query of the holdout and a column for each metric.
        per_rating: a row for each held-out rating and a column for each metric.
        summary: the value of each metric over all queries.
        top: int64 (n_queries, k) lists of the largest length, padded with -1; no columns if nothing is ranked.
    """

    per_query: pd.DataFrame
    per_rating: pd.DataFrame
    summary: dict[str, float]
    top: np.ndarray
