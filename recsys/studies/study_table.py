"""Tables of a study, with their notes, in Markdown, in LaTeX and for the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.text import Text

from recsys.evaluation.significance import SIGNIFICANT, holm
from recsys.metrics.direction import direction
from recsys.progress_bar import ProgressBar
from recsys.studies.outcome import Outcome, outcomes_by_row
from recsys.studies.study import Study
from recsys.studies.study_statistics import COMPLETE, row_statistics
from recsys.studies.table_notes import ABOVE, BELOW, TIMES, clock, table_notes
from recsys.studies.tables import markdown
from recsys.terminal import print_figures


@dataclass(frozen=True, eq=False)
class StudyTable:
    """The results of all models of a study in one of its settings: on one data set, split and protocol.

    Attributes:
        setting: name of the setting.
        metrics: metrics of the columns, the main metric first.
        statistics: frame that `row_statistics` returns, with two further columns: `setting`, and `p_holm`, the p-value
            adjusted for all rows, metrics and settings of the study.
        notes: notes below the table, in sentences.
    """

    setting: str
    metrics: tuple[str, ...]
    statistics: pd.DataFrame
    notes: list[str]

    def markdown(self) -> str:
        """Format the table and its notes in Markdown."""
        return "\n\n".join([markdown(self._cells(_MARKDOWN)), *map(_markdown_text, self.notes)])

    def latex(self) -> str:
        """Format the table as a LaTeX `table` environment, with the notes in its caption.

        The document needs the package booktabs.
        """
        cells = self._cells(_LATEX)
        columns = [_latex_text(str(name)) for name in cells.columns]
        return cells.set_axis(columns, axis=1).to_latex(
            index=False,
            column_format="l" + "r" * (len(columns) - 1),
            escape=False,
            caption=(" ".join(map(_latex_text, [f"{self.setting}.", *self.notes])), _latex_text(self.setting)),
        )

    def print(self) -> None:
        """Print the table on the terminal, without its notes."""
        cells = self._cells(_TERMINAL)
        rows = [[Text.from_markup(cell, emoji=False) for cell in row] for row in cells.to_numpy().tolist()]
        print_figures([str(name) for name in cells.columns], rows, self.setting)

    @property
    def baseline(self) -> str | None:
        """Return the name of the row (model) with which the others are compared; None if no model was compared."""
        return next(iter(self.statistics["baseline"].dropna()), None)

    def _cells(self, markup: _Markup) -> pd.DataFrame:
        """Return the table's cells as text: a row for each model; columns for metrics, published values and cost."""
        columns: dict[str, pd.Series] = {}
        for metric in self.metrics:
            own = self.statistics[self.statistics["metric"] == metric].set_index("row")
            columns[metric] = own.assign(rank=_ranks(metric, own["mean"])).apply(markup.cell, axis=1)
            if own["published"].notna().any():
                columns[f"{metric} published"] = _formatted(own["published"], "{:.4g}".format)
        cost = self.statistics.drop_duplicates("row").set_index("row")
        columns["configurations"] = _formatted(cost["configurations"], "{:,.0f}".format)
        columns[TIMES[clock(cost)]] = _formatted(cost[clock(cost)], _seconds)
        if cost["memory_mib"].notna().any():
            columns["MiB"] = _formatted(cost["memory_mib"], "{:,.0f}".format)
        frame = pd.DataFrame(columns)
        frame.insert(0, "model", [markup.escape(str(row)) for row in frame.index])
        return frame


@dataclass(frozen=True)
class _Markup:
    """How the cells of a table are marked up in one output format.

    Attributes:
        best: format string for the best value, such as `**{}**`.
        second: format string for the second best value.
        escape: function that escapes plain text.
    """

    best: str
    second: str
    escape: Callable[[str], str]

    def cell(self, statistics: pd.Series) -> str:
        """Format a model's mean, standard deviation and mark of significance or, without a mean, its status."""
        mean, std = statistics["mean"], statistics["std"]
        if pd.isna(mean):
            return "" if statistics["status"] == COMPLETE else str(statistics["status"])
        value = {1: self.best, 2: self.second}.get(statistics["rank"], "{}").format(_number(mean))
        deviation = "" if pd.isna(std) else f" ± {std:.{_decimals(mean)}f}"
        is_significant = statistics["p_holm"] < SIGNIFICANT
        mark = f" {ABOVE if statistics['difference'] > 0 else BELOW}" if is_significant else ""
        return value + self.escape(deviation + mark)


_LATEX_SIGNS = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
        **{"<": "$<$", ">": "$>$", "±": r"$\pm$", ABOVE: r"$\uparrow$", BELOW: r"$\downarrow$"},
    }
)


def _latex_text(text: str) -> str:
    """Escape plain text for LaTeX."""
    return text.translate(_LATEX_SIGNS)


def _markdown_text(text: str) -> str:
    """Escape plain text for Markdown."""
    return re.sub(r"([\\`*_\[\]|<])", r"\\\1", text)


_MARKDOWN = _Markup("**{}**", "<u>{}</u>", _markdown_text)
_LATEX = _Markup(r"\textbf{{{}}}", r"\underline{{{}}}", _latex_text)
_TERMINAL = _Markup("[bold]{}[/bold]", "[underline]{}[/underline]", escape)


def study_tables(study: Study, outcomes: Sequence[Outcome]) -> list[StudyTable]:
    """Build the table of each setting (data, split and protocol) of a study.

    Args:
        study: the study, which determines the order of tables, rows and columns.
        outcomes: outcomes of all runs of the study.

    Raises:
        UserError: a finished run was not tested.
    """
    measured = {}
    for name, setting in ProgressBar(study.settings.items(), desc="comparisons", unit="settings", leave=False):
        by_row = outcomes_by_row(setting, [outcome for outcome in outcomes if outcome.setting == name])
        measured[name] = by_row, row_statistics(setting, study.baselines, by_row)
    p_values = pd.concat([statistics["p"] for _, statistics in measured.values()], keys=list(measured))
    adjusted = pd.Series(holm(p_values.dropna().to_numpy()), p_values.dropna().index).reindex(p_values.index)
    tables = []
    for name, (by_row, statistics) in measured.items():
        statistics.insert(0, "setting", name)
        statistics["p_holm"] = adjusted[name]
        notes = table_notes(study.settings[name], study, statistics, by_row, n_tests=int(adjusted.notna().sum()))
        tables.append(StudyTable(name, study.settings[name].metrics, statistics, notes))
    return tables


def _number(value: float) -> str:
    """Format the value of a metric."""
    return f"{value:.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    return 4 if abs(value) < 10 else 1


def _formatted(values: pd.Series, format_: Callable[[float], str]) -> pd.Series:
    """Format numbers as text; NaN becomes ""."""
    return pd.Series(["" if np.isnan(value) else format_(value) for value in values], values.index)


def _seconds(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _ranks(metric: str, means: pd.Series) -> pd.Series:
    """Rank rounded means, 1 for the best; all ranks are 0 if neither larger nor smaller values are better."""
    rounded = means.map(_number, na_action="ignore").astype(float)
    return (rounded * -direction(metric)).rank(method="dense") if direction(metric) else 0 * rounded
