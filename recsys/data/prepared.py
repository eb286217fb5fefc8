"""Prepared data sets, which are loaded from clean tables in the cache, and the reports on their preparation."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from recsys.counted import counted
from recsys.data.clean import PLAYS
from recsys.data.dataset import Dataset
from recsys.data.frames import typed_items, typed_users
from recsys.data.metadata import Match
from recsys.data.quoting import parquet_files
from recsys.data.seals import REMOVE, check_seal
from recsys.errors import UserError


@dataclass(frozen=True)
class Report:
    """The report on the preparation of a data set, which is stored in the file `report.json`.

    Attributes:
        name: name of the data set.
        origin: path or address from which the source's files were read, as text.
        fingerprint: digest of the files, of how they are read, of the cleaning options and of the SQL.
        scale: lowest and highest possible rating; (1, 1) if the source has only interactions without ratings.
        rows_read: number of ratings in the source.
        dropped: number of dropped ratings, keyed by cleaning rule.
        rows_kept: number of clean ratings, that is, ratings left after cleaning.
        users: number of users with clean ratings.
        films: number of items with clean ratings.
        films_untitled: number of items with clean ratings but without a title.
        first_time: time of the earliest clean rating, a Unix time in seconds, or None if the source has no times.
        last_time: time of the latest clean rating, a Unix time in seconds, or None if the source has no times.
        part_names: names of the parts of the source's own partition, such as train and test; empty if there is none.
        sources: number of clean ratings, keyed by the name of the source; empty unless several sources are gathered.
        described_again: numbers of users and of items (keys `users` and `films`) that more than one gathered source
            describes.
        read_as: notes on what was detected while reading, one sentence each.
        unused: number of unused rows in the tables of users, items, links, tags and negatives, keyed by table, then by
            reason.
    """

    name: str
    origin: str
    fingerprint: str
    scale: tuple[float, float]
    rows_read: int
    dropped: dict[str, int]
    rows_kept: int
    users: int
    films: int
    films_untitled: int
    first_time: int | None
    last_time: int | None
    part_names: tuple[str, ...]
    sources: dict[str, int] = field(default_factory=dict)
    described_again: dict[str, int] = field(default_factory=dict)
    read_as: tuple[str, ...] = ()
    unused: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def density(self) -> float:
        """Return the share of all user-item pairs that have a rating, from 0 to 1."""
        return self.rows_kept / (self.users * self.films)

    @property
    def losses(self) -> str:
        """Return as text how many ratings each cleaning rule dropped; "" if none were dropped."""
        by_rule = [f"{n:,} by '{rule}'" for rule, n in self.dropped.items() if n]
        n_dropped, n_read = self.rows_read - self.rows_kept, counted(self.rows_read, "rating")
        return f"cleaning dropped {n_dropped:,} of {n_read}: {', '.join(by_rule)}" if by_rule else ""

    @property
    def unused_rows(self) -> str:
        """Return `unused` as text; "" if all rows are used."""
        counted = (f"{n:,} of {table} by '{rule}'" for table, rules in self.unused.items() for rule, n in rules.items())
        listed = ", ".join(counted)
        return f"rows that are not used: {listed}" if listed else ""

    @property
    def span(self) -> str:
        """Return the dates (UTC) of the earliest and latest ratings as text; "no times" if the source has no times."""
        if self.first_time is None or self.last_time is None:
            return "no times"
        first, last = (datetime.fromtimestamp(t, UTC) for t in (self.first_time, self.last_time))
        return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


@dataclass(frozen=True)
class Prepared:
    """A data set in memory, with the report on its preparation and the files of its clean tables.

    Attributes:
        dataset: the data set.
        report: the report on its preparation.
        tables: table name (`ratings`, `users`, `films`) -> its Parquet file, or a folder of Parquet files, for SQL
            queries.
        match: numbers of items and ratings with external metadata; None if no external metadata was added.
    """

    dataset: Dataset
    report: Report
    tables: dict[str, Path]
    match: Match | None = None


def load(folder: Path, advice: str = REMOVE, users: range | None = None) -> Prepared:
    """Load a data set from a folder of clean tables that `prepare` or `saved.write_dataset` wrote.

    Ratings are read in chunks, so peak memory is little more than the memory of the arrays: 20 bytes per rating if
    there are times.

    Args:
        folder: folder of the prepared data set.
        advice: what the error message advises if the folder is damaged.
        users: range of codes of the users whose ratings are read, or None for all users. The codes and the frames of
            users and items still cover the whole data set.

    Raises:
        UserError: the folder is damaged.
    """
    report = load_report(folder, advice)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        columns: dict[str, type[np.generic]] = {"user": np.int32, "item": np.int32, "rating": np.float32}
        columns |= {"time": np.int64} if report.first_time is not None else {}
        columns |= {"part": np.int8} if report.part_names else {}
        table = connection.read_parquet(parquet_files(folder / "ratings.parquet"))
        if users is not None:  # ratings are sorted by user, so DuckDB skips most row groups of others
            table = table.filter(f'"user" >= {users.start} AND "user" < {users.stop}')
        columns |= {PLAYS: np.float32} if PLAYS in table.columns else {}
        arrays = _arrays(table, columns)
        user_frame, item_frame, negatives = (
            connection.read_parquet(parquet_files(folder / f"{name}.parquet")).df()
            for name in ("users", "films", "negatives")
        )
    n_ratings = len(arrays["user"]) if users is None else report.rows_kept
    _check_counts(folder, report, advice, ratings=n_ratings, users=len(user_frame), films=len(item_frame))
    dataset = Dataset(
        name=report.name,
        users=arrays["user"],
        items=arrays["item"],
        ratings=arrays["rating"],
        times=arrays.get("time"),
        user_frame=typed_users(user_frame),
        item_frame=typed_items(item_frame),
        scale=report.scale,
        fingerprint=report.fingerprint,
        parts=arrays.get("part"),
        part_names=report.part_names,
        negatives=_negatives(negatives, report.users),
        plays=arrays.get(PLAYS),
    )
    return Prepared(dataset, report, {name: folder / f"{name}.parquet" for name in ("ratings", "users", "films")})


def user_counts(folder: Path, advice: str = REMOVE) -> np.ndarray:
    """Return the number of ratings of each user in a prepared folder, int64 (n_users,), without loading the ratings.

    Args:
        folder: folder of the prepared data set.
        advice: what the error message advises if the folder is damaged.

    Raises:
        UserError: the folder is damaged.
    """
    counts = np.zeros(load_report(folder, advice).users, np.int64)
    with duckdb.connect() as connection:
        table = connection.read_parquet(parquet_files(folder / "ratings.parquet"))
        found = table.aggregate('"user", count(*) AS n', '"user"').fetchnumpy()
    counts[found["user"]] = found["n"]
    return counts


def load_report(folder: Path, advice: str = REMOVE) -> Report:
    """Check the digests of all files in a prepared folder, and load its report.

    Args:
        folder: folder of the prepared data set.
        advice: what the error message advises if the folder is damaged.

    Raises:
        UserError: the folder is damaged.
    """
    check_seal(folder, advice)
    stored = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    tuples = {name: tuple(stored.get(name, ())) for name in ("scale", "part_names", "read_as")}
    return Report(**stored | tuples)


def _check_counts(folder: Path, report: Report, advice: str, **found: int) -> None:
    """Check that tables have as many rows as the report states; `found` maps table names to numbers of rows.

    Raises:
        UserError: a table has more or fewer rows.
    """
    reported = {"ratings": report.rows_kept, "users": report.users, "films": report.films}
    wrong = [f"{n:,} {name} instead of {reported[name]:,}" for name, n in found.items() if n != reported[name]]
    if wrong:
        raise UserError(f"The tables in {folder} do not have the rows that its report states ({wrong[0]}): {advice}.")


def _arrays(table: duckdb.DuckDBPyRelation, columns: dict[str, type[np.generic]]) -> dict[str, np.ndarray]:
    """Read columns of a table in chunks: `columns` maps column names to dtypes, the result column names to arrays."""
    [(n_rows,)] = table.count("*").fetchall()
    arrays: dict[str, np.ndarray] = {name: np.empty(n_rows, dtype) for name, dtype in columns.items()}
    result = table.select(*columns)
    start = 0
    while len(chunk := result.fetch_df_chunk(100)):
        for name, array in arrays.items():
            array[start : start + len(chunk)] = chunk[name]
        start += len(chunk)
    return arrays


def _negatives(frame: pd.DataFrame, n_users: int) -> np.ndarray | None:
    """Return the item codes of each user's negatives, int32 (n_users, m), padded with -1; None if `frame` is empty.

    Args:
        frame: a row for each negative, with the codes `user` and `item`, and with `place`, the column of the result
            (from 0) that gets the item.
        n_users: number of users.
    """
    if frame.empty:
        return None
    negatives = np.full((n_users, frame["place"].max() + 1), -1, np.int32)
    negatives[frame["user"], frame["place"]] = frame["item"]
    return negatives
