"""Writes in-memory data sets to disk, in the layout of prepared folders that `prepared.load` reads."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from recsys.data.clean import PLAYS
from recsys.data.columns import OWN
from recsys.data.dataset import Dataset
from recsys.data.prepared import Report
from recsys.data.quoting import quoted
from recsys.data.raw import LIST_COLUMNS
from recsys.data.seals import seal
from recsys.files import move_into_place

ITEM_COLUMNS = ("movie_id", "title", "year", "genres")  # columns of every stored table of items


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Write a data set to a folder, which is replaced if it exists; its parent folder must exist."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="saving-") as scratch:
        tables = Path(scratch) / "tables"
        tables.mkdir()
        frames = {
            "ratings": pd.DataFrame(_arrays(dataset)),
            "users": _text_ids(dataset.user_frame, "user_id", "user"),
            "films": _items(dataset.item_frame),
            "negatives": _negatives(dataset.negatives),
        }
        report = _report(dataset, n_untitled=int(frames["films"]["title"].isna().sum()))
        n_rows = max(map(len, frames.values()))
        with duckdb.connect(config={"pandas_analyze_sample": max(1, n_rows)}) as connection:
            for name, frame in frames.items():
                _write(connection, frame, tables / f"{name}.parquet")
        (tables / "report.json").write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")
        seal(tables)
        shutil.rmtree(folder, ignore_errors=True)
        move_into_place(tables, folder)


def _arrays(dataset: Dataset) -> Mapping[str, np.ndarray]:
    arrays = {
        "user": dataset.users,
        "item": dataset.items,
        "rating": dataset.ratings,
        "time": dataset.times,
        "part": dataset.parts,
        PLAYS: dataset.plays,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def _items(item_frame: pd.DataFrame) -> pd.DataFrame:
    missing = {column: None for column in ITEM_COLUMNS if column not in item_frame}
    return _text_ids(item_frame.assign(**missing), "movie_id", "item")


def _text_ids(frame: pd.DataFrame, ids: str, code: str) -> pd.DataFrame:
    """Convert raw ids to text, and add the prefix `OWN` to an extra column that is named like the column of codes."""
    return frame.assign(**{ids: frame[ids].astype(str)}).rename(columns={code: OWN + code})


def _negatives(negatives: np.ndarray | None) -> pd.DataFrame:
    """Return a data frame with a row for each item in `negatives`, an array like `Dataset.negatives`.

    Its columns are the codes `user` and `item`, and `place`, the column of `negatives` that has the item, from 0.
    """
    users, places = np.nonzero(np.empty((0, 0)) if negatives is None else negatives >= 0)
    items = np.empty(0, np.int32) if negatives is None else negatives[users, places]
    return pd.DataFrame({"user": users, "place": places, "item": items})


def _write(connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame, file: Path) -> None:
    lists = [column for column in frame if column in LIST_COLUMNS]
    casts = [f"CAST({quoted(column)} AS VARCHAR[]) AS {quoted(column)}" for column in lists]
    chosen = f"* REPLACE ({', '.join(casts)})" if casts else "*"
    connection.from_df(frame).project(chosen).write_parquet(str(file))


def _report(dataset: Dataset, n_untitled: int) -> Report:
    """Return a report on an in-memory data set; how many ratings cleaning dropped is unknown, so `dropped` is empty."""
    times = dataset.times
    return Report(
        name=dataset.name,
        origin="memory",
        fingerprint=dataset.fingerprint,
        scale=(float(dataset.scale[0]), float(dataset.scale[1])),
        rows_read=len(dataset),
        dropped={},
        rows_kept=len(dataset),
        users=dataset.n_users,
        films=dataset.n_items,
        films_untitled=n_untitled,
        first_time=None if times is None else int(times.min()),
        last_time=None if times is None else int(times.max()),
        part_names=dataset.part_names,
    )
