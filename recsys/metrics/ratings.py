"""Metrics of predicted ratings, computed within groups of ratings, such as all ratings of a user.

The metrics are defined in Herlocker et al., "Evaluating Collaborative Filtering Recommender Systems", TOIS 2004.
"""

from __future__ import annotations

import numpy as np

RELEVANT_RATING = 4.0  # lowest rating of a relevant item, on any scale


def rating_metrics(predicted: np.ndarray, actual: np.ndarray, groups: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Compute metrics of predicted ratings, within each group.

    RMSE and MAE are in rating units. Precision, recall and F1 judge the classification of items as relevant, that is,
    rated `RELEVANT_RATING` or higher. An undefined ratio, such as precision where no item is predicted to be relevant,
    is 0.

    Args:
        predicted: float (p,) predicted ratings.
        actual: float (p,) ratings.
        groups: int (p,) group of each rating, from 0 to n - 1; every group has at least one rating.
        n: number of groups.

    Returns:
        A float64 array (n,) for each of `rmse`, `mae`, `precision/relevant`, `recall/relevant` and `f1/relevant`.
    """

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(groups, values, minlength=n)

    error = predicted.astype(np.float64) - actual
    size = total(np.ones(len(groups)))
    relevant, positive = actual >= RELEVANT_RATING, predicted >= RELEVANT_RATING
    n_relevant, n_positive, n_true_positive = total(relevant), total(positive), total(relevant & positive)
    return {
        "rmse": np.sqrt(total(error**2) / size),
        "mae": total(np.abs(error)) / size,
        "precision/relevant": n_true_positive / np.maximum(n_positive, 1),
        "recall/relevant": n_true_positive / np.maximum(n_relevant, 1),
        "f1/relevant": 2 * n_true_positive / np.maximum(n_positive + n_relevant, 1),
    }
