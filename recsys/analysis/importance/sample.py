"""The sample of test ratings on which a tree ensemble is inspected, with the model's features and predictions."""

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
    """Prediction intervals of ratings.

    Attributes:
        level: share of the ratings that the intervals should contain.
        low: float32 (m,) lower ends in stars.
        high: float32 (m,) upper ends in stars.
    """

    level: float
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class Sample:
    """Held-out ratings with the features and predictions of a model.

    Attributes:
        frame: features, a row for each of m ratings.
        groups: columns of each group of features, without empty groups.
        ratings: float32 (m,) stars.
        predicted: float32 (m,) predicted stars, within the scale.
        intervals: prediction intervals, or None if the model has none.
        bands: band of each rating by the number of known ratings of its `user` and of its `film`.
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
        """Return the root mean squared error in stars."""
        return root_mean_squared_error(self.ratings, self.predicted)


def draw_sample(model: RatingTrees, holdout: Holdout, seed: int) -> Sample:
    """Draw up to `MAX_RATINGS` ratings of a holdout at random, and compute a model's features and predictions.

    Args:
        model: fitted tree ensemble.
        holdout: held-out ratings, and the ratings known before them.
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
