"""Data frames of users and items, with their columns converted from text to suitable types."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.data.columns import OWN
from recsys.data.raw import LIST_COLUMNS


def typed_users(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert the columns of a clean table of users to suitable types, and drop the codes and all empty columns.

    Ids become int64 if all are whole numbers. All other columns except `age` and `zip_code` become categoricals; the
    categories of age groups are ordered by age. The given frame is not changed.
    """
    frame = _without_codes(frame, "user").dropna(axis="columns", how="all").convert_dtypes()
    frame["user_id"] = _ids(frame["user_id"])
    for column in frame.columns.difference(["user_id", "age", "age_group", "zip_code"]):
        frame[column] = frame[column].astype("category")
    if {"age", "age_group"} <= {*frame.columns}:
        groups = frame.sort_values("age")["age_group"].dropna().unique()
        frame["age_group"] = pd.Categorical(frame["age_group"], groups, ordered=True)
    return frame


def typed_items(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert the columns of a clean table of items to suitable types, and drop the codes and all empty columns.

    Ids become int64 if all are whole numbers, and years become Int16. Unknown metadata are missing values or, in
    columns of lists, empty lists. The columns `title`, `year` and `genres` exist even if they are empty. The given
    frame is not changed.
    """
    core = ["movie_id", "title", "year", "genres"]
    frame = _without_codes(frame, "item")
    others = [column for column in frame if column not in core and frame[column].notna().any()]
    frame = frame[core + others].convert_dtypes()
    frame["movie_id"] = _ids(frame["movie_id"])
    frame["title"] = frame["title"].astype("string")
    frame["year"] = frame["year"].astype("Int16")
    for column in frame.columns.intersection(list(LIST_COLUMNS)):
        frame[column] = [list(elements) if isinstance(elements, np.ndarray) else [] for elements in frame[column]]
    return frame


def _without_codes(frame: pd.DataFrame, code: str) -> pd.DataFrame:
    """Drop the column with the name `code`, and rename the extra column `OWN + code`, if there is one, to `code`."""
    return frame.drop(columns=code, errors="ignore").rename(columns={OWN + code: code})


def _ids(ids: pd.Series) -> pd.Series:
    """Convert ids to int64 if all are whole numbers in plain notation; otherwise leave all as text."""
    try:
        numbers = ids.astype("int64")
    except (ValueError, OverflowError):
        return ids
    return numbers if (numbers.astype(str) == ids).all() else ids
