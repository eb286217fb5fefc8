"""Measurement of predictions of the held-out ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.data.dataset import Holdout
from recsys.evaluation.measurements import Measurements
from recsys.metrics.ratings import rating_metrics


def measure_ratings(predicted: np.ndarray, holdout: Holdout) -> Measurements:
    """Measure predicted ratings, per query, per rating and pooled over all ratings.

    Args:
        predicted: float32 (n,) prediction of each held-out rating, in the holdout's order.
        holdout: the held-out ratings.

    Returns:
        The metrics of `rating_metrics`, and of each rating the squared and the absolute error, `mse` and `mae`; no
        lists.
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
    """Compare predicted with actual ratings, both (n,), in bins of a quarter of a rating unit.

    Returns:
        A row for each bin with predictions, in ascending order: `stars` (its centre), `n` (their number), and the means
        `predicted` and `actual`.
    """
    pairs = pd.DataFrame({"predicted": predicted, "actual": actual}, dtype=np.float64)
    bins = pairs.groupby((pairs["predicted"] * 4).round() / 4)
    return bins.mean().assign(n=bins.size())[["n", "predicted", "actual"]].rename_axis("stars").reset_index()
