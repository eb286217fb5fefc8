"""Executes the runs of a study: `python train.py experiment=<study>`.

The command searches the hyperparameters of those models that have a search space, executes the runs that are missing,
and writes the report. The same command continues an interrupted study. Arguments for keys that the study varies
(`data=`, `model=`, `seed=`, `split.fold=`) select among its runs; all other arguments (`trainer=gpu`, `data.path=DIR`)
apply to every run.
"""

from __future__ import annotations

import logging
import sys
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
from recsys.config.studies import read_study, study_names
from recsys.counted import counted
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.extras import require
from recsys.files import short
from recsys.invocation import recsys_command, train_command
from recsys.progress_bar import ProgressBar
from recsys.studies.finished_runs import FinishedRuns
from recsys.studies.outcome import Outcome
from recsys.studies.plan import Job, dependency_levels, override_arguments, row_directory, variant_overrides
from recsys.studies.progress import Progress
from recsys.studies.run_writer import clear_marks
from recsys.studies.runs import Run, is_finished, is_interrupted, read_run
from recsys.studies.searches import SEARCH, rows_to_search, with_search_results
from recsys.studies.study import Study
from recsys.studies.study_report import REPORT, STUDIES, missing_runs, print_report, write_leakage, write_report

# Trials are evaluated on validation only, and their models have a seed that no final run has.
SEARCHING = {"seed": 1000, "test": False, "refit": False}

log = logging.getLogger(__name__)


class StudySweep:
    """Executes the missing runs of a study, and writes its report.

    Args:
        directory: directory of the study's runs.
        launcher: Hydra's launcher, which runs jobs.
    """

    def __init__(self, directory: Path, launcher: Launcher) -> None:
        self.directory = directory
        self.launcher = launcher
        self.splits = Splits()

    def run(self, overrides: Sequence[str]) -> None:
        """Execute the runs of a study that are missing, and write its report.

        Args:
            overrides: config overrides of the command.

        Raises:
            UserError: the study, the command or its data are invalid (raised before any run starts), or a run failed
                (raised at the end).
        """
        require("plots")  # a study ends with figures
        study, self.given = read_study(overrides)
        report = self.directory / REPORT
        write_leakage(report, self._checked(study))
        study = self._searched(study)
        outcomes = self._run(study)
        is_own = study.name not in study_names()  # from --config-dir, where `table` does not look
        command = train_command(*sys.argv[1:]) if is_own else None
        print_report(write_report(report, self.directory, study, outcomes, command))
        is_at_its_place = self.directory.resolve() == (STUDIES / study.name).resolve()  # where `table` looks
        print(f"Tables and figures are in {short(report)}.")
        if is_at_its_place and not (is_own or missing_runs(Path("experiments", study.name), study, outcomes)):
            print(f"To publish them: {recsys_command('table', study.name)}")
        if failed := [outcome for outcome in outcomes if outcome.failure]:
            raise UserError(
                f"{len(failed)} of {counted(len(outcomes), 'run')} failed, first {failed[0].row}: {failed[0].failure}"
            )

    def _checked(self, study: Study) -> dict[str, Split]:
        """Check the rows (models) of a study's tables, and return the study's splits by setting and variant.

        The data, split and model of each row are constructed, so that invalid ones are found before any training. A
        model that reads other runs, such as a blend of other rows, is constructed only if these runs have finished. The
        variants of a setting differ only in data and split, so a row is checked with only one variant.
        """
        splits: dict[str, Split] = {}
        rows = set()
        levels = dependency_levels(study, self.directory, find_run=lambda job: None)
        for job, _ in ProgressBar([pair for level in levels for pair in level], desc="checks", unit="runs"):
            variant, row = f"{job.setting} {job.variant}".strip(), (job.setting, job.row)
            if variant in splits and row in rows:
                continue
            complete("train", self._arguments(job))
            config = self._config(job)
            if all(is_finished(directory) for directory in job.dependencies):
                instantiate(OmegaConf.create(config["model"]))
            splits.setdefault(variant, self.splits.of(config))
            rows.add(row)
        return splits

    def _searched(self, study: Study) -> Study:
        """Search hyperparameters of models that have a search space; return the study with the best hyperparameters.

        Trials are measured on validation, and on the first variant of the model's setting, such as the first fold.

        Raises:
            UserError: a search cannot run; see `Search.run`.
        """
        for name, row in rows_to_search(study):
            setting, own = study.settings[name], study.settings[name].rows[row]
            fixed = {key: value for key, value in own.overrides.items() if key not in own.search}
            overrides = {**variant_overrides(setting)[0], **fixed, **SEARCHING, "optimized_metric": setting.metrics[0]}
            directory = row_directory(self.directory, name, row) / SEARCH
            n_trials = study.n_trials_of(own)
            log.info("Search: %s on %s, %s in %s", row, name, counted(n_trials, "trial"), short(directory))
            arguments = [*self.given, *override_arguments(overrides)]
            search = Search(directory, own.search, arguments, n_trials, seed=0, halve_after=own.halve_after)
            search.run(partial(self._launch_trials, directory))
        return with_search_results(study, self.directory)

    def _run(self, study: Study) -> list[Outcome]:
        """Execute jobs for which no finished run can be reused, dependencies first; return the outcomes of all jobs."""
        finished = FinishedRuns(self.directory.parent, self._config)

        def reusable_run(job: Job) -> Run | None:
            return finished.reusable_run(job, self.splits.of(self._config(job)).fingerprint)

        levels = dependency_levels(study, self.directory, reusable_run)
        jobs = [pair for level in levels for pair in level]
        missing = {job.directory for job, run in jobs if run is None}
        progress = Progress(study.name, len(jobs) - len(missing), missing)
        for level in levels:
            launched = [(job.directory, self._resuming_arguments(job)) for job, run in level if run is None]
            if launched:
                with progress.polling([directory for directory, _ in launched]):
                    self._launch(launched)
        return [job.outcome(run or _run_in(job.directory)) for job, run in jobs]

    def _launch_trials(self, directory: Path, jobs: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
        return self._launch([(directory / f"trial_{first + i}", list(job)) for i, job in enumerate(jobs)], first)

    def _launch(self, jobs: Sequence[tuple[Path, Sequence[str]]], first: int = 0) -> Sequence[JobReturn]:
        """Execute jobs, and return the launcher's results.

        If a job fails, the reason is stored in its directory, and the other jobs still run.

        Args:
            jobs: (directory, arguments) of each job.
            first: number of the first job.
        """
        arguments = []
        for directory, own in jobs:
            output = {"hydra.sweep.dir": str(directory.parent), "hydra.sweep.subdir": directory.name}
            arguments.append([*own, *override_arguments(output)])
        return self.launcher.launch(arguments, initial_job_idx=first)

    def _resuming_arguments(self, job: Job) -> list[str]:
        """Return a job's arguments, with `resume=` if an interrupted run of the job is in its directory.

        Otherwise, remove the files that mark another run in this directory as finished or failed.
        """
        if is_interrupted(job.directory, self._config(job)):
            return [*self._arguments(job), *override_arguments({"resume": str(job.directory)})]
        clear_marks(job.directory)
        return self._arguments(job)

    def _arguments(self, job: Job) -> list[str]:
        return [*self.given, *job.arguments()]

    def _config(self, job: Job) -> Mapping[str, Any]:
        return resolve(tuple(self._arguments(job)))


def _run_in(directory: Path) -> Run | None:
    return read_run(directory) if is_finished(directory) else None
