"""Adds new items, which have no ratings yet, to a data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.describe import read_descriptions
from recsys.data.frames import typed_items
from recsys.data.metadata import Files
from recsys.data.raw import LIST_COLUMNS
from recsys.errors import UserError


def with_new_items(dataset: Dataset, path: str) -> Dataset:
    """Return a copy of a data set to which new items without ratings are added.

    Args:
        dataset: the data set; its items keep their codes, and the new items get the codes that follow.
        path: CSV or Parquet file with a row for each new item; `metadata.Files` describes the columns. Every row
            must have a title; rows without an id get one.

    Raises:
        UserError: the file cannot be read or has no rows, an item has no title, or an item has an id that the data set
            already contains.
    """
    if not Path(path).is_file():
        raise UserError(f"The file of new items must be an existing CSV or Parquet file (got {path}).")
    with duckdb.connect() as connection:
        read_descriptions(connection, Files(path).locate(Path(path).parent))
        found = connection.sql(
            "SELECT * EXCLUDE (source_row, keys, tmdb_id) REPLACE ("
            "coalesce(movie_id, 'new ' || (source_row + 1)) AS movie_id) FROM described ORDER BY source_row"
        ).df()
    if found.empty:
        raise UserError(f"{path} must have a row for each new item (got none).")
    titled = found["title"].notna().tolist()
    if not all(titled):
        raise UserError(f"Every row of {path} must have a title: row {1 + titled.index(False)} has none.")
    item_frame = pd.concat([dataset.item_frame, typed_items(found)], ignore_index=True)
    repeated = item_frame["movie_id"][item_frame["movie_id"].astype(str).duplicated()]
    if len(repeated):
        raise UserError(f"The ids of {path} must be new, or left out: {repeated.iloc[0]} already exists.")
    for column in item_frame.columns.intersection(list(LIST_COLUMNS)):
        item_frame[column] = [elements if isinstance(elements, list) else [] for elements in item_frame[column]]
    return replace(dataset, item_frame=item_frame)
