"""Outcomes of the runs that a study plans, and which of them count in its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.studies.runs import Run
from recsys.studies.study import Setting


@dataclass(frozen=True)
class Outcome:
    """A planned run that is finished, has failed, or has not been run yet.

    Attributes:
        setting: name of the setting.
        variant: values that the run takes from the lists of the setting, such as `split.fold=1`; "" if there are none.
        row: name of the row.
        seed: seed of the model.
        n_configurations: number of configurations that were compared to choose the row's settings; None if unknown.
        run: the finished run, or None.
        failure: the reason of a failure, in one sentence, or None.
    """

    setting: str
    variant: str
    row: str
    seed: int
    n_configurations: int | None
    run: Run | None = None
    failure: str | None = None

    @property
    def failure_reason(self) -> str:
        """Return the reason of a failure, with paths relative to the working directory; "" without a failure."""
        return (self.failure or "").replace(f"{Path.cwd()}/", "")


def outcomes_by_row(setting: Setting, outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Group the outcomes of a setting by row, in the order of its rows."""
    by_row: dict[str, list[Outcome]] = {row: [] for row in setting.rows}
    for outcome in outcomes:
        by_row[outcome.row].append(outcome)
    return by_row


def complete_runs(outcomes: Sequence[Outcome]) -> list[tuple[int, Run]]:
    """Return the seed and run of each outcome of a row, restricted to seeds whose variants are all finished.

    A mean over variants is comparable between seeds only if no variant is missing.
    """
    incomplete = {outcome.seed for outcome in outcomes if outcome.run is None}
    return [(each.seed, each.run) for each in outcomes if each.run is not None and each.seed not in incomplete]
