"""Draws the sample of test ratings on which a tree ensemble is inspected, with features and predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import root_mean_squared_error

from recsys.data.dataset import Holdout
from recsys.data.query import Pairs
from recsys.evaluation.slices import quantile_bands
from recsys.models.rating_trees import RatingTrees

MAX_RATINGS = 5000  # largest number of ratings; a random sample is drawn if the test has more


@dataclass(frozen=True, eq=False)
class Intervals:
    """Prediction intervals of m ratings.

    Attributes:
        level: share of ratings that should be within their intervals, such as 0.9.
        low: float32 (m,) lower ends in stars.
        high: float32 (m,) upper ends in stars.
    """

    level: float
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample of m held-out ratings, with their features and the predictions of a model.

    Attributes:
        frame: features, a row for each rating.
        groups: the columns of each group of features, keyed by the name of the group; empty groups are left out.
        ratings: float32 (m,) the ratings, in stars.
        predicted: float32 (m,) predicted ratings in stars, clipped to the scale.
        intervals: prediction intervals of the ratings, or None if the model computes none.
        bands: the ratings grouped into bands in two ways, (m,) each: by the number of known ratings of the user (key
            `user`), and by the number of known ratings of the film (key `film`).
        scale: lowest and highest possible rating in stars.
    """

    frame: pd.DataFrame
    groups: dict[str, list[str]]
    ratings: np.ndarray
    predicted: np.ndarray
    intervals: Intervals | None
    bands: dict[str, pd.Categorical[str]]
    scale: tuple[float, float]

    @property
    def rmse(self) -> float:
        """Return the root mean squared error of the predicted ratings, in stars."""
        return root_mean_squared_error(self.ratings, self.predicted)


def draw_sample(model: RatingTrees, holdout: Holdout, seed: int) -> Sample:
    """Draw up to `MAX_RATINGS` held-out ratings at random, and compute their features and a model's predictions.

    Args:
        model: fitted tree ensemble.
        holdout: held-out ratings, and the known ratings from which they are predicted.
        seed: seed of the draw.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(holdout.ratings))[:MAX_RATINGS])
    held_out, known = holdout.ratings.select(drawn), holdout.known
    query_of_rating = holdout.relevant(np.arange(holdout.n_queries)).rows
    queries, rows = np.unique(query_of_rating[drawn], return_inverse=True)
    pairs = Pairs(holdout.query(queries), rows, held_out.items, held_out.times)
    return Sample(
        frame=model.feature_frame(pairs),
        groups={name: columns for name, columns in model.feature_names(pairs).items() if columns},
        ratings=held_out.ratings,
        predicted=model.predict(pairs),
        intervals=None if model.interval is None else Intervals(model.interval, *model.predict_intervals(pairs)),
        bands={
            "user": quantile_bands(known.user_counts[held_out.users]),
            "film": quantile_bands(known.item_counts[held_out.items]),
        },
        scale=known.scale,
    )
