"""Reading and cleaning of ratings by Spark: the counterpart of `recsys.data.read` and `recsys.data.clean`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from recsys.data.clean import DUPLICATE, RULES, Cleaning, check_any_left
from recsys.data.raw import Raw
from recsys.data.spark.inputs import Located, located_remote, located_table
from recsys.data.spark.interpret import numbered
from recsys.data.spark.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Content:
    """What the view `raw_ratings` contains.

    Attributes:
        n_rows: number of rows.
        has_ratings: whether any row has a rating.
        has_times: whether any row has a time.
        notes: notes on what was detected while reading.
    """

    n_rows: int
    has_ratings: bool
    has_times: bool
    notes: tuple[str, ...]


def read_ratings(tables: Tables, raw: Raw) -> Content:
    """Create the view `raw_ratings` from all files of ratings, and return what it contains.

    Notations are interpreted as in `recsys.data.interpret`, and the rows are numbered in the order of the files.

    Raises:
        UserError: a file cannot be read or interpreted.
    """
    frames: list[DataFrame] = []
    notes: list[str] = []
    n_rows = n_ratings = n_times = 0
    for located in _located(tables, raw):
        tables.store("located", located.frame)
        rows, facts, detected = numbered(tables.spark, located, raw.numeric_ids, n_rows)
        frames.append(rows)
        notes += detected
        n_rows += facts["n_rows"]
        n_ratings += facts["n_ratings"]
        n_times += facts["n_rows" if located.counts_rows else "n_times"]
    reduce(lambda rows, others: rows.unionAll(others), frames).createOrReplaceTempView("raw_ratings")
    return Content(n_rows, n_ratings > 0, n_times > 0, tuple(dict.fromkeys(notes)))


def _located(tables: Tables, raw: Raw) -> Iterator[Located]:
    if raw.remote is not None:
        yield located_remote(tables.spark, raw.remote)
    for place, table in enumerate(table for table in raw.tables if table.name == "ratings"):
        copies = tables.scratch / f"copies-{place}"
        copies.mkdir()
        yield located_table(tables.spark, table, copies)


def clean_ratings(tables: Tables, content: Content, scale: tuple[float, float], cleaning: Cleaning) -> dict[str, int]:
    """Create the view `ratings`, the clean ratings, from the views `raw_ratings` and `raw_films`.

    Args:
        tables: the views of the session, among them `raw_ratings` and `raw_films`.
        content: what `raw_ratings` contains.
        scale: lowest and highest rating of the source.
        cleaning: cleaning options.

    Returns:
        Number of dropped ratings, keyed by rule, in the order of `RULES`.

    Raises:
        UserError: no rating is left.
    """
    tables.create(
        "checked",
        "checked",
        lowest=float(scale[0]),
        highest=float(scale[1]),
        earliest=cleaning.earliest,
        keep_unknown_films=cleaning.keep_unknown_films,
        has_ratings=content.has_ratings,
        has_times=content.has_times,
    )
    dropped = dict.fromkeys(RULES, 0) | {row["rule"]: row["n_ratings"] for row in tables.rows("rejected")}
    n_checked = content.n_rows - sum(dropped.values())
    n_left = tables.replace("ratings", "latest")
    dropped[DUPLICATE] = n_checked - n_left
    if cleaning.min_rating is not None:
        n_before, n_left = n_left, tables.replace("ratings", "liked", min_rating=float(cleaning.min_rating))
        dropped["rating below the threshold"] = n_before - n_left
    core = {"user_core": cleaning.user_core, "item_core": cleaning.item_core}
    n_before = n_left + 1 if max(core.values()) > 1 else n_left
    while n_left < n_before:
        n_before, n_left = n_left, tables.replace("ratings", "core", **core)
        dropped["user or film with too few ratings"] += n_before - n_left
    check_any_left(n_left, dropped, scale)
    return dropped
