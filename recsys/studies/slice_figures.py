"""Figures of a study's results by slice: a group of users (by activity, for example) or of items (such as a genre)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill, shorten

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.files import read_csv, reading
from recsys.metrics.direction import sign
from recsys.studies.outcome import Outcome, complete_runs

MAX_SLICES = 10  # per figure
MAX_LONG_LABELS = 5  # slices whose labels fit horizontally
ROW_WIDTH, SLICE_WIDTH = 22, 20  # characters of the names of rows, in lines, and of slanted names of slices, cut off
BANDED = ("activity", "popularity")  # slices by number of ratings; their bounds differ between variants
SLICES = {
    "activity": "known ratings of the user",
    "segment": "the user's segment",
    "popularity": "known ratings of the film",
    "genre": "the film's genre",
}
OF_ITEMS = ("popularity", "genre")
ITEM_METRICS = {"ndcg": "dcg", "hr": "recall", "rmse": "mse"}  # the counterparts of user metrics in slices of items


def slice_figures(metric: str, by_row: Mapping[str, Sequence[Outcome]]) -> Iterator[tuple[str, str, Figure]]:
    """Draw a heat map for each kind of slice, with a row for each model and a column for each slice.

    The cells are shaded by how far they are above or below the mean of their column.

    Args:
        metric: main metric of the study's setting.
        by_row: outcomes of each model, by its row in the study's table, the best first.

    Yields:
        File name, title and figure of each heat map.
    """
    if is_of_a_group(metric):
        return  # the size of a slice counts all of its users
    frames = {row: [_read_slices(run.directory) for _, run in complete_runs(own)] for row, own in by_row.items()}
    base, at, rest = metric.partition("@")
    for kind, description in SLICES.items():
        slice_metric = f"{ITEM_METRICS.get(base, base)}{at}{rest}" if kind in OF_ITEMS else metric
        means_by_row = {row: slice_means(own, kind, slice_metric) for row, own in frames.items()}
        means_by_row = {row: means for row, means in means_by_row.items() if len(means) > 1}
        if kind == "segment" and len({frozenset(own.index) for own in means_by_row.values()}) > 1:
            continue  # rows that find segments of their own have none in common
        if means_by_row:
            slices = next(iter(means_by_row.values())).nlargest(MAX_SLICES, "n")
            slices = slices.sort_index() if kind in BANDED else slices
            means = pd.DataFrame({row: own["mean"].reindex(slices.index) for row, own in means_by_row.items()}).T
            values, name = (means**0.5, "rmse") if slice_metric == "mse" else (means, slice_metric)
            yield f"slices_{kind}", f"{name} by {description}", _heat_map(values, slices, kind, metric)


def is_of_a_group(metric: str) -> bool:
    """Return whether a metric covers only the users with a history, or only those without."""
    return metric.endswith("_history")


def slice_means(frames: Sequence[pd.DataFrame], kind: str, metric: str) -> pd.DataFrame:
    """Average a metric over runs, in each slice of one kind.

    Args:
        frames: `slices.csv` of each run, with a further column `place`: the position of a slice within its kind.
        kind: kind of slices, a key of `SLICES`.
        metric: name of the metric's column.

    Returns:
        A frame with a row for each slice. Its columns are the slice's name `value` (`band 1`, ... where bounds differ
        between runs), the mean number `n` of its users or ratings, and the `mean` of the metric. The frame is empty if
        a run lacks the metric or slices of this kind.
    """
    if not all(metric in frame and (frame["slice"] == kind).any() for frame in frames):
        return pd.DataFrame()
    own = pd.concat([frame[["slice", "place", "value", "n", metric]] for frame in frames]).query("slice == @kind")
    groups = own.assign(mean=own[metric]).groupby("place" if kind in BANDED else "value", sort=False)
    means = groups.agg(n=("n", "mean"), mean=("mean", "mean"), n_names=("value", "nunique"), value=("value", "first"))
    bands = "band " + pd.Series(np.arange(1, 1 + len(means)), means.index).astype(str)
    return means.assign(value=means["value"].where(means["n_names"] == 1, bands)).dropna(subset="mean")


def _read_slices(directory: Path) -> pd.DataFrame:
    file = directory / "slices.csv"
    frame = read_csv(file, ["slice", "value"], keep_default_na=False, na_values=[""])  # a genre may be called None
    with reading(file):
        numbers = frame.columns.drop(["slice", "value"])
        places = frame.groupby("slice").cumcount().rename("place")
        return pd.concat([frame.astype(dict.fromkeys(numbers, float)), places], axis=1)


def _heat_map(values: pd.DataFrame, slices: pd.DataFrame, kind: str, metric: str) -> Figure:
    """Draw a frame of values, with a row for each model and a column for each slice, whose label shows its size."""
    rows = [fill(row, ROW_WIDTH) for row in values.index]
    is_dense = len(slices) > MAX_LONG_LABELS
    fig, ax = figures.subplots(charts.height_of("\n".join(rows).count("\n") + 1) + (1.2 if is_dense else 0.8))
    relative = (values / values.mean() - 1).fillna(0) * sign(metric)
    limit = max(0.01, float(np.quantile(relative.abs(), 0.9)))
    digits, separator = (3, " ") if is_dense else (4, "\n")
    digits -= is_dense and bool((values >= 1).any(axis=None))  # as wide as values below 1, which lack their zero
    texts = [
        ["" if np.isnan(value) else f"{value:.{digits}f}".lstrip("0") for value in row] for row in values.to_numpy()
    ]
    names = [shorten(value, SLICE_WIDTH, placeholder="…") if is_dense else value for value in slices["value"]]
    labels = [f"{name}{separator}({n:,.0f})" for name, n in zip(names, slices["n"], strict=True)]
    charts.heatmap(ax, relative.to_numpy(), rows, labels, texts, figures.BELOW_ABOVE, (-limit, limit))
    if is_dense:
        ax.set_xticks(ax.get_xticks(), labels, rotation=40, ha="left", rotation_mode="anchor")
    unit = "ratings" if kind in OF_ITEMS else "users"
    figures.note_below(fig, f"blue: better than the column's mean\norange: worse; in brackets: {unit}")
    return fig
