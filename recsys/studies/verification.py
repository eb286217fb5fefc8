"""Whether a run made again gives the figures that a study has kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.errors import UserError

NAMES = ["setting", "variant", "row", "seed"]  # of a run, in a study
PLATFORM = ["machine", "threads", "torch", "numpy"]  # where the same code gives the same digits
SOURCE = ["data", "split", "code"]  # what a run is made of, by digest


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
        tolerance: by which figures of another platform may differ, relative.
    """

    kept: pd.Series
    again: pd.Series
    tolerance: float

    @property
    def differing(self) -> list[str]:
        """What the two were not both made of and on."""
        return [name for name in (*SOURCE, *PLATFORM) if str(self.kept.get(name)) != str(self.again.get(name))]

    @property
    def allowed(self) -> float:
        """The relative difference within which figures agree: none on one platform, of one code and one data."""
        return self.tolerance if self.differing else 0.0

    def frame(self) -> pd.DataFrame:
        """`kept`, `again` and whether they `agree`, a row a metric."""
        metrics = [name for name in self.kept.index if "/" in name and self.kept[name] != ""]
        frame = pd.DataFrame({"kept": self.kept[metrics], "again": self.again.reindex(metrics)}).astype(float)
        apart = (frame["kept"] - frame["again"]).abs()
        return frame.assign(agree=apart <= self.allowed * frame["kept"].abs())

    def sentences(self) -> list[str]:
        """The verdict, and by what it was judged."""
        frame, differing = self.frame(), self.differing
        held_to = (
            f"within {self.allowed:.0%}, since these differ: {', '.join(differing)}" if differing else "to the digit"
        )
        disagreeing = frame.index[~frame["agree"]]
        name = ", ".join(f"{key} {self.kept[key]}" for key in NAMES if self.kept[key] != "")
        if disagreeing.empty:
            return [f"The figures agree {held_to}: {len(frame)} metrics of {name}."]
        worst = [f"  {key}: {frame['kept'][key]:.6f} kept, {frame['again'][key]:.6f} again" for key in disagreeing]
        return [f"{len(disagreeing)} of {len(frame)} metrics of {name} do not agree, held {held_to}:", *worst]
