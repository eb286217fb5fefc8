"""Conformal intervals: how far a rating may lie from its prediction, by how far training ratings did.

Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-Free Predictive Inference for Regression", JASA 2018, for
intervals that are wider where errors are larger; Vovk, "Cross-conformal predictors", Annals of Mathematics and
Artificial Intelligence 2015, for errors that folds make in turn, so that all ratings train the model and all tell how
sure it is. Coverage is to be expected of ratings that are drawn like those of training. Later ones may be different,
and so are their features from those of few folds.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from tqdm import tqdm

LEAST_SPREAD = 0.05  # stars: nobody rates so steadily that less error is to be expected


class Margins:
    """Half the widths of intervals that hold a given share of ratings.

    Args:
        share: of ratings, within (0, 1).
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def fit(self, learner: Any, frame: pd.DataFrame, ratings: np.ndarray, fold_of: np.ndarray) -> Self:
        """Learn how large errors are, and how much larger they turn out than expected.

        Args:
            learner: a regressor; untrained copies of it learn the ratings and then the size of errors.
            frame: features, n rows.
            ratings: float (n,) stars.
            fold_of: int (n,) from 0.
        """
        errors = np.abs(ratings - _by_other_folds(learner, frame, ratings, fold_of, "errors"))
        expected = np.maximum(_by_other_folds(learner, frame, errors, fold_of, "their spread"), LEAST_SPREAD)
        self.spread: RegressorMixin = clone(learner).fit(frame, errors)
        scores = np.sort(np.append(errors / expected, np.inf))  # a new rating has a score too, and it may be any
        self.factor = scores[int(np.ceil(self.share * len(scores))) - 1]
        return self

    def of(self, frame: pd.DataFrame) -> np.ndarray:
        """float64 (m,): of m rows of features; infinite where too few ratings were trained on."""
        return self.factor * np.maximum(self.spread.predict(frame), LEAST_SPREAD)


def _by_other_folds(
    learner: Any, frame: pd.DataFrame, targets: np.ndarray, fold_of: np.ndarray, doing: str
) -> np.ndarray:
    """float64 (n,): each target as predicted by a learner that was fitted to the other folds."""
    predicted = np.empty(len(targets))
    for fold in tqdm(np.unique(fold_of), desc=doing, disable=None):
        held_out = fold_of == fold
        predicted[held_out] = clone(learner).fit(frame[~held_out], targets[~held_out]).predict(frame[held_out])
    return predicted
