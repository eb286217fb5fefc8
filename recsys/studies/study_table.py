"""A study's tables: numbers as Markdown, LaTeX and in the terminal, with the notes that they need."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from recsys.studies.study import Outcome, Study
from recsys.studies.study_notes import ABOVE, BELOW, SIGNIFICANT, notes_on
from recsys.studies.study_numbers import COMPLETE, direction, numbers_of, rows_of
from recsys.studies.tables import markdown


@dataclass(frozen=True, eq=False)
class StudyTable:
    """The table of one setting.

    Attributes:
        setting: its name.
        metrics: of the columns.
        numbers: of `numbers_of`, with a column `setting`.
        notes: what a reader has to know, in sentences.
    """

    setting: str
    metrics: tuple[str, ...]
    numbers: pd.DataFrame
    notes: list[str]

    def markdown(self) -> str:
        """The table with its notes."""
        return "\n\n".join([markdown(self._text(_MARKDOWN)), *map(_plain, self.notes)])

    def latex(self) -> str:
        """A `table` environment; the document needs the package booktabs."""
        text = self._text(_LATEX)
        columns = [_escaped(str(name)) for name in text.columns]
        return text.set_axis(columns, axis=1).to_latex(
            index=False,
            column_format="l" + "r" * (len(columns) - 1),
            escape=False,
            caption=(" ".join(map(_escaped, [f"{self.setting}.", *self.notes])), _escaped(self.setting)),
        )

    def rich(self) -> Table:
        """The table for the terminal, without its notes."""
        text = self._text(_RICH)
        shown = Table(title=escape(self.setting), title_justify="left")
        for place, name in enumerate(text.columns):
            shown.add_column(str(name), justify="right" if place else "left")
        for row in text.to_numpy().tolist():
            shown.add_row(*row)
        return shown

    @property
    def baseline(self) -> str | None:
        """The row that others are compared with, if one is complete."""
        return next(iter(self.numbers["baseline"].dropna()), None)

    def _text(self, look: _Look) -> pd.DataFrame:
        """A row for each row of the study, a column for each metric, for what was published of it, and for the cost."""
        columns: dict[str, pd.Series] = {}
        for metric in self.metrics:
            own = self.numbers[self.numbers["metric"] == metric].set_index("row")
            columns[metric] = own.assign(place=_places(metric, own["mean"])).apply(look.cell, axis=1)
            if own["published"].notna().any():
                columns[f"{metric} published"] = _texts(own["published"], "{:.4g}".format)
        cost = self.numbers.drop_duplicates("row").set_index("row")
        columns["configurations"] = _texts(cost["configurations"], "{:,.0f}".format)
        columns["seconds"] = _texts(cost["seconds"], _seconds)
        frame = pd.DataFrame(columns)
        frame.insert(0, "model", [look.plain(str(row)) for row in frame.index])
        return frame


@dataclass(frozen=True)
class _Look:
    """How cells are written.

    Attributes:
        best: around the best figure.
        second: around the second.
        plain: text into the language of the table.
    """

    best: str
    second: str
    plain: Callable[[str], str]

    def cell(self, line: pd.Series) -> str:
        """Mean, deviation and mark; what became of the row where there is no mean."""
        if pd.isna(line["mean"]):
            return "" if line["status"] == COMPLETE else str(line["status"])
        figure = _figure(line["mean"])
        written = {1: self.best, 2: self.second}.get(line["place"], "{}").format(figure)
        spread = "" if pd.isna(line["std"]) else f" ± {line['std']:.{_decimals(line['mean'])}f}"
        mark = "" if not line["p_holm"] < SIGNIFICANT else f" {ABOVE if line['difference'] > 0 else BELOW}"
        return written + self.plain(spread + mark)


_LATEX_SIGNS = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
        **{"<": "$<$", ">": "$>$", "±": r"$\pm$", ABOVE: r"$\uparrow$", BELOW: r"$\downarrow$"},
    }
)


def _escaped(text: str) -> str:
    """Plain text in LaTeX."""
    return text.translate(_LATEX_SIGNS)


def _plain(text: str) -> str:
    """Text whose signs mean nothing to Markdown."""
    return re.sub(r"([\\`*_\[\]|<])", r"\\\1", text)


_MARKDOWN = _Look("**{}**", "<u>{}</u>", _plain)
_LATEX = _Look(r"\textbf{{{}}}", r"\underline{{{}}}", _escaped)
_RICH = _Look("[bold]{}[/bold]", "[underline]{}[/underline]", escape)


def study_tables(study: Study, outcomes: Sequence[Outcome]) -> list[StudyTable]:
    """The table of each setting.

    Args:
        study: whose order of settings, rows and metrics the tables keep.
        outcomes: of all runs that it asks for, finished or not.

    Raises:
        UserError: a finished run was not tested.
    """
    tables, console = [], Console(stderr=True)
    settings = study.settings.items()
    for name, setting in track(settings, "Comparing", console=console, transient=True, disable=not console.is_terminal):
        by_row = rows_of(setting, [outcome for outcome in outcomes if outcome.setting == name])
        numbers = numbers_of(setting, study.baselines, by_row)
        numbers.insert(0, "setting", name)
        tables.append(StudyTable(name, setting.metrics, numbers, notes_on(setting, study, numbers, by_row)))
    return tables


def _figure(value: float) -> str:
    """A metric as tables and figures have it."""
    return f"{value:.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    return 4 if abs(value) < 10 else 1


def _texts(values: pd.Series, text: Callable[[float], str]) -> pd.Series:
    """Numbers as text, nothing where there is none."""
    return pd.Series(["" if np.isnan(value) else text(value) for value in values], values.index)


def _seconds(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _places(metric: str, means: pd.Series) -> pd.Series:
    """1 for the best figure as it is shown, 2 for the second; 0 for all where neither end is better."""
    shown = means.map(_figure, na_action="ignore").astype(float)
    return (shown * -direction(metric)).rank(method="dense") if direction(metric) else 0 * shown
