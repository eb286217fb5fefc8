"""The runs of a study: `python train.py experiment=<study>`.

Searches where settings are to be chosen, makes the missing runs, and writes the report. The same command continues an
interrupted study. An override of something that the study varies (`data=`, `model=`, `seed=`, `split.fold=`) chooses
among its runs; any other (`trainer=gpu`, `data.path=DIR`) goes for all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from recsys.config.composition import resolve
from recsys.config.nodes import instantiate
from recsys.config.overrides import complete
from recsys.config.search import Search
from recsys.config.splits import Splits
from recsys.config.studies import read_study
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.files import short
from recsys.studies.plan import SEARCH, Finished, Job, arguments, levels, place, to_search, variants, with_searches
from recsys.studies.progress import Progress
from recsys.studies.run_writer import clear_marks
from recsys.studies.runs import Run, is_finished, is_interrupted, read_run
from recsys.studies.study import Outcome, Study
from recsys.studies.study_report import REPORT, print_tables, write_leakage, write_report

# Trials see validation alone, and their models have another seed than those of the final runs.
SEARCHING = {"seed": 1000, "test": False, "refit": False}

log = logging.getLogger(__name__)


class StudySweep:
    """Makes the runs of one study.

    Args:
        directory: of the runs.
        launcher: that runs jobs.
    """

    def __init__(self, directory: Path, launcher: Launcher) -> None:
        self.directory = directory
        self.launcher = launcher
        self.splits = Splits()

    def run(self, overrides: Sequence[str]) -> None:
        """Make the missing runs, and write the report.

        Args:
            overrides: of the command.

        Raises:
            UserError: before anything runs, where the study or the command is wrong or data cannot be reached;
                or at the end, where runs failed.
        """
        study, self.given = read_study(overrides)
        report = self.directory / REPORT
        write_leakage(report, self._checked(study))
        study = self._searched(study)
        outcomes = self._run(study)
        print_tables(write_report(report, study, outcomes))
        print(f"Tables and figures are in {short(report)}. Into experiments/: python -m recsys table {study.name}")
        if failed := [outcome for outcome in outcomes if outcome.failure]:
            raise UserError(f"{len(failed)} of {len(outcomes)} runs failed, {failed[0].row} first: {failed[0].failure}")

    def _checked(self, study: Study) -> dict[str, Split]:
        """Return the splits of a study, by setting.

        Builds the data, split and model of each row, so that errors in them are found before any training.
        """
        checked, splits = set(), {}
        for level in levels(study, self.directory, find=lambda job: None):
            for job, _ in level:
                if (job.setting, job.variant, job.row) in checked:
                    continue
                complete("train", self._arguments(job))
                config = self._config(job)
                instantiate(OmegaConf.create(config["model"]))
                splits[f"{job.setting} {job.variant}".strip()] = self.splits.of(config)
                checked.add((job.setting, job.variant, job.row))
        return splits

    def _searched(self, study: Study) -> Study:
        """Return the study with settings that searches choose on validation, on the first split of each setting."""
        for name, row in to_search(study):
            setting, own = study.settings[name], study.settings[name].rows[row]
            chosen = {key: value for key, value in own.overrides.items() if key not in own.search}
            overrides = {**variants(setting)[0], **chosen, **SEARCHING, "optimized_metric": setting.metrics[0]}
            directory = place(self.directory, name, row) / SEARCH
            log.info("Search: %s on %s, %d trials in %s", row, name, study.n_trials, short(directory))
            search = Search(directory, own.search, [*self.given, *arguments(overrides)], study.n_trials, seed=0)
            search.run(partial(self._launch_trials, directory))
        return with_searches(study, self.directory)

    def _run(self, study: Study) -> list[Outcome]:
        """Make the missing runs, those that others need first."""
        finished = Finished(self.directory.parent, self._config)
        plan = levels(
            study, self.directory, lambda job: finished.current(job, self.splits.of(self._config(job)).fingerprint)
        )
        jobs = [pair for level in plan for pair in level]
        left = {job.directory: f"{job.setting} {job.row}" for job, run in jobs if run is None}
        progress = Progress(study.name, len(jobs) - len(left), left)
        for level in plan:
            missing = [job for job, run in level if run is None]
            begun = [(job.directory, self._begun(job)) for job in missing]
            if begun:
                with progress.watching([job.directory for job in missing]):
                    self._launch(begun)
        return [job.outcome(run or _run_in(job.directory)) for job, run in jobs]

    def _launch_trials(self, directory: Path, jobs: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
        return self._launch([(directory / f"trial_{first + i}", list(job)) for i, job in enumerate(jobs)], first)

    def _launch(self, jobs: Sequence[tuple[Path, Sequence[str]]], first: int = 0) -> Sequence[JobReturn]:
        """Run jobs, each in its own directory; a failed one stores the reason there, and the others go on."""
        places = [{"hydra.sweep.dir": str(where.parent), "hydra.sweep.subdir": where.name} for where, _ in jobs]
        return self.launcher.launch(
            [[*job, *arguments(place)] for (_, job), place in zip(jobs, places, strict=True)], initial_job_idx=first
        )

    def _begun(self, job: Job) -> list[str]:
        """Return a job's overrides, which continue an interrupted run; the marks of an earlier run are removed."""
        if is_interrupted(job.directory, self._config(job)):
            return [*self._arguments(job), *arguments({"resume": str(job.directory)})]
        clear_marks(job.directory)
        return self._arguments(job)

    def _arguments(self, job: Job) -> list[str]:
        return [*self.given, *job.arguments()]

    def _config(self, job: Job) -> Mapping[str, Any]:
        return resolve(tuple(self._arguments(job)))


def _run_in(directory: Path) -> Run | None:
    return read_run(directory) if is_finished(directory) else None
