"""Rating scales: guesses the range of ratings if no setting gives it, and derives the possible values of a rating."""

from __future__ import annotations

import duckdb
import numpy as np

from recsys.data.dataset import Dataset

STEPS = (1.0, 0.5, 0.25, 0.2, 0.1)
# Common scales, a narrower one before those that contain it.
SCALES = ((0.0, 1.0), (1.0, 5.0), (0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.5, 10.0), (0.0, 10.0), (0.0, 100.0))


def rating_values(dataset: Dataset) -> tuple[float, ...]:
    """Return the possible values of a rating, ascending, from the lowest to the highest of the data set's scale.

    The values are equally spaced. The step between them is the largest step in `STEPS` of which the lowest value
    and all ratings are multiples; if there is no such step, it is 0.5.
    """
    low, high = dataset.scale
    in_hundredths = np.rint(100 * np.append(dataset.ratings, low)).astype(int)  # low may be unused
    step = next((step for step in STEPS if not np.any(in_hundredths % (100 * step))), 0.5)
    return tuple(np.arange(low, high + step / 2, step).round(2).tolist())


def guessed_scale(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """Guess the scale of the ratings in the table `raw_ratings`; see `scale_of`.

    Rows that lack an id or a finite rating are ignored.
    """
    number = "try_cast(rating AS FLOAT)"
    sql = f"SELECT min({number}), max({number}) FROM raw_ratings "  # noqa: S608 - a constant
    sql += f"WHERE isfinite({number}) AND user_id IS NOT NULL AND movie_id IS NOT NULL"
    return scale_of(*connection.execute(sql).fetchall()[0])


def scale_of(lowest: float | None, highest: float | None) -> tuple[float, float]:
    """Return the first scale in `SCALES`, a list of common ones, that contains all ratings, or else the ratings' range.

    If all ratings are 1, they only record interactions, and the scale is (1, 1). It is also (1, 1) if there are no
    ratings.

    Args:
        lowest: the lowest rating, or None if there is no rating.
        highest: the highest rating, or None if there is no rating.
    """
    if lowest is None or highest is None or lowest == highest == 1:
        return (1.0, 1.0)
    usual = (scale for scale in SCALES if scale[0] <= lowest and highest <= scale[1])
    return next(usual, (lowest, highest))
