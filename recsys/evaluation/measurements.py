"""The metrics of one evaluation task (ranking items or predicting ratings), per query, per rating and overall."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd


class Measurements(NamedTuple):
    """Metrics of one evaluation task (ranking items or predicting ratings) on one holdout.

    Attributes:
        per_query: a row for each query of the holdout and a column for each metric.
        per_rating: a row for each held-out rating and a column for each metric.
        summary: the value of each metric over all queries.
        top: int64 (n_queries, k) item codes of the list for each query, where k is the largest list length, padded with
            -1; no columns if no items are ranked.
    """

    per_query: pd.DataFrame
    per_rating: pd.DataFrame
    summary: dict[str, float]
    top: np.ndarray
