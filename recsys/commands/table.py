"""The command `python -m recsys table`: prints a table of finished runs, or writes the report of a study."""

from __future__ import annotations

import argparse
from pathlib import Path

from recsys.commands.arguments import add_tables as add_arguments
from recsys.config import resolve
from recsys.config.studies import read_study, study_names
from recsys.counted import counted
from recsys.errors import UserError
from recsys.invocation import train_command
from recsys.studies.finished_runs import FinishedRuns
from recsys.studies.plan import dependency_levels
from recsys.studies.readme_tables import fill_files
from recsys.studies.runs import find_runs
from recsys.studies.searches import with_search_results
from recsys.studies.study_report import REPORT, STUDIES, missing_runs, print_report, publish, write_report
from recsys.studies.tables import MEANING_OF_DEVIATION, default_metrics, print_table, statistics, table, without_repeats

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> None:
    """Print a table of runs or, given the name of a study, rewrite the folder of that study.

    Raises:
        UserError: there is no finished run, the runs lack a given metric, or the name of a study is combined with
            `--csv` or `--metrics`, which are for tables of runs.
    """
    if arguments.directories[0].name in study_names() and not arguments.directories[0].is_dir():
        if arguments.csv or arguments.metrics:
            raise UserError("--csv and --metrics are for runs: table.csv of a study has all metrics of its config.")
        _write_study(*map(str, arguments.directories))
        return
    name = arguments.directories[0]
    if not name.exists() and (STUDIES / name).is_dir():
        raise UserError(
            f"The config of the study {name} is not in configs/experiment: repeat its command to write its report, "
            f"{train_command('--config-dir', 'DIR', f'experiment={name}')}; finished runs are reused."
        )
    found = find_runs(*arguments.directories)
    runs = without_repeats(found)
    metrics = arguments.metrics or default_metrics(runs)
    if arguments.csv:
        print(statistics(runs, metrics).to_csv(index=False))
    else:
        frame = table(runs, metrics)
        print_table(frame, names=["model", "settings"], groups=["data", "split"])
        if frame.apply(lambda column: column.str.contains("±")).any(axis=None):
            print(f"\n{MEANING_OF_DEVIATION}")
        if n_repeated := len(found) - len(runs):
            print(f"\n{counted(n_repeated, 'run')} of the same settings, seed and split as a later one: left out.")


def _write_study(name: str, *overrides: str) -> None:
    """Write experiments/<name>/ from the finished runs of a study, without training.

    The tables in README.md, in the manual and in the texts of studies are updated with the new numbers. If the folder
    lists finished runs that the new report would lack, the folder is not changed, and the report is written next to the
    runs instead.

    Args:
        name: name of the study; its config is `configs/experiment/<name>.yaml`.
        *overrides: config overrides that restrict the report to some runs of the study.

    Raises:
        UserError: no run of the study is finished, or a table in one of the texts has a row for which the study has no
            results.
    """
    study, given = read_study([f"experiment={name}", *overrides])
    directory = STUDIES / study.name
    study = with_search_results(study, directory)
    finished = FinishedRuns(STUDIES, lambda job: resolve((*given, *job.arguments())))
    outcomes = [
        job.outcome(run) for level in dependency_levels(study, directory, finished.latest_run) for job, run in level
    ]
    if not any(outcome.run for outcome in outcomes):
        raise UserError(f"No run of {name} is finished: start them with {train_command(f'experiment={name}')}.")
    folder = Path("experiments", study.name)
    if missing := missing_runs(folder, study, outcomes):
        print_report(write_report(directory / REPORT, directory, study, outcomes))
        print(
            f"Tables and figures are in {directory / REPORT}. {folder} stays as it is, because {len(missing)} of its "
            f"finished runs are not in this report (first {missing[0]}): remove {folder / 'runs.csv'} to replace it."
        )
        return
    print_report(write_report(folder, directory, study, outcomes))
    publish(directory, folder)
    print(f"Tables and figures are in {folder}.")
    for file in fill_files(study.name, Path()):
        print(f"{file} has the new figures in its tables; check its text.")
