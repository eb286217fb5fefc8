"""The report of a study in `experiments/<study>/`.

    runs.csv        a row for each run: metrics, fingerprints, code, cost
    table.md        a table for each setting (data, split and protocol), with notes
    table.tex       the same tables in LaTeX, with the package booktabs
    table.csv       the statistics behind the tables, comparisons included
    pairs.csv       comparisons of two models that the study declares, if any, which table.md shows too
    orders.csv      how well settings or metrics agree on the order of the models, if they share models
    figures/        each figure as PNG and SVG
    leakage/        for each split, what its training, validation and test ratings share, and its invariants
    search/         the trials of each hyperparameter search, and a figure of the trials

README.md in the same folder is written by hand.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from recsys.data.leakage import Leakage
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.files import read_csv, slug, write_text
from recsys.studies.declared_pairs import pair_statistics, pairs_markdown, pairs_text
from recsys.studies.orders import order_agreement
from recsys.studies.outcome import Outcome
from recsys.studies.report import headline_metrics
from recsys.studies.runs import Run
from recsys.studies.searches import SEARCH
from recsys.studies.study import Study
from recsys.studies.study_statistics import peak_memory
from recsys.studies.study_table import StudyTable, study_tables
from recsys.studies.table_notes import machine
from recsys.studies.tables import markdown, print_table
from recsys.studies.verification import RUN_KEY

STUDIES = Path("outputs", "experiments")  # default directory of the runs of studies
REPORT = "report"  # directory of a study's report, next to its runs
LEAKAGE = "leakage"


class Report(NamedTuple):
    """The results of a study: a table for each setting, and the comparisons of models that the study declares.

    Attributes:
        tables: the tables.
        pairs: frame of the comparisons, which `pair_statistics` returned.
    """

    tables: list[StudyTable]
    pairs: pd.DataFrame


def write_report(
    directory: Path, runs: Path, study: Study, outcomes: Sequence[Outcome], command: str | None = None
) -> Report:
    """Write the files of a study's report, except `leakage/` and `search/`.

    Args:
        directory: directory of the report; created if missing.
        runs: directory of the study's runs, which contains its searches.
        study: the study.
        outcomes: outcomes of all runs of the study.
        command: command line that makes the report again, to be named in table.md; None for `python -m recsys table
            STUDY`, which finds studies in configs/experiment/.

    Returns:
        The report, for `print_report`.

    Raises:
        UserError: a finished run was not tested.
    """
    from recsys.studies.study_figures import write_figures  # imports matplotlib

    tables = study_tables(study, outcomes)
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "runs.csv", runs_frame(study, outcomes).to_csv(index=False))
    write_text(directory / "table.csv", pd.concat([table.statistics for table in tables]).to_csv(index=False))
    origin = f"Made by `{command or f'python -m recsys table {study.name}'}`."
    sections = [f"## {table.setting}\n\n{table.markdown()}" for table in tables]
    pairs = pair_statistics(study, outcomes)
    if len(pairs):
        write_text(directory / "pairs.csv", pairs.to_csv(index=False))
        margins = {setting.margin for setting in study.settings.values() if setting.margin is not None}
        sections.append(f"## Declared comparisons\n\n{pairs_markdown(pairs, margins)}")
    orders = order_agreement(study, outcomes)
    if len(orders):
        write_text(directory / "orders.csv", orders.to_csv(index=False))
    write_text(directory / "table.md", "\n\n".join([f"# {study.question}", origin, *sections]) + "\n")
    write_text(directory / "table.tex", "\n".join(table.latex() for table in tables))
    write_figures(directory / "figures", runs, study, outcomes, tables)
    return Report(tables, pairs)


def write_leakage(directory: Path, splits: Mapping[str, Split]) -> None:
    """Write a file for each split: what its training, validation and test ratings share, and which invariants hold.

    Args:
        directory: directory of the report; created if missing.
        splits: splits by name of their setting and variant.

    Raises:
        UserError: a split violates an invariant.
    """
    (directory / LEAKAGE).mkdir(parents=True, exist_ok=True)
    for name, split in splits.items():
        leakage = Leakage(split)
        if leakage.violated:
            raise UserError(f"The split of {name} violates an invariant: {leakage.violated[0]}")
        facts = leakage.frame().map(
            lambda value: "" if pd.isna(value) else f"{value:,.4g}" if value < 1 else f"{value:,.0f}"
        )
        sentences = "\n".join(f"- {sentence}" for sentence in leakage.sentences())
        text = f"# Overlap of parts: {name}, by {split.name}\n\n{sentences}\n\n{markdown(facts.reset_index())}\n"
        write_text(directory / LEAKAGE / f"{slug(name)}.md", text)


def publish(runs: Path, directory: Path) -> None:
    """Copy leakage reports and finished searches from the runs of a study into its published folder.

    Args:
        runs: directory of the study's runs.
        directory: the published folder, experiments/STUDY/.
    """
    for report in (runs / REPORT / LEAKAGE).glob("*.md"):
        (directory / LEAKAGE).mkdir(exist_ok=True)
        shutil.copy(report, directory / LEAKAGE)
    for history in runs.glob(f"*/*/{SEARCH}/history.png"):
        target = directory / SEARCH / history.parents[1].relative_to(runs)
        target.mkdir(parents=True, exist_ok=True)
        for file in (history, history.with_name("trials.csv")):
            shutil.copy(file, target)


def missing_runs(directory: Path, study: Study, outcomes: Sequence[Outcome]) -> list[str]:
    """Return the finished runs that a published report has, and that a new report would lack.

    A new report lacks runs if the outcomes cover only a part of the study, or if the runs are on another machine.

    Args:
        directory: folder of the published report.
        study: the study.
        outcomes: outcomes of which the new report would be made.

    Returns:
        A phrase for each run with its row, setting, variant and seed, such as `EASE on ml-100k, seed 0`, sorted.
    """
    published = directory / "runs.csv"
    if not published.is_file():
        return []
    before = read_csv(published, ["status", *RUN_KEY])
    return sorted(_finished(before) - _finished(runs_frame(study, outcomes)))


def _finished(runs: pd.DataFrame) -> set[str]:
    """Return a phrase for each finished run in a frame of `runs.csv`, such as `EASE on ml-100k, seed 0`."""
    finished = runs[runs["status"] == "complete"].astype({"variant": object}).fillna({"variant": ""})
    keys = finished[RUN_KEY].to_numpy().tolist()
    return {f"{row} on {f'{setting} {variant}'.strip()}, seed {seed}" for setting, variant, row, seed in keys}


def print_report(report: Report) -> None:
    """Print the tables of a report with their notes, and the comparisons of models that the study declares."""
    for table in report.tables:
        table.print()
        print("\n".join(table.notes))
    if len(report.pairs):
        text = pairs_text(report.pairs)
        text["pair"] = text["row"] + " and " + text["other"]
        columns = ["setting", "metric", "pair", "difference", "conclusion"]
        print_table(text[columns], names=["pair"], groups=["setting", "metric"])


def runs_frame(study: Study, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return the frame of `runs.csv`: a row for each planned run, with empty cells if the run has not finished.

    `commit` ends in + if files differed from the commit. `seconds_*` and `cpu_seconds_*` are the times of the stages,
    and `peak_memory_mib` is the peak memory of the process during the run, see `peak_memory`.
    """
    metrics = [metric for setting in study.settings.values() for metric in setting.metrics]
    rows = []
    for outcome in outcomes:
        unfinished = f"failed: {outcome.failure_reason}" if outcome.failure else "not run"
        rows.append(
            {
                "setting": outcome.setting,
                "variant": outcome.variant,
                "row": outcome.row,
                "seed": outcome.seed,
                "configurations": outcome.n_configurations,
                "status": "complete" if outcome.run else unfinished,
                **(_run_columns(outcome.run, metrics) if outcome.run else {}),
            }
        )
    return pd.DataFrame(rows, dtype=object)  # integers stay integers in columns with empty cells


def _run_columns(run: Run, metrics: Sequence[str]) -> dict[str, Any]:
    """Return the columns of `runs.csv` for a finished run: cost, provenance, given metrics, headline metrics."""
    manifest, stages = run.manifest, ("fit", "refit", "test")
    clocks = {clock: manifest.get(clock, {}) for clock in ("seconds", "cpu_seconds")}
    chosen = [f"{stage}/{metric}" for metric in metrics for stage in ("valid", "test")]
    return {
        **{f"{clock}_{s}": round(own[s], 3) for clock, own in clocks.items() for s in stages if s in own},
        "peak_memory_mib": round(peak_memory(run), 1),
        "machine": machine(run),
        "threads": manifest["threads"],
        **{package: manifest["versions"][package] for package in ("torch", "numpy", "scipy", "scikit-learn")},
        "data": manifest["data"]["fingerprint"],
        "split": manifest["split"]["fingerprint"],
        "commit": manifest["git"].get("commit", "") + ("+" if manifest["git"].get("dirty") else ""),
        "code": manifest.get("code"),
        **{name: run.metrics[name] for name in chosen if name in run.metrics},
        **headline_metrics(run.metrics),
    }
