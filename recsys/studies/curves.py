"""Training curves that the logger of a run has stored."""

from __future__ import annotations

import logging

import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

from recsys.files import read_csv
from recsys.studies.runs import Run

EPOCH = "train/epoch"

logging.getLogger("tensorboard").setLevel(logging.WARNING)  # it logs the end of each file


def learning_curve(run: Run, metric: str) -> pd.Series:
    """Return a run's values of a validation metric, indexed by the number of trained epochs, from 1.

    The series is empty if the run did not log the metric.
    """
    scalars = logged_scalars(run)
    name = next((name for name in (f"curves/valid/{metric}", f"valid/{metric}") if name in scalars), None)
    if name is None or EPOCH not in scalars:
        return pd.Series(dtype=float)
    curve = scalars[[EPOCH, name]].dropna().drop_duplicates(EPOCH, keep="last")  # a resumed run repeats an epoch
    return curve.set_index(curve[EPOCH].astype(int) + 1)[name]


def logged_scalars(run: Run) -> pd.DataFrame:
    """Read the scalars that a run logged: a row for each step, a column for each scalar.

    The frame is empty if the run has neither CSV nor TensorBoard files.
    """
    csv = run.directory / "csv" / "metrics.csv"
    if csv.is_file():
        return read_csv(csv, ["step"], dtype=float).groupby("step").last()
    if not (run.directory / "tensorboard").is_dir():
        return pd.DataFrame()
    events = EventAccumulator(str(run.directory / "tensorboard"), size_guidance={SCALARS: 0})
    events.Reload()
    scalars = {tag: events.Scalars(tag) for tag in events.Tags()[SCALARS]}
    return pd.DataFrame({tag: pd.Series({each.step: each.value for each in curve}) for tag, curve in scalars.items()})
