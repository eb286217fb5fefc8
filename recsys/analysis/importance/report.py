"""The report on a tree ensemble: a page with questions, each answered by a figure and a computed finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.charts import DASHED, SMALL, height_of, percent, percent_ticks
from recsys.analysis.importance.accuracy import calibration, coverage, errors
from recsys.analysis.importance.dependence import QUANTILES, dependence, has_dependence
from recsys.analysis.importance.permutation import importances
from recsys.analysis.importance.sample import Sample, draw_sample
from recsys.analysis.page import first_sentence, write_page
from recsys.data.split import Split
from recsys.errors import LARGEST
from recsys.models.rating_trees import RatingTrees

PAGE = "report.html"
N_REPEATS = 5  # permutations of each block of columns
N_LISTED = 20  # single features in the figure
N_NAMED = 3  # features named in a sentence
N_PANELS = 6  # panels of partial dependence
N_LINES = 40  # individual curves in a panel
CHANCE = "two standard deviations over the permutations"
AXIS_LABEL = 0.3  # inches, height of a label below the axis


@dataclass(frozen=True)
class Answer:
    """A question about a tree ensemble, with its figure and its finding.

    Attributes:
        name: name of the figure's files, without ending.
        question: the question itself.
        alt_text: description of the figure for readers who cannot see it.
        finding: one or more sentences.
        fig: the figure.
    """

    name: str
    question: str
    alt_text: str
    finding: str
    fig: Figure


def write_report(directory: Path, model: RatingTrees, split: Split, seed: int) -> list[Answer]:
    """Inspect a model on test ratings, and write `report.html`, which is self-contained, and the figures.

    Args:
        directory: directory of the report, created if it does not exist.
        model: final model of the run.
        split: split of the run.
        seed: seed of the random sample of test ratings and of the permutations.

    Returns:
        The answers in the order in which they are on the page.
    """
    sample = draw_sample(model, split.test, seed)
    with figures.style():
        answers = inspect(model, sample, seed)
        images = [figures.data_uri(answer.fig) for answer in answers]
        directory.mkdir(exist_ok=True)
        for answer in answers:
            figures.save(answer.fig, directory, answer.name, answer.question)
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
        summary=[(answer.question, first_sentence(answer.finding)) for answer in answers],
        cards=list(zip(answers, images, strict=True)),
    )
    return answers


def inspect(model: RatingTrees, sample: Sample, seed: int) -> list[Answer]:
    """Answer the questions that apply to a model, in the order of the page. Must be called within `figures.style()`.

    Args:
        model: fitted tree ensemble.
        sample: ratings on which the model is inspected.
        seed: seed of the permutations and of the draw of ratings for partial dependence.
    """
    singles = {column: [column] for columns in sample.groups.values() for column in columns}
    by_group = importances(model.trees, sample, sample.groups, N_REPEATS, seed, "groups of features")
    leading = importances(model.trees, sample, singles, 1, seed, "all features").index[:N_LISTED]
    # The leading columns were selected partly by chance, so they are measured again with other permutations.
    selected = {column: singles[column] for column in leading}
    by_column = importances(model.trees, sample, selected, N_REPEATS, (seed + 1) % (LARGEST + 1), "leading features")
    # Two cards are side by side on the page: the first two figures are low, the next two high.
    answers = [_answer_groups(by_group, sample.rmse), _answer_calibration(calibration(sample))]
    answers.append(_answer_columns(by_column, sample.groups))
    if columns := [column for column in by_column.index if has_dependence(sample.frame[column])][:N_PANELS]:
        answers.append(_answer_dependence(model, sample, columns, seed))
    answers.append(_answer_errors(errors(sample), sample.rmse))
    if sample.intervals is not None:
        answers.append(_answer_coverage(coverage(sample, sample.intervals), sample.intervals.level))
    for answer in answers:
        figures.freeze_layout(answer.fig)
    return answers


def _answer_groups(table: pd.DataFrame, rmse: float) -> Answer:
    idle = table.index[table["increase"] <= 2 * table["spread"]]
    without_effect = f" The growth is within {CHANCE} for {', '.join(idle)}." if len(idle) else ""
    return Answer(
        "groups",
        "Which groups of features do predictions depend on?",
        "Bars: growth of the error by group of features",
        f"When the values of a group are shuffled among the ratings, and so carry no information, the error of "
        f"{rmse:.3f} stars grows most for {_list_growth(table)}.{without_effect}",
        _draw_growth(table, table.index.tolist()),
    )


def _answer_columns(table: pd.DataFrame, groups: dict[str, list[str]]) -> Answer:
    group_of = {column: group for group, columns in groups.items() for column in columns}
    labels = [f"{column} ({group_of[column]})" for column in table.index]
    n_significant = int((table["increase"] > 2 * table["spread"]).sum())
    return Answer(
        "columns",
        "Which single features matter most?",
        "Bars: growth of the error by feature",
        f"The error grows most for {_list_growth(table)}. The growth exceeds {CHANCE} for {n_significant} of the "
        f"{len(table)} leading features. A feature has little effect where others carry the same information.",
        _draw_growth(table, labels),
    )


def _answer_dependence(model: RatingTrees, sample: Sample, columns: Sequence[str], seed: int) -> Answer:
    fig, axes = figures.panels(5.6, rows=3, columns=2, grid="y", sharey=True)
    changes = {}
    for ax, column in zip(axes, columns, strict=False):
        values, stars = dependence(model.trees, sample.frame, column, seed)
        mean = stars.mean(axis=0)
        ax.plot(values, stars[:N_LINES].T, color=figures.FAINT, linewidth=0.5)
        ax.plot(values, mean, color=figures.MAIN)
        ax.set_title(column, fontsize=SMALL + 1, loc="left")
        ax.set_ylim(*sample.scale)
        changes[column] = mean[-1] - mean[0]
    for ax in axes[len(columns) :]:
        ax.set_visible(False)
    fig.supylabel("predicted stars", fontsize=9.5, color=figures.MUTED)
    steepest = max(changes, key=lambda column: abs(changes[column]))
    low, high = QUANTILES
    return Answer(
        "dependence",
        "How do predictions change with the leading features?",
        "Lines: predicted stars by the value of a feature, for single ratings and on average",
        f'Predictions change most with "{steepest}": on average by {changes[steepest]:+.2f} stars from its {low:.0%} '
        f"to its {high:.0%} quantile, with all other features unchanged. Thin lines are single ratings, thick lines "
        "their mean.",
        fig,
    )


def _answer_calibration(table: pd.DataFrame) -> Answer:
    fig, ax = figures.subplots(3.8, grid="both")
    ends = (table["predicted"].min(), table["predicted"].max())
    ax.plot(ends, ends, color=figures.MUTED, linewidth=1, linestyle=DASHED)
    ax.errorbar(table["predicted"], table["actual"], yerr=table["margin"], fmt="o", color=figures.MAIN, elinewidth=1.5)
    ax.set(xlabel="predicted stars, mean of a tenth of the ratings", ylabel="actual stars")
    gaps = table["actual"] - table["predicted"]
    n_off = int((gaps.abs() > table["margin"]).sum())
    worst = table.iloc[int(np.argmax(gaps.abs()))]
    return Answer(
        "calibration",
        "Are ratings as high as predicted?",
        "Dots: mean actual stars by tenths of predicted stars",
        f"The largest gap is in the tenth with a mean prediction of {worst['predicted']:.2f} stars, whose mean rating "
        f"is {worst['actual']:.2f} ± {worst['margin']:.2f}. In {n_off} of {len(table)} tenths the gap exceeds the "
        "margin.",
        fig,
    )


def _answer_errors(table: pd.DataFrame, rmse: float) -> Answer:
    unit = "root mean squared error, in stars"
    fig, _ = _draw_dots(_labels(table), table["rmse"], table["margin"], rmse, f"all {rmse:.2f}", unit)
    extremes = [
        f"{row['rmse']:.2f} ± {row['margin']:.2f} for {_label(str(kind), row['band'])}"
        for kind, rows in table.groupby("kind", sort=False)
        for row in rows.iloc[[0, -1]].to_dict("records")
    ]
    return Answer(
        "errors",
        "Are predictions better where more ratings are known?",
        "Dots: error by the number of known ratings of user and of film",
        f"The error is {', '.join(extremes)}, by the number of ratings known before the test.",
        fig,
    )


def _answer_coverage(table: pd.DataFrame, level: float) -> Answer:
    unit = "share of the ratings within their intervals"
    fig, ax = _draw_dots(_labels(table), table["mean"], table["margin"], level, f"nominal {percent(level)}", unit)
    percent_ticks(ax.xaxis)
    total, parts = table.iloc[0], table.iloc[1:]
    worst = parts.iloc[int(np.argmax((parts["mean"] - level).abs()))]
    quarters = parts[parts["kind"] == "interval"]
    return Answer(
        "coverage",
        "Do intervals contain the nominal share of ratings?",
        "Dots: share of ratings within their intervals, for all and by kind of rating",
        f"Intervals at the {level:.1%} level contain {total['mean']:.1%} ± {total['margin']:.1%} of the ratings. They "
        f"are {total['width']:.2f} stars wide on average, {quarters['width'].iloc[0]:.2f} in the narrowest quarter and "
        f"{quarters['width'].iloc[-1]:.2f} in the widest. The coverage furthest from nominal is that of the "
        f"{_label(worst['kind'], worst['band'])}, {worst['mean']:.1%} ± {worst['margin']:.1%}.",
        fig,
    )


def _draw_growth(table: pd.DataFrame, labels: Sequence[str]) -> Figure:
    """Draw a bar for each block of columns: how much the error grows when the block is permuted.

    The mean and the standard deviation of the growth are written beside the bar. If the error shrinks, there is no bar.

    Args:
        table: result of `importances`.
        labels: label of each block, in the order of the table.
    """
    fig, ax = figures.subplots(height_of(len(table)) + AXIS_LABEL)
    texts = [f"{mean:.1f} ± {spread:.1f}" for mean, spread in 1000 * table[["increase", "spread"]].to_numpy()]
    charts.bars(ax, labels, table["increase"].clip(lower=0).to_numpy(), texts)
    ax.set_xlabel("growth, in thousandths of a star")
    return fig


def _draw_dots(
    labels: Sequence[str],
    values: pd.Series,
    half_widths: pd.Series,
    reference: float,
    reference_label: str,
    unit: str,
) -> tuple[Figure, Axes]:
    fig, ax = figures.subplots(height_of(len(values)) + AXIS_LABEL, grid="x")
    charts.dots(ax, labels, values.to_numpy(), half_widths.to_numpy(), reference, reference_label)
    ax.set_xlabel(unit)
    return fig, ax


def _list_growth(table: pd.DataFrame) -> str:
    """List the first `N_NAMED` blocks of a table from `importances`, with the growth of the error and its spread."""
    return ", ".join(
        f'"{name}" ({row["increase"]:+.3f} ± {row["spread"]:.3f})' for name, row in table.head(N_NAMED).iterrows()
    )


def _labels(table: pd.DataFrame) -> list[str]:
    return [_label(kind, band) for kind, band in zip(table["kind"], table["band"], strict=True)]


def _label(kind: str, band: str) -> str:
    """Describe a group of ratings in words, such as "users with 20-35 ratings"; see `coverage` for kinds and bands."""
    return f"{kind}s with {band} ratings" if kind in ("user", "film") else band
