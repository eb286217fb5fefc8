"""Verification of published results: a run of a study is repeated, and the metrics of both runs are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.errors import UserError
from recsys.files import read_csv

RUN_KEY = ["setting", "variant", "row", "seed"]  # columns that identify a run of a study
PLATFORM = ["machine", "threads", "torch", "numpy", "scipy", "scikit-learn"]  # equal platforms give equal digits
SOURCE = ["data", "split"]  # fingerprints
# Allowed standard deviations over seeds: 97% of pairs of normal values differ by less, but only 86% if the deviation is
# that of three of them.
N_DEVIATIONS = 3


def published_run(file: Path, **criteria: Any) -> pd.Series:
    """Read a finished run from the published runs of a study, as a row of `runs.csv`.

    If several runs match, the one that trained fastest is returned.

    Args:
        file: `runs.csv` of the study.
        **criteria: required values by column: `setting`, `row`, `seed`, ...; None accepts every value.

    Raises:
        UserError: no run matches.
    """
    if not file.is_file():
        raise UserError(f"{file} does not exist: name a study whose runs are published, or run the study first.")
    required = {name: str(value) for name, value in criteria.items() if value is not None}
    columns = ["status", "seconds_fit", *required]
    runs = read_csv(file, columns, keep_default_na=False, dtype=dict.fromkeys(RUN_KEY, str))
    matching = runs[runs["status"] == "complete"]
    for name, value in required.items():
        matching = matching[matching[name] == value]
    if matching.empty:
        requested = " ".join(f"{name}={value}" for name, value in required.items())
        rows = ", ".join(runs["row"].unique())
        raise UserError(f"{file} has no finished run with {requested}: its rows are {rows}.")
    seconds = pd.to_numeric(matching["seconds_fit"]).fillna(0)
    return matching.iloc[int(seconds.argmin())]


def seed_deviations(file: Path, published: pd.Series) -> pd.Series:
    """Return the standard deviation of each metric over seeds, for the model and settings of a published run.

    The deviation of a metric is NaN if there is only one seed, or if the metric is the same for all seeds. Metrics of
    users without a history, for example, are often the same for all seeds; by rounding, they can still differ between
    platforms.

    Args:
        file: `runs.csv` of the study.
        published: the published run, as `published_run` returns it.
    """
    same = {name: str(published[name]) for name in ("setting", "variant", "row")}
    runs = read_csv(file, ["status", *same], keep_default_na=False, dtype=dict.fromkeys(RUN_KEY, str))
    runs = runs[runs["status"] == "complete"]
    for name, value in same.items():
        runs = runs[runs[name] == value]
    metrics = [name for name in map(str, runs) if "/" in name]
    values = runs[metrics].apply(pd.to_numeric, errors="coerce")
    return values.std().where(values.max() > values.min())


@dataclass(frozen=True, eq=False)
class Verification:
    """A comparison of a published run with its repetition.

    Attributes:
        published: the published run, a row of `runs.csv`.
        repeated: the repetition, a row with the same columns.
        deviations: standard deviation of each metric over seeds, as `seed_deviations` returns it. On another platform,
            a metric may differ by `N_DEVIATIONS` times its deviation; on the same platform, results must be equal.
        tolerance: relative difference that is allowed on another platform for metrics whose deviation is NaN.
    """

    published: pd.Series
    repeated: pd.Series
    deviations: pd.Series
    tolerance: float

    def differing(self, columns: Sequence[str]) -> list[str]:
        """Return those of the given columns in which the two runs differ."""
        return [name for name in columns if str(self.published.get(name)) != str(self.repeated.get(name))]

    @property
    def agrees(self) -> bool:
        """Return whether both runs used the same data and split, and all metrics agree."""
        return not self.differing(SOURCE) and bool(self.frame()["agree"].all())

    def frame(self) -> pd.DataFrame:
        """Return a frame with a row for each metric.

        Its columns are `published`, `repeated`, the `allowed` difference, and `agree`: whether the actual difference is
        at most the allowed one.
        """
        metrics = [name for name in self.published.index if "/" in name and self.published[name] != ""]
        frame = pd.DataFrame({"published": self.published[metrics], "repeated": self.repeated.reindex(metrics)}).astype(
            float
        )
        by_seeds = N_DEVIATIONS * self.deviations.reindex(metrics).astype(float)
        allowed = by_seeds.fillna(self.tolerance * frame["published"].abs())
        frame["allowed"] = allowed if self.differing(PLATFORM) else 0.0
        return frame.assign(agree=(frame["published"] - frame["repeated"]).abs() <= frame["allowed"])

    def sentences(self) -> list[str]:
        """Return sentences on whether the results agree, by which criterion, and how large the differences are."""
        if differing := self.differing(SOURCE):
            return [f"The results are not comparable: {_differ(differing)} from the published run."]
        frame = self.frame()
        name = ", ".join(f"{key} {self.published[key]}" for key in RUN_KEY if self.published[key] != "")
        code = ", though the code has changed since" if self.differing(["code"]) else ""
        if (frame["published"] == frame["repeated"]).all():
            return [f"The results agree to the digit{code}: {len(frame)} metrics of {name}."]
        criterion = self._criterion(frame) + code
        disagreeing = frame[~frame["agree"]]
        if disagreeing.empty:
            differences = (frame["published"] - frame["repeated"]).abs()
            largest = f"the largest difference is {differences.max():.6f}, of {differences.idxmax()}"
            return [f"The results agree {criterion}: {len(frame)} metrics of {name}; {largest}."]
        lines = [
            f"  {name}: {own['published']:.6f} published, {own['repeated']:.6f} repeated ({own['allowed']:.6f} allowed)"
            for name, own in disagreeing.iterrows()
        ]
        return [f"{len(disagreeing)} of {len(frame)} metrics of {name} do not agree {criterion}:", *lines]

    def _criterion(self, frame: pd.DataFrame) -> str:
        if not (platform := self.differing(PLATFORM)):
            return "to the digit"
        has_seeds = self.deviations.reindex(frame.index).notna().any()
        allowed = f"{N_DEVIATIONS} standard deviations of its seeds" if has_seeds else f"{self.tolerance:.0%}"
        return f"within {allowed}, since {_differ(platform)}"


def _differ(columns: Sequence[str]) -> str:
    *others, last = columns
    return f"{', '.join(others)} and {last} differ" if others else f"{last} differs"
