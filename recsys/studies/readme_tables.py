"""Fills tables in README files and in the manual with the results of studies.

A comment above each table names the file with its numbers, the setting and, for comparisons, the metric:

    <!-- experiments/STUDY/table.csv, SETTING -->           a row for each model, a column for each metric
    <!-- experiments/STUDY/pairs.csv, SETTING, METRIC -->   all declared comparisons of a metric

`fill` writes the numbers into such tables. The rows and metrics of the first kind of table are chosen by hand: its
first column names the rows, its header the metrics. Whether the best value of a column is bold is chosen by hand too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from recsys.errors import UserError
from recsys.evaluation.intervals import Interval
from recsys.files import read_csv, write_text
from recsys.metrics.direction import direction

MARKED = re.compile(r"<!-- (?P<file>\S+/(table|pairs)\.csv), (?P<of>.+?) -->\n\n(?P<table>(?:\|.*\n)+)")


def fill(text: str, root: Path) -> str:
    """Write the current numbers into those tables of a Markdown text that a comment marks, and return the new text.

    Args:
        text: the text; this module describes the comments.
        root: the folder to which the file names in the text's comments are relative.

    Raises:
        UserError: a table names a row or a metric that its file does not have, or the file is damaged.
    """
    return MARKED.sub(partial(_filled, root), text)


def texts(root: Path) -> list[Path]:
    """Return the Markdown files that may have tables for `fill`: README.md, the manual, and the READMEs of studies.

    Args:
        root: folder of the project.
    """
    return [*root.glob("README.md"), *sorted(root.glob("docs/*.md")), *sorted(root.glob("experiments/*/README.md"))]


def fill_files(study: str, root: Path) -> list[Path]:
    """Apply `fill` to all Markdown files that show numbers of a study, and return the files that changed.

    Args:
        study: name of the study's folder in experiments/. Tables of other studies in the same files are filled too.
        root: folder of the project, to which the file names in comments are relative.

    Raises:
        UserError: see `fill`.
    """
    of_study = [path for path in texts(root) if f"<!-- experiments/{study}/" in path.read_text(encoding="utf-8")]
    return [path for path in of_study if _fill_file(path, root)]


def _fill_file(path: Path, root: Path) -> bool:
    """Apply `fill` to a Markdown file, and return whether the file changed."""
    before = path.read_text(encoding="utf-8")
    after = fill(before, root)
    if after != before:
        write_text(path, after)
    return after != before


def _filled(root: Path, marked: re.Match[str]) -> str:
    frame = read_csv(root / marked["file"], ["setting", "metric", "row"])
    head, line, *lines = marked["table"].splitlines()
    if marked["file"].endswith("pairs.csv"):
        setting, _, metric = marked["of"].rpartition(", ")
        rows = _pair_cells(frame[(frame["setting"] == setting) & (frame["metric"] == metric)])
    else:
        of_setting = frame[frame["setting"] == marked["of"]]
        rows = _row_cells(of_setting, _cells(head)[1:], [_cells(line) for line in lines])
    start = marked[0].removesuffix(marked["table"])
    return start + "\n".join([head, line, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _pair_cells(pairs: pd.DataFrame) -> list[list[str]]:
    """Return the cells for each comparison: two models, difference, smallest detectable difference, p, conclusion."""
    return [
        [
            pair["row"],
            pair["other"],
            str(Interval(pair["difference"], pair["low"], pair["high"])),
            f"{pair['detectable']:.4f}",
            f"{pair['p_holm']:.2g}",
            pair["conclusion"] + ", equivalent" * (str(pair["equivalent"]) == "True"),  # NaN without a margin
        ]
        for pair in pairs.to_dict("records")
    ]


def _row_cells(frame: pd.DataFrame, metrics: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the cells of a table: the name of each row (model), and its mean and standard deviation for each metric.

    The best mean of a column is bold if the column had a bold cell before.
    """
    names = [name for name, *_ in rows]
    columns = []
    for position, metric in enumerate(metrics, 1):
        own = frame[frame["metric"] == metric.lower()].set_index("row")
        if unknown := [name for name in names if name not in own.index]:
            raise UserError(
                f"A table of {metric} must name rows of its setting that have it "
                f"(got {unknown[0]!r}): {', '.join(own.index)}."
            )
        means = own.loc[names, "mean"].round(4)
        deviations = own.loc[names, "std"] if "std" in own else means * np.nan
        ranked = any(row[position].startswith("**") for row in rows)
        best = (means * direction(metric.lower())).max() * direction(metric.lower()) if ranked else np.nan
        columns.append([_figure(*of_row, best) for of_row in zip(means, deviations, strict=True)])
    return [list(cells) for cells in zip(names, *columns, strict=True)]


def _figure(mean: float, deviation: float, best: float) -> str:
    """Format a mean and its standard deviation for a cell; the best mean is bold, and a missing mean gives ""."""
    if np.isnan(mean):
        return ""
    figure = f"**{mean:.4f}**" if mean == best else f"{mean:.4f}"
    return figure if np.isnan(deviation) else f"{figure} ± {deviation:.4f}"
