"""What a run's logger kept of its training, read back."""

from __future__ import annotations

import logging

import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

from recsys.studies.runs import Run

EPOCH = "train/epoch"

logging.getLogger("tensorboard").setLevel(logging.WARNING)  # it tells of the end of each file


def learning_curve(run: Run, metric: str) -> pd.Series:
    """A metric on validation by epochs trained, from 1; empty where the run's logger kept none."""
    logged, wanted = logged_scalars(run), f"valid/{metric}"
    if not {EPOCH, wanted} <= set(logged):
        return pd.Series(dtype=float)
    curve = logged[[EPOCH, wanted]].dropna().drop_duplicates(EPOCH, keep="last")  # an epoch that a resumed run repeats
    return curve.set_index(curve[EPOCH].astype(int) + 1)[wanted]


def logged_scalars(run: Run) -> pd.DataFrame:
    """A row for each step at which something was logged, a column for each curve; empty without TensorBoard or CSV."""
    table = run.directory / "csv" / "metrics.csv"
    if table.is_file():
        return pd.read_csv(table).groupby("step").last()
    events = EventAccumulator(str(run.directory / "tensorboard"), size_guidance={SCALARS: 0})
    if not (run.directory / "tensorboard").is_dir():
        return pd.DataFrame()
    events.Reload()
    curves = {tag: events.Scalars(tag) for tag in events.Tags()[SCALARS]}
    return pd.DataFrame({tag: pd.Series({each.step: each.value for each in curve}) for tag, curve in curves.items()})
