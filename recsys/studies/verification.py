"""Whether a run made again gives the figures that a study has kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.errors import UserError

NAMES = ["setting", "variant", "row", "seed"]  # of a run, in a study
PLATFORM = [
    "machine",
    "threads",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
]  # where the same code gives the same digits
SOURCE = ["data", "split"]  # what a run is made of, by digest


def kept_run(file: Path, **chosen: Any) -> pd.Series:
    """A run of those that a study has kept: of several that pass, the one that trained fastest.

    Args:
        file: `runs.csv` of the study.
        chosen: `setting`, `row`, `seed` and so on; None leaves it open.

    Raises:
        UserError: there is none.
    """
    if not file.is_file():
        raise UserError(f"{file} is not there: name a study that has published its runs, or make them first.")
    runs = pd.read_csv(file, keep_default_na=False, dtype=dict.fromkeys(NAMES, str))
    asked = {name: str(value) for name, value in chosen.items() if value is not None}
    passing = runs[runs["status"] == "complete"]
    for name, value in asked.items():
        passing = passing[passing[name] == value]
    if passing.empty:
        told = " ".join(f"{name}={value}" for name, value in asked.items())
        there = ", ".join(runs["row"].unique())
        raise UserError(f"{file} has no finished run with {told}: its rows are {there}.")
    seconds = pd.to_numeric(passing["seconds_fit"]).fillna(0)
    return passing.iloc[int(seconds.argmin())]


@dataclass(frozen=True, eq=False)
class Verification:
    """A kept run beside one made again.

    Attributes:
        kept: a row of `runs.csv`.
        again: the same row of the run made again.
        tolerance: by which figures of another platform may differ, relative; on one platform they may not at all.
    """

    kept: pd.Series
    again: pd.Series
    tolerance: float

    def differing(self, names: Sequence[str]) -> list[str]:
        """Those of some columns that differ."""
        return [name for name in names if str(self.kept.get(name)) != str(self.again.get(name))]

    @property
    def agrees(self) -> bool:
        """Whether both are of the same data and split, and their figures agree."""
        return not self.differing(SOURCE) and bool(self.frame()["agree"].all())

    def frame(self) -> pd.DataFrame:
        """`kept`, `again` and whether they `agree`, a row a metric."""
        metrics = [name for name in self.kept.index if "/" in name and self.kept[name] != ""]
        frame = pd.DataFrame({"kept": self.kept[metrics], "again": self.again.reindex(metrics)}).astype(float)
        apart = (frame["kept"] - frame["again"]).abs()
        allowed = self.tolerance if self.differing(PLATFORM) else 0.0
        return frame.assign(agree=apart <= allowed * frame["kept"].abs())

    def sentences(self) -> list[str]:
        """The verdict, and by what it was judged."""
        if differing := self.differing(SOURCE):
            return [f"The figures do not compare: {' and '.join(differing)} differ from those of the kept run."]
        frame, elsewhere = self.frame(), self.differing(PLATFORM)
        held_to = f"within {self.tolerance:.0%}, since {', '.join(elsewhere)} differ" if elsewhere else "to the digit"
        if self.differing(["code"]):
            held_to += ", though the code has changed since"
        disagreeing = frame.index[~frame["agree"]]
        name = ", ".join(f"{key} {self.kept[key]}" for key in NAMES if self.kept[key] != "")
        if disagreeing.empty:
            return [f"The figures agree {held_to}: {len(frame)} metrics of {name}."]
        worst = [f"  {key}: {frame['kept'][key]:.6f} kept, {frame['again'][key]:.6f} again" for key in disagreeing]
        return [f"{len(disagreeing)} of {len(frame)} metrics of {name} do not agree, held {held_to}:", *worst]
