"""Averages of metrics over slices, which are groups of queries by user or of held-out ratings by item.

Users are grouped by properties such as age, and items by properties such as genre.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from recsys.data.dataset import Holdout
from recsys.evaluation.cold_queries import kinds

N_BANDS = 4  # of activity and of popularity


def slice_averages(holdout: Holdout, per_query: pd.DataFrame, per_rating: pd.DataFrame) -> pd.DataFrame:
    """Average metrics over slices of users and of items.

    Args:
        holdout: the evaluated holdout; its data frames of users and items define the slices.
        per_query: a row of metrics for each query of the holdout.
        per_rating: a row of metrics for each held-out rating.

    Returns:
        A row for each slice: the property that defines it (`slice`), the `value` of this property, the number `n` of
        its queries or held-out ratings, and the mean of each metric. Queries are grouped by `activity` (bands of
        the length of the history) and by the user's `age`, `gender` and `segment`. Held-out ratings are grouped by the
        item's `popularity` (bands of the number of training ratings), `decade` and `genre` and, if the holdout
        separates cold queries, by `query` (see `cold_queries.kinds`). Properties missing in the frames are left out.
    """
    known, users, items = holdout.known, holdout.query_users, holdout.ratings.items
    user_frame, item_frame = known.user_frame, known.item_frame
    frames = [_averages("activity", quantile_bands(holdout.history_lengths), per_query)]
    for name, column in (("age", "age_group"), ("gender", "gender"), ("segment", "segment")):
        if column in user_frame:
            frames.append(_averages(name, user_frame[column].array[users], per_query))
    frames.append(_averages("popularity", quantile_bands(known.item_counts[items]), per_rating))
    if "year" in item_frame:
        decades = (item_frame["year"] // 10 * 10).map("{:.0f}s".format, na_action="ignore")
        frames.append(_averages("decade", decades.array[items], per_rating))
    if "genres" in item_frame:
        # An item with two genres is in both slices.
        genres = item_frame["genres"].iloc[items].reset_index(drop=True).explode()
        frames.append(_averages("genre", genres.array, per_rating.iloc[genres.index]))
    if holdout.separates_cold:
        frames.append(_averages("query", kinds(holdout), per_rating))
    return pd.concat(frames, ignore_index=True)


def quantile_bands(counts: np.ndarray) -> pd.Categorical[str]:
    """Assign each of n counts to one of at most `N_BANDS` bands, which hold about equally many counts.

    The bands are named by their smallest and largest count, such as `20-35`.
    """
    lowest = np.unique(np.quantile(counts, np.arange(N_BANDS) / N_BANDS, method="inverted_cdf"))
    band = np.searchsorted(lowest, counts, side="right") - 1
    names = [f"{counts[band == i].min()}-{counts[band == i].max()}" for i in range(len(lowest))]
    return pd.Categorical.from_codes(band, pd.Index(names), ordered=True)


def _averages(name: str, labels: Any, values: pd.DataFrame) -> pd.DataFrame:
    """Average each column of a frame over the rows with equal labels.

    Args:
        name: property that the labels are values of, such as `genre`.
        labels: (n,) label of each row of `values`.
        values: n rows with a column for each metric.

    Returns:
        A row for each label: `name` as `slice`, the label as `value` (`unknown` for missing labels), the number `n` of
        its rows, and the mean of each column.
    """
    groups = values.groupby(pd.CategoricalIndex(labels), observed=True, dropna=False)
    frame = groups.mean()
    frame.insert(0, "n", groups.size())
    frame.insert(0, "value", ["unknown" if pd.isna(label) else str(label) for label in frame.index])
    frame.insert(0, "slice", name)
    return frame
