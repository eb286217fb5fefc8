"""Measures predictions of the held-out ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.data.dataset import Holdout
from recsys.evaluation.measurements import Measurements
from recsys.metrics.ratings import rating_metrics


def measure_ratings(predicted: np.ndarray, holdout: Holdout) -> Measurements:
    """Compute metrics of predicted ratings per query, per rating, and pooled over all ratings.

    Args:
        predicted: float32 (n,) prediction of each held-out rating, in the holdout's order.
        holdout: the held-out ratings.

    Returns:
        Per query and over all ratings, the metrics of `rating_metrics`; per rating, the squared error `mse` and the
        absolute error `mae`. `top` has no columns.
    """
    held_out = holdout.ratings
    rows, one_group = holdout.relevant(np.arange(holdout.n_queries)).rows, np.zeros(len(held_out), np.int64)
    per_query = pd.DataFrame(rating_metrics(predicted, held_out.ratings, rows, holdout.n_queries))
    pooled = rating_metrics(predicted, held_out.ratings, one_group, 1)
    error = np.abs(predicted - held_out.ratings)
    per_rating = pd.DataFrame({"mse": error**2, "mae": error})
    summary = {name: value.item() for name, value in pooled.items()}
    return Measurements(per_query, per_rating, summary, top=np.empty((len(per_query), 0), np.int64))


def calibration(predicted: np.ndarray, actual: np.ndarray) -> pd.DataFrame:
    """Compare predicted with actual ratings, both (n,), in bins of predictions a quarter of a rating unit wide.

    Returns:
        A row for each bin that has predictions, in ascending order: its centre `stars`, the number `n` of predictions
        in it, and the mean `predicted` and `actual` ratings.
    """
    pairs = pd.DataFrame({"predicted": predicted, "actual": actual}, dtype=np.float64)
    bins = pairs.groupby((pairs["predicted"] * 4).round() / 4)
    return bins.mean().assign(n=bins.size())[["n", "predicted", "actual"]].rename_axis("stars").reset_index()
