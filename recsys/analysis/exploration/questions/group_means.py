"""Mean ratings of groups of films or users, compared with the mean of all ratings."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.exploration.questions.statistics import joint_margins

INTERVALS = "The lines (±) contain all true means with 95% confidence."
N_NAMED = 3  # groups named in a sentence


def draw_group_means(rows: pd.DataFrame) -> Figure:
    """Draw the mean rating of each group in the rows with its joint 95% interval; see `joint_margins`."""
    fig, ax = figures.subplots(charts.height_of(len(rows)), grid="x")
    draw_dots(ax, rows, joint_margins(rows["error"]))
    ax.set_xlabel("mean rating, stars")
    return fig


def draw_dots(ax: Axes, rows: pd.DataFrame, margins: pd.Series) -> None:
    """Draw the mean rating of each group as a dot with an interval; a vertical line marks the overall mean.

    Args:
        ax: axes to draw into.
        rows: a row for each group; see `summarize_group_means`.
        margins: half widths of the intervals, in the order of the rows.
    """
    labels, overall = rows["group"].tolist(), rows["overall"].iloc[0]
    charts.dots(ax, labels, rows["mean"].to_numpy(), margins.to_numpy(), overall, f"all {overall:.2f}")


def summarize_group_means(rows: pd.DataFrame) -> str:
    """State which groups' means differ from the overall mean by more than chance explains, in one or more sentences.

    A mean differs by more than chance if its joint 95% interval (see `joint_margins`) excludes the overall mean. Up to
    `N_NAMED` groups above the overall mean, and up to `N_NAMED` below it, are named, those that differ most first.
    Further groups are only counted.

    Args:
        rows: a row for each group: `group` (its name), `mean` (its mean rating), `error` (the standard error of the
            mean) and `overall` (the mean of all ratings, the same in each row).
    """
    overall, margins = rows["overall"].iloc[0], joint_margins(rows["error"])
    above, below = rows["mean"] - margins > overall, rows["mean"] + margins < overall
    sentences = [
        f"{direction} the overall mean ({overall:.2f}): {_named(rows[is_different], margins, ascending)}."
        for direction, is_different, ascending in (("Above", above, False), ("Below", below, True))
        if is_different.any()
    ]
    if not sentences:
        sentences = [f"All differences from the overall mean ({overall:.2f}) may be due to chance."]
    elif not (above | below).all():
        sentences.append("The other differences may be due to chance.")
    return " ".join([*sentences, INTERVALS])


def _named(rows: pd.DataFrame, margins: pd.Series, ascending: bool) -> str:
    """Name up to `N_NAMED` groups with their means, sorted by mean, and say how many further groups there are."""
    ordered = rows.sort_values("mean", ascending=ascending)
    named = [
        f"{group} ({mean:.2f} ± {margin:.2f})"
        for group, mean, margin in zip(ordered["group"], ordered["mean"], margins[ordered.index], strict=True)
    ][:N_NAMED]
    return ", ".join(named) + (f" and {len(rows) - N_NAMED} more" if len(rows) > N_NAMED else "")
