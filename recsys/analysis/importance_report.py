"""What trees go by and how sure they are, as a page and as figures: each a question, with a finding computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.charts import DASHED, PERCENT, SMALL, height_of, percent
from recsys.analysis.importance import (
    ENDS,
    Sample,
    calibration,
    can_be_followed,
    coverage,
    dependence,
    draw,
    errors,
    importances,
)
from recsys.analysis.page import write_page
from recsys.data.split import Split
from recsys.models.trees import RatingTrees

PAGE = "report.html"
N_REPEATS = 5  # of a permutation
LISTED = 20  # single features in the figure
NAMED = 3  # in a sentence
N_PANELS = 6  # of partial dependence
N_LINES = 40  # of single ratings in a panel
CHANCE = "what chance explains (two standard deviations over repeats)"
UNIT = 0.3  # inches that a unit below an axis takes


@dataclass(frozen=True)
class Answer:
    """A question, its figure and its finding.

    Attributes:
        name: of the files.
        asked: the question.
        shown: the form of the figure, for those who cannot see it.
        finding: a sentence or more.
        figure: settled.
    """

    name: str
    asked: str
    shown: str
    finding: str
    figure: Figure


def write_report(directory: Path, model: RatingTrees, split: Split, seed: int) -> list[Answer]:
    """Measure trees on test ratings, and write `report.html`, which needs no other file, with its figures beside.

    Args:
        directory: of the report; made if need be.
        model: the run's final one.
        split: of the run.
        seed: of the draw of ratings and of the permutations.

    Returns:
        The answers, in the order of the page.
    """
    sample = draw(model, split.test, seed)
    with figures.style():
        answers = answer(model, sample, seed)
        images = [figures.data_uri(each.figure) for each in answers]
        directory.mkdir(exist_ok=True)
        for each in answers:
            figures.save(each.figure, directory, each.name, each.asked)
    write_page(
        directory / PAGE,
        "importance.html.j2",
        model=type(model).__name__,
        interval=model.interval,
        split=split,
        sample=sample,
        n_test=len(split.test.ratings),
        n_repeats=N_REPEATS,
        seed=seed,
        cards=list(zip(answers, images, strict=True)),
    )
    return answers


def answer(model: RatingTrees, sample: Sample, seed: int) -> list[Answer]:
    """The figures and findings that a model allows; within `figures.style()`."""
    singles = {column: [column] for columns in sample.groups.values() for column in columns}
    of_groups = importances(model.trees, sample, sample.groups, N_REPEATS, seed, "groups of features")
    leading = importances(model.trees, sample, singles, 1, seed, "all features").index[:LISTED]
    again = {column: singles[column] for column in leading}  # by other permutations, since chance helped to choose
    of_columns = importances(model.trees, sample, again, N_REPEATS, seed + 1, "leading features")
    answers = [_groups(of_groups, sample.rmse), _columns(of_columns, sample.groups)]
    if followed := [column for column in of_columns.index if can_be_followed(sample.frame[column])][:N_PANELS]:
        answers.append(_dependences(model, sample, followed, seed))
    answers += [_calibration(calibration(sample)), _errors(errors(sample), sample.rmse)]
    if sample.intervals is not None:
        answers.append(_coverage(coverage(sample, sample.intervals), sample.intervals.share))
    for each in answers:
        figures.settle(each.figure)
    return answers


def _groups(found: pd.DataFrame, rmse: float) -> Answer:
    idle = found.index[found["increase"] <= 2 * found["spread"]]
    silent = f" Not beyond {CHANCE}: {', '.join(idle)}." if len(idle) else ""
    return Answer(
        "groups",
        "Which kinds of features do predictions rest on?",
        "Bars: growth of the error by group of features",
        f"Predictions are off by {rmse:.3f} stars (root mean square). When all columns of a group are dealt out anew "
        f"among the ratings, the error grows most for {_grown(found)}.{silent}",
        _growths(found, found.index.tolist()),
    )


def _columns(found: pd.DataFrame, groups: dict[str, list[str]]) -> Answer:
    group_of = {column: group for group, columns in groups.items() for column in columns}
    labels = [f"{column} ({group_of[column]})" for column in found.index]
    n_telling = int((found["increase"] > 2 * found["spread"]).sum())
    return Answer(
        "columns",
        "Which single features matter most?",
        "Bars: growth of the error by feature",
        f"The error grows most for {_grown(found)}; for {n_telling} of the {len(found)} that lead it grows beyond "
        f"{CHANCE}. A feature shows little where others tell the same.",
        _growths(found, labels),
    )


def _dependences(model: RatingTrees, sample: Sample, columns: Sequence[str], seed: int) -> Answer:
    figure, panels = figures.panels(5.6, rows=3, columns=2, grid="y", sharey=True)
    rises = {}
    for panel, column in zip(panels, columns, strict=False):
        values, stars = dependence(model.trees, sample.frame, column, seed)
        mean = stars.mean(axis=0)
        panel.plot(values, stars[:N_LINES].T, color=figures.FAINT, linewidth=0.5)
        panel.plot(values, mean, color=figures.MAIN)
        panel.set_title(column, fontsize=SMALL + 1, loc="left")
        panel.set_ylim(*sample.scale)
        rises[column] = mean[-1] - mean[0]
    for panel in panels[len(columns) :]:
        panel.set_visible(False)
    figure.supylabel("predicted stars", fontsize=9.5, color=figures.MUTED)
    steepest = max(rises, key=lambda column: abs(rises[column]))
    low, high = ENDS
    return Answer(
        "dependence",
        "How do predictions follow the leading features?",
        "Lines: predicted stars by the value of a feature, for single ratings and on average",
        f'On average predictions move most with "{steepest}": by {rises[steepest]:+.2f} stars from its {low:.0%} to '
        f"its {high:.0%} quantile, with all else as it is. Thin lines are single ratings, the thick one is the "
        "mean.",
        figure,
    )


def _calibration(found: pd.DataFrame) -> Answer:
    figure, drawn = figures.axes(3.8, grid="both")
    ends = (found["predicted"].min(), found["predicted"].max())
    drawn.plot(ends, ends, color=figures.MUTED, linewidth=1, linestyle=DASHED)
    drawn.errorbar(
        found["predicted"], found["actual"], yerr=found["margin"], fmt="o", color=figures.MAIN, elinewidth=1.5
    )
    drawn.set(xlabel="predicted stars, mean of a tenth of the ratings", ylabel="actual stars")
    gaps = found["actual"] - found["predicted"]
    n_off = int((gaps.abs() > found["margin"]).sum())
    widest = found.iloc[int(np.argmax(gaps.abs()))]
    return Answer(
        "calibration",
        "Do ratings come out as high as predicted?",
        "Dots: mean actual stars by tenths of predicted stars",
        f"The tenth furthest off is predicted {widest['predicted']:.2f} and rated {widest['actual']:.2f} "
        f"± {widest['margin']:.2f} stars. {n_off} of {len(found)} tenths lie further from the line than their margin.",
        figure,
    )


def _errors(found: pd.DataFrame, rmse: float) -> Answer:
    unit = "root mean squared error, in stars"
    figure, _ = _dots(_labels(found), found["rmse"], found["margin"], rmse, f"all {rmse:.2f}", unit)
    told = []
    for kind, rows in found.groupby("kind", sort=False):
        told += [
            f"{row['rmse']:.2f} ± {row['margin']:.2f} for {_label(str(kind), row['band'])}"
            for row in rows.iloc[[0, -1]].to_dict("records")
        ]
    return Answer(
        "errors",
        "Are predictions better where more is known?",
        "Dots: error by the number of known ratings of user and of film",
        f"The error is {', '.join(told)}, counting those that were known.",
        figure,
    )


def _coverage(found: pd.DataFrame, asked: float) -> Answer:
    unit = "share of the ratings within their intervals"
    figure, drawn = _dots(_labels(found), found["mean"], found["margin"], asked, f"asked {percent(asked)}", unit)
    drawn.xaxis.set_major_formatter(PERCENT)
    everything, parts = found.iloc[0], found.iloc[1:]
    furthest = parts.iloc[int(np.argmax((parts["mean"] - asked).abs()))]
    name = _label(furthest["kind"], furthest["band"])
    quarters = parts[parts["kind"] == "interval"]
    return Answer(
        "coverage",
        "Do intervals hold as many ratings as asked?",
        "Dots: share of ratings within their intervals, for all and by kind of rating",
        f"Asked to hold {asked:.1%} of the ratings, intervals hold {everything['mean']:.1%} ± "
        f"{everything['margin']:.1%}. They are {everything['width']:.2f} stars wide on average, "
        f"{quarters['width'].iloc[0]:.2f} in the narrowest quarter and {quarters['width'].iloc[-1]:.2f} in the widest. "
        f"Furthest from what was asked: {name}, {furthest['mean']:.1%} ± {furthest['margin']:.1%}.",
        figure,
    )


def _growths(found: pd.DataFrame, labels: Sequence[str]) -> Figure:
    """Bars, with the growth of the error and its spread at their ends; where it shrank there is no bar."""
    figure, drawn = figures.axes(height_of(len(found)) + UNIT)
    texts = [f"{mean:.1f} ± {spread:.1f}" for mean, spread in 1000 * found[["increase", "spread"]].to_numpy()]
    charts.bars(drawn, labels, found["increase"].clip(lower=0).to_numpy(), texts)
    drawn.set_xlabel("growth, in thousandths of a star")
    return figure


def _dots(
    labels: Sequence[str], values: pd.Series, half_widths: pd.Series, level: float, name: str, unit: str
) -> tuple[Figure, Axes]:
    figure, drawn = figures.axes(height_of(len(values)) + UNIT, grid="x")
    charts.dots(drawn, labels, values.to_numpy(), half_widths.to_numpy(), level, name)
    drawn.set_xlabel(unit)
    return figure, drawn


def _grown(found: pd.DataFrame) -> str:
    """The first few, with the growth of the error and its spread."""
    return ", ".join(
        f'"{name}" ({row["increase"]:+.3f} ± {row["spread"]:.3f})' for name, row in found.head(NAMED).iterrows()
    )


def _labels(found: pd.DataFrame) -> list[str]:
    return [_label(kind, band) for kind, band in zip(found["kind"], found["band"], strict=True)]


def _label(kind: str, band: str) -> str:
    """A band in words: of users and films it is a number of ratings."""
    return f"{kind}s with {band} ratings" if kind in ("user", "film") else band
