"""The folder of a study: what came of its runs, as `experiments/<study>/` keeps it.

    runs.csv        a row for each run: metrics, fingerprints, code, cost
    table.md        a table for each setting, with notes
    table.tex       the same for a paper, with the package booktabs
    table.csv       the numbers behind them, and those of the comparisons
    figures/        PNG and SVG
    leakage/        what the parts of each split share, and whether it keeps what it promises
    search/         of each row whose settings were searched, the trials and a picture of them

Beside them lies README.md, which people write.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from recsys.data.leakage import Leakage
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.files import write_whole
from recsys.studies.plan import SEARCH, slug
from recsys.studies.report import headline
from recsys.studies.runs import Run
from recsys.studies.study import Outcome, Study
from recsys.studies.study_figures import write_figures
from recsys.studies.study_notes import failure_text, machine
from recsys.studies.study_table import StudyTable, study_tables
from recsys.studies.tables import markdown

REPORT = "report"  # the directory of a study's report, beside its runs
LEAKAGE = "leakage"


def write_report(directory: Path, study: Study, outcomes: Sequence[Outcome]) -> list[StudyTable]:
    """Write all of the folder that comes out of runs.

    Args:
        directory: of the study, made if need be.
        study: what was asked.
        outcomes: of all runs that it asks for, finished or not.

    Returns:
        The tables, for `print_tables`.

    Raises:
        UserError: a finished run was not tested.
    """
    tables = study_tables(study, outcomes)
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "runs.csv", runs_frame(study, outcomes).to_csv(index=False))
    _write(directory / "table.csv", pd.concat([table.numbers for table in tables]).to_csv(index=False))
    made_by = f"Made by `python -m recsys table {study.name}`."
    sections = [f"## {table.setting}\n\n{table.markdown()}" for table in tables]
    _write(directory / "table.md", "\n\n".join([f"# {study.question}", made_by, *sections]) + "\n")
    _write(directory / "table.tex", "\n".join(table.latex() for table in tables))
    write_figures(directory / "figures", study, outcomes, tables)
    return tables


def write_leakage(directory: Path, splits: Mapping[str, Split]) -> None:
    """Tell what the parts of splits share, and what these promise, a file for each.

    Args:
        directory: of the report, made if need be.
        splits: by what the study calls them.

    Raises:
        UserError: a split breaks a promise.
    """
    (directory / LEAKAGE).mkdir(parents=True, exist_ok=True)
    for name, split in splits.items():
        leakage = Leakage(split)
        if leakage.violated:
            raise UserError(f"The split of {name} does not keep what it promises: {leakage.violated[0]}")
        facts = leakage.frame().map(
            lambda value: "" if pd.isna(value) else f"{value:,.4g}" if value < 1 else f"{value:,.0f}"
        )
        told = "\n".join(f"- {sentence}" for sentence in leakage.sentences())
        text = f"# What parts share: {name}, by {split.name}\n\n{told}\n\n{markdown(facts.reset_index())}\n"
        _write(directory / LEAKAGE / f"{slug(name)}.md", text)


def publish(runs: Path, directory: Path) -> None:
    """Take over into a study's folder what lies with its runs: reports on leakage, and searches that have ended."""
    for report in (runs / REPORT / LEAKAGE).glob("*.md"):
        (directory / LEAKAGE).mkdir(exist_ok=True)
        shutil.copy(report, directory / LEAKAGE)
    for history in runs.glob(f"*/*/{SEARCH}/history.png"):
        place = directory / SEARCH / history.parents[1].relative_to(runs)
        place.mkdir(parents=True, exist_ok=True)
        for file in (history, history.with_name("trials.csv")):
            shutil.copy(file, place)


def print_tables(tables: Sequence[StudyTable]) -> None:
    """The tables and their notes in the terminal."""
    for table in tables:
        Console().print(table.rich())
        print("\n".join(table.notes))


def runs_frame(study: Study, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """A row for each run that a study asks for; what a run that is not finished lacks is empty.

    `commit` ends in + where files differed from it. Seconds are of stages, memory is the peak of the whole process.
    """
    named = [metric for setting in study.settings.values() for metric in setting.metrics]
    rows = []
    for outcome in outcomes:
        lacking = f"failed: {failure_text(outcome.failure)}" if outcome.failure else "not run"
        rows.append(
            {
                "setting": outcome.setting,
                "variant": outcome.variant,
                "row": outcome.row,
                "seed": outcome.seed,
                "configurations": outcome.n_configurations,
                "status": "complete" if outcome.run else lacking,
                **(_told(outcome.run, named) if outcome.run else {}),
            }
        )
    return pd.DataFrame(rows, dtype=object)  # whole numbers stay whole beside empty cells


def _told(run: Run, metrics: Sequence[str]) -> dict[str, Any]:
    """Cost, origin and metrics of a run: those that are named and those that people read first."""
    manifest, seconds = run.manifest, run.manifest["seconds"]
    chosen = [f"{stage}/{metric}" for metric in metrics for stage in ("valid", "test")]
    return {
        **{f"seconds_{stage}": round(seconds[stage], 3) for stage in ("fit", "refit", "test") if stage in seconds},
        "peak_memory_mib": round(manifest["peak_memory_bytes"] / 2**20),
        "machine": machine(run),
        "threads": manifest["threads"],
        **{package: manifest["versions"][package] for package in ("torch", "numpy", "scipy", "scikit-learn")},
        "data": manifest["data"]["fingerprint"],
        "split": manifest["split"]["fingerprint"],
        "commit": manifest["git"].get("commit", "") + ("+" if manifest["git"].get("dirty") else ""),
        "code": manifest.get("code"),
        **{name: run.metrics[name] for name in chosen if name in run.metrics},
        **headline(run.metrics),
    }


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda file: file.write(text.encode()))
