"""From a study to its runs: which there are, which are done already, and in what order the others can be made."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from recsys.errors import UserError
from recsys.studies.identity import code_digest, identity
from recsys.studies.runs import MANIFEST, Run, read_failure, read_run
from recsys.studies.study import REFERENCE, Outcome, Setting, Study, listed, needs

LATER = "9999"  # than any time
SEARCH = "search"  # the directory of a row's search, below that of its runs


@dataclass(frozen=True)
class Job:
    """One run that a study asks for.

    Attributes:
        setting: the name of its setting.
        variant: what the lists of the setting give it: `split.fold=1`, or "".
        row: the name of its row.
        seed: of its model.
        overrides: of the config, without references to other runs.
        directory: where it goes, unless it lies somewhere else already.
        needs: where the runs lie that it is made of.
        n_configurations: see `Row`.
    """

    setting: str
    variant: str
    row: str
    seed: int
    overrides: Mapping[str, Any]
    directory: Path
    needs: tuple[Path, ...]
    n_configurations: int | None

    def arguments(self) -> list[str]:
        """Of train.py: choices of groups plainly, settings by force, since some are known to constructors alone."""
        return arguments({**self.overrides, "seed": self.seed})

    def outcome(self, run: Run | None) -> Outcome:
        """What became of it."""
        failure = read_failure(self.directory) if run is None else None
        return Outcome(self.setting, self.variant, self.row, self.seed, self.n_configurations, run, failure)


def arguments(overrides: Mapping[str, Any]) -> list[str]:
    """Overrides by key as a command has them."""
    return [f"{'++' if '.' in key else ''}{key}={_written(value)}" for key, value in overrides.items()]


def levels(study: Study, directory: Path, find: Callable[[Job], Run | None]) -> list[list[tuple[Job, Run | None]]]:
    """The runs of a study, with those that are done; a level needs runs of earlier ones only.

    Args:
        study: with all settings chosen.
        directory: of the study, below which its runs go.
        find: gives the finished run of a job, wherever it lies.

    Raises:
        UserError: rows need each other in a circle.
    """
    places: dict[tuple[str, str, str, int], Path] = {}
    ended: dict[Path, str] = {}  # when the run in a place ended, if it did
    made = []
    for rows in _ordered(study):
        level = []
        for setting, row in rows:
            for job in _jobs(study, setting, row, directory, places):
                run = find(job)
                if run is not None and any(ended.get(needed, LATER) > run.manifest["finished"] for needed in job.needs):
                    run = None  # what it was made of has been made anew, or has to be
                where = job.directory if run is None else run.directory
                places[setting, job.variant, row, job.seed] = where
                ended |= {} if run is None else {where: run.manifest["finished"]}
                level.append((job, run))
        made.append(level)
    return made


class Finished:
    """Finished runs below a directory, by the settings that decide what they give.

    Args:
        root: all runs below it count.
        config_of: gives every setting of a job.
    """

    def __init__(self, root: Path, config_of: Callable[[Job], Mapping[str, Any]]) -> None:
        self.config_of = config_of
        self.runs: dict[str, list[Run]] = defaultdict(list)
        for manifest in sorted(root.rglob(MANIFEST)):
            run = read_run(manifest.parent)
            self.runs[run.identity].append(run)

    def current(self, job: Job, fingerprint: str) -> Run | None:
        """The run of a job on a split, by the code as it is; the one in its own place first."""
        found = [
            run
            for run in self._all(job)
            if (run.manifest.get("code"), run.manifest["split"]["fingerprint"]) == (code_digest(), fingerprint)
        ]
        return min(found, key=lambda run: run.directory != job.directory, default=None)

    def latest(self, job: Job) -> Run | None:
        """The run of a job that ended last, whatever its code."""
        return max(self._all(job), key=lambda run: str(run.manifest["finished"]), default=None)

    def _all(self, job: Job) -> list[Run]:
        return self.runs.get(identity(self.config_of(job)), [])


def variants(setting: Setting) -> list[dict[str, Any]]:
    """Every combination of the values that a setting lists, as overrides."""
    keys = list(setting.overrides)
    return [dict(zip(keys, values, strict=True)) for values in product(*map(listed, setting.overrides.values()))]


def to_search(study: Study) -> list[tuple[str, str]]:
    """Names of setting and row where something is to be chosen by a search."""
    return [
        (name, row)
        for name, setting in study.settings.items()
        for row, own in setting.rows.items()
        if own.search and (study.search or not own.search.keys() <= own.overrides.keys())
    ]


def with_searches(study: Study, directory: Path) -> Study:
    """The study with what its searches in a directory have chosen so far."""
    found = {}
    for name, row in to_search(study):
        best = place(directory, name, row) / SEARCH / "best.yaml"
        if best.is_file():
            chosen = (override.partition("=") for override in yaml.safe_load(best.read_text())["overrides"])
            found[name, row] = {key.lstrip("+"): yaml.safe_load(value) for key, _, value in chosen}
    return study.with_settings_found(found)


def place(directory: Path, setting: str, row: str) -> Path:
    """Where the runs of a row lie."""
    return directory / slug(setting) / slug(row)


def _ordered(study: Study) -> list[list[tuple[str, str]]]:
    """Names of setting and row; those of a level need only those of earlier ones."""
    left = {(name, row): needs(setting.rows, row) for name, setting in study.settings.items() for row in setting.rows}
    ordered = []
    while left:
        level = [key for key, needed in left.items() if not any((key[0], row) in left for row in needed)]
        if not level:
            raise UserError(f"Rows of {study.name} need each other: {', '.join(row for _, row in left)}.")
        ordered.append(level)
        left = {key: needed for key, needed in left.items() if key not in level}
    return ordered


def _jobs(
    study: Study, name: str, row: str, directory: Path, places: Mapping[tuple[str, str, str, int], Path]
) -> Iterator[Job]:
    setting = study.settings[name]
    own = setting.rows[row]
    for overrides in variants(setting):
        variant = " ".join(f"{key}={overrides[key]}" for key in setting.varied)
        for seed in own.seeds:
            lie = {}
            for needed in needs(setting.rows, row):
                seeds = setting.rows[needed].seeds
                lie[needed] = places[name, variant, needed, seed if seed in seeds else seeds[0]]
            resolved = {key: _referring(value, lie) for key, value in own.overrides.items()}
            where = place(directory, name, row) / slug(f"{variant} seed{seed}".strip())
            made_of = tuple(lie.values())
            yield Job(name, variant, row, seed, {**overrides, **resolved}, where, made_of, own.n_configurations)


def _referring(value: Any, lie: Mapping[str, Path]) -> Any:
    """A value with the places of the runs that it refers to."""
    return REFERENCE.sub(lambda reference: str(lie[reference[1]]), value) if isinstance(value, str) else value


def slug(name: str) -> str:
    """A name as that of a file or directory."""
    return re.sub(r"[^\w.=-]+", "_", name).strip("_")


def _written(value: Any) -> str:
    """A value as Hydra's grammar of overrides has it."""
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./:-]+", value) else "'" + value.replace("'", r"\'") + "'"
    return json.dumps(value)
