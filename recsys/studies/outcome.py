"""Outcomes of the runs that a study plans, and which of them count in its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.studies.runs import Run
from recsys.studies.study import Setting


@dataclass(frozen=True)
class Outcome:
    """A planned run of a study, which is finished, has failed, or has not been executed yet.

    Attributes:
        setting: name of the setting (data, split and protocol).
        variant: the run's value of each key for which the setting lists several values, such as `split.fold=1`; "" if
            there are no such keys.
        row: name of the row (a model with its configuration).
        seed: seed of the model.
        n_configurations: number of configurations that were compared to choose the model's hyperparameters; None if
            unknown.
        run: the finished run; None if there is none.
        failure: the reason why the run failed, in one sentence; None if it did not fail.
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
        """Return the reason why the run failed, with paths relative to the working directory; "" if it did not fail."""
        return (self.failure or "").replace(f"{Path.cwd()}/", "")


def outcomes_by_row(setting: Setting, outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Group the outcomes of a setting by row (model), in the order of the setting's table."""
    by_row: dict[str, list[Outcome]] = {row: [] for row in setting.rows}
    for outcome in outcomes:
        by_row[outcome.row].append(outcome)
    return by_row


def complete_runs(outcomes: Sequence[Outcome]) -> list[tuple[int, Run]]:
    """Return (seed, run) for each finished run of a model, except for seeds with an unfinished variant.

    A mean over variants, such as folds, is comparable between seeds only if no variant is missing.

    Args:
        outcomes: all outcomes of the model in one setting.
    """
    incomplete = {outcome.seed for outcome in outcomes if outcome.run is None}
    return [(each.seed, each.run) for each in outcomes if each.run is not None and each.seed not in incomplete]
