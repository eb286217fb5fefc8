"""Conformal prediction intervals: how far a rating can be from its prediction, learned from out-of-fold errors.

Intervals are wider where errors are larger, as in Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-Free
Predictive Inference for Regression", JASA 2018. Errors are out-of-fold, as in Vovk, "Cross-conformal predictors",
Annals of Mathematics and Artificial Intelligence 2015, so that all ratings can be used both to train the model and to
calibrate the intervals.

The intervals contain the given share of new ratings if these, and their features, have the same distribution as in the
calibration. Later ratings can have another distribution. Features can too: the features of an unseen rating are
computed from all training ratings, but the features of a training rating only from the other folds.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone

from recsys.progress_bar import ProgressBar

MIN_SPREAD = 0.05  # in rating units; no user rates so consistently that a smaller error can be expected


class Margins:
    """Learns half-widths of prediction intervals that contain a given share of ratings.

    Args:
        share: share of ratings that the intervals must contain, above 0 and below 1.

    Attributes:
        spread: regressor that predicts the absolute error of a prediction, in rating units.
        factor: factor by which the predicted absolute errors are multiplied to obtain half-widths.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def fit(self, estimator: Any, frame: pd.DataFrame, ratings: np.ndarray, fold_of: np.ndarray) -> Self:
        """Learn to predict absolute errors, then find the factor with which the intervals contain the given share.

        Args:
            estimator: a scikit-learn regressor. Clones of it are fitted, some to ratings and some to absolute errors.
            frame: features, a row for each of n ratings.
            ratings: float (n,) ratings.
            fold_of: int (n,) fold of each rating, from 0. The error of a rating is computed with a clone that was
                fitted to the other folds.
        """
        errors = np.abs(ratings - _out_of_fold(estimator, frame, ratings, fold_of, "errors"))
        expected = np.maximum(_out_of_fold(estimator, frame, errors, fold_of, "spread of errors"), MIN_SPREAD)
        self.spread: RegressorMixin = clone(estimator).fit(frame, errors)
        scores = np.sort(np.append(errors / expected, np.inf))  # a new rating adds one score of unknown size
        self.factor = scores[int(np.ceil(self.share * len(scores))) - 1]
        return self

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Return half-widths for m rows of features, float64 (m,), in rating units.

        They are infinite if `fit` had too few ratings to reach the share.
        """
        return self.factor * np.maximum(self.spread.predict(frame), MIN_SPREAD)


def _out_of_fold(
    estimator: Any, frame: pd.DataFrame, targets: np.ndarray, fold_of: np.ndarray, description: str
) -> np.ndarray:
    """Predict each target with a clone of the estimator that was fitted to the other folds, float64 (n,).

    The description labels the progress bar.
    """
    predicted = np.empty(len(targets))
    for fold in ProgressBar(np.unique(fold_of), desc=description):
        held_out = fold_of == fold
        predicted[held_out] = clone(estimator).fit(frame[~held_out], targets[~held_out]).predict(frame[held_out])
    return predicted
