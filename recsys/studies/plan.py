"""The plan of a study: its runs, their directories, and an order in which each run follows the runs that it reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from recsys.dotted import quoted_value
from recsys.errors import UserError
from recsys.files import slug
from recsys.studies.outcome import Outcome
from recsys.studies.runs import Run, read_failure
from recsys.studies.study import REFERENCE, Setting, Study, as_list, row_dependencies

UNFINISHED = "9999"  # compares as later than any finishing time


@dataclass(frozen=True)
class Job:
    """One run that a study requires.

    Attributes:
        setting: name of the setting (data, split and protocol).
        variant: the run's value of each key for which the setting lists several values, such as `split.fold=1`; "" if
            there are no such keys.
        row: name of the row (a model with its configuration).
        seed: seed of the model.
        overrides: config overrides, in which references to other runs have been replaced by the directories of these
            runs.
        directory: directory of the run, unless a finished run in another directory is reused.
        dependencies: directories of the runs that this run reads.
        n_configurations: see `recsys.studies.study.Row`.
    """

    setting: str
    variant: str
    row: str
    seed: int
    overrides: Mapping[str, Any]
    directory: Path
    dependencies: tuple[Path, ...]
    n_configurations: int | None

    def arguments(self) -> list[str]:
        """Return the command-line arguments with which train.py executes the job."""
        label = " ".join(part for part in (self.row, self.variant, f"seed={self.seed}") if part)
        return override_arguments({**self.overrides, "seed": self.seed, "label": label})

    def outcome(self, run: Run | None) -> Outcome:
        """Return the outcome of the job.

        Args:
            run: the job's finished run. If it is None, the reason of a failure is read from the job's directory.
        """
        failure = read_failure(self.directory) if run is None else None
        return Outcome(self.setting, self.variant, self.row, self.seed, self.n_configurations, run, failure)


def dependency_levels(
    study: Study, directory: Path, find_run: Callable[[Job], Run | None]
) -> list[list[tuple[Job, Run | None]]]:
    """Order the jobs of a study in levels; a job depends only on jobs of earlier levels.

    Args:
        study: the study, with the hyperparameters that its searches have chosen so far.
        directory: directory of the study's runs.
        find_run: function that returns the finished run of a job, in any directory, or None.

    Returns:
        A list of (job, finished run) for each level. The run is None if the job has to be executed: it has no finished
        run, or its finished run is older than a run that it depends on.

    Raises:
        UserError: a row refers to an unknown row, or the dependencies between rows form a cycle.
    """
    directories: dict[tuple[str, str, str, int], Path] = {}
    finished: dict[Path, str] = {}  # finishing times of runs by directory
    levels = []
    for rows in _row_levels(study):
        level = []
        for setting, row in rows:
            for job in _jobs(study, setting, row, directory, directories):
                run = find_run(job)
                if run is not None and any(
                    finished.get(path, UNFINISHED) > run.manifest["finished"] for path in job.dependencies
                ):
                    run = None
                run_directory = job.directory if run is None else run.directory
                directories[setting, job.variant, row, job.seed] = run_directory
                if run is not None:
                    finished[run_directory] = run.manifest["finished"]
                level.append((job, run))
        levels.append(level)
    return levels


def variant_overrides(setting: Setting) -> list[dict[str, Any]]:
    """Return the overrides of each variant of a setting (each combination of the values that the setting lists)."""
    keys = list(setting.overrides)
    return [dict(zip(keys, values, strict=True)) for values in product(*map(as_list, setting.overrides.values()))]


def override_arguments(overrides: Mapping[str, Any]) -> list[str]:
    """Format config overrides as command-line arguments.

    A key without a dot, such as a config group, gets no prefix. A dotted key gets the prefix `++`, which also adds keys
    that are not in the config, since a config need not list every argument of a constructor. A key that begins with `~`
    removes a setting from the config, so that the constructor's default applies; its value is ignored.
    """
    return [_override_argument(key, value) for key, value in overrides.items()]


def row_directory(directory: Path, setting: str, row: str) -> Path:
    """Return the directory of the runs of one row of a study's tables (a model in one setting).

    Args:
        directory: directory of the study's runs.
        setting: name of the setting.
        row: name of the row.
    """
    return directory / slug(setting) / slug(row)


def _row_levels(study: Study) -> list[list[tuple[str, str]]]:
    """Return (name of the setting, name of the row) for all rows (models) of a study's tables, in levels.

    A row depends only on rows of earlier levels.

    Raises:
        UserError: the dependencies form a cycle.
    """
    left = {
        (name, row): row_dependencies(setting.rows, row)
        for name, setting in study.settings.items()
        for row in setting.rows
    }
    levels = []
    while left:
        level = [key for key, dependencies in left.items() if not any((key[0], row) in left for row in dependencies)]
        if not level:
            raise UserError(
                f"Rows of {study.name} must not depend on each other in a cycle "
                f"(got {', '.join(row for _, row in left)})."
            )
        levels.append(level)
        left = {key: dependencies for key, dependencies in left.items() if key not in level}
    return levels


def _jobs(
    study: Study, name: str, row: str, directory: Path, directories: Mapping[tuple[str, str, str, int], Path]
) -> Iterator[Job]:
    """Yield the jobs of one row (model) in one setting.

    Args:
        study: the study.
        name: name of the setting.
        row: name of the row.
        directory: directory of the study's runs.
        directories: (setting, variant, row, seed) -> directory of the run, for all rows that this row depends on.
    """
    setting = study.settings[name]
    own = setting.rows[row]
    for overrides in variant_overrides(setting):
        variant = " ".join(f"{key}={overrides[key]}" for key in setting.varied)
        for seed in own.seeds:
            dependencies = {}
            for dependency in row_dependencies(setting.rows, row):
                seeds = setting.rows[dependency].seeds
                dependencies[dependency] = directories[name, variant, dependency, seed if seed in seeds else seeds[0]]
            resolved = {key: _resolved(value, dependencies) for key, value in own.overrides.items()}
            path = row_directory(directory, name, row) / slug(f"{variant} seed{seed}".strip())
            paths = tuple(dependencies.values())
            yield Job(name, variant, row, seed, {**overrides, **resolved}, path, paths, own.n_configurations)


def _override_argument(key: str, value: Any) -> str:
    if key.startswith("~"):
        return key
    return f"{'++' if '.' in key else ''}{key}={_hydra_value(value)}"


def _resolved(value: Any, directories: Mapping[str, Path]) -> Any:
    """Replace references to other rows (models), such as `{GMF}`, in an override's value by their runs' directories."""
    if not isinstance(value, str):
        return value
    return REFERENCE.sub(lambda reference: str(directories[reference[1]]), value)


def _hydra_value(value: Any) -> str:
    """Write a value in Hydra's grammar of overrides."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_hydra_value(each)}' for key, each in value.items())}}}"
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./:-]+", value, re.ASCII) else quoted_value(value)
    if isinstance(value, list):  # whose texts stay text, such as '1'
        return f"[{', '.join(quoted_value(each) if isinstance(each, str) else _hydra_value(each) for each in value)}]"
    return json.dumps(value)
