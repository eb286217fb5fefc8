"""Verification of published results: a run of a study is repeated, and the metrics of both are compared."""

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


def published_run(file: Path, **criteria: Any) -> pd.Series:
    """Read a finished run from the published runs of a study; of several matching ones, the fastest to train.

    Args:
        file: `runs.csv` of the study.
        **criteria: required values by column: `setting`, `row`, `seed`, ...; None matches everything.

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


@dataclass(frozen=True, eq=False)
class Verification:
    """A comparison of a published run with its repetition.

    Attributes:
        published: row of the published `runs.csv`.
        repeated: the same row, of the repetition.
        tolerance: relative difference that is allowed between platforms; on one platform results must be equal.
    """

    published: pd.Series
    repeated: pd.Series
    tolerance: float

    def differing(self, columns: Sequence[str]) -> list[str]:
        """Return the columns, among those given, in which the two runs differ."""
        return [name for name in columns if str(self.published.get(name)) != str(self.repeated.get(name))]

    @property
    def agrees(self) -> bool:
        """Whether both runs used the same data and split, and all metrics agree."""
        return not self.differing(SOURCE) and bool(self.frame()["agree"].all())

    def frame(self) -> pd.DataFrame:
        """Return the columns `published`, `repeated` and `agree`, a row for each metric."""
        metrics = [name for name in self.published.index if "/" in name and self.published[name] != ""]
        frame = pd.DataFrame({"published": self.published[metrics], "repeated": self.repeated.reindex(metrics)}).astype(
            float
        )
        allowed = (self.tolerance if self.differing(PLATFORM) else 0.0) * frame["published"].abs()
        return frame.assign(agree=(frame["published"] - frame["repeated"]).abs() <= allowed)

    def sentences(self) -> list[str]:
        """Report the verdict and its criterion."""
        if differing := self.differing(SOURCE):
            return [f"The results are not comparable: {' and '.join(differing)} differ from the published run."]
        frame, platform = self.frame(), self.differing(PLATFORM)
        criterion = f"within {self.tolerance:.0%}, since {', '.join(platform)} differ" if platform else "to the digit"
        if self.differing(["code"]):
            criterion += ", though the code has changed since"
        disagreeing = frame.index[~frame["agree"]]
        name = ", ".join(f"{key} {self.published[key]}" for key in RUN_KEY if self.published[key] != "")
        if disagreeing.empty:
            return [f"The results agree {criterion}: {len(frame)} metrics of {name}."]
        lines = [
            f"  {key}: {frame['published'][key]:.6f} published, {frame['repeated'][key]:.6f} repeated"
            for key in disagreeing
        ]
        return [f"{len(disagreeing)} of {len(frame)} metrics of {name} do not agree {criterion}:", *lines]
