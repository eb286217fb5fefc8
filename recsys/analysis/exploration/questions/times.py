"""Questions about the times of ratings: when users rate, and whether the mean rating drifts."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from scipy.stats import norm

from recsys.analysis import charts, figures
from recsys.analysis.charts import DASHED, SMALL, percent
from recsys.analysis.exploration.questions.question import Question
from recsys.analysis.exploration.questions.statistics import joint_margins, row_of_largest
from recsys.analysis.figures import MAIN, MUTED
from recsys.counted import counted

SECTION = "Times of rating"
NEGLIGIBLE_DRIFT = 0.1  # stars
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def draw_months(rows: pd.DataFrame) -> Figure:
    """Draw a column for each month."""
    fig, ax = figures.subplots(2.9, grid="y")
    ax.bar(rows["month"], rows["n"], width=26, align="edge", color=MAIN)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.set_ylabel("ratings per month")
    _format_dates(ax)
    return fig


def summarize_months(rows: pd.DataFrame) -> str:
    """State the busiest month, and the share of a month if ratings were spread evenly."""
    busiest = row_of_largest(rows, rows["n"])
    n_months = len(pd.period_range(rows["month"].min(), rows["month"].max(), freq="M"))
    return (
        f"The ratings span {counted(n_months, 'month')}. {percent(busiest['share'])} of them are from the busiest, "
        f"{busiest['month']:%B %Y}; an even share would be {percent(1 / n_months)}."
    )


def draw_hours(rows: pd.DataFrame) -> Figure:
    """Draw the share of ratings by day of the week and hour of the day."""
    grid = rows.pivot_table(index="weekday", columns="hour", values="share").to_numpy()
    fig, ax = figures.subplots(2.7)
    charts.heatmap(ax, grid, [day[:3] for day in DAYS], [str(hour) if hour % 3 == 0 else "" for hour in range(24)])
    ax.set_xlabel("hour of the day, UTC")
    ax.xaxis.set_label_position("top")
    colorbar = fig.colorbar(ax.images[0], ax=ax, location="bottom", aspect=40, shrink=0.6, format="{x:.1%}")
    colorbar.outline.set_visible(False)
    colorbar.set_label("share of ratings", fontsize=SMALL)
    return fig


def summarize_hours(rows: pd.DataFrame) -> str:
    """State the busiest and the quietest day and hour."""
    days, hours = (rows.groupby(unit)["share"].sum().to_numpy() for unit in ("weekday", "hour"))
    return (
        f"{DAYS[days.argmax()]} is the busiest day, with {percent(days.max())} of the ratings, and "
        f"{DAYS[days.argmin()]} the quietest ({percent(days.min())}; an even share is {percent(1 / 7)}). The busiest "
        f"hour begins at {hours.argmax()}:00 UTC ({percent(hours.max())}), the quietest at {hours.argmin()}:00 "
        f"({percent(hours.min())}; an even share is {percent(1 / 24)})."
    )


def draw_drift(rows: pd.DataFrame) -> Figure:
    """Draw the mean rating of each month or year with its interval."""
    fig, ax = figures.subplots(3.0, grid="y")
    ax.axhline(rows["overall"].iloc[0], color=MUTED, linewidth=1, linestyle=DASHED)
    margins = joint_margins(rows["error"])
    ax.errorbar(rows["period"], rows["mean"], yerr=margins, fmt="o-", color=MAIN, linewidth=1, markersize=5)
    ax.set_ylabel("mean rating, stars")
    _format_dates(ax)
    return fig


def summarize_drift(rows: pd.DataFrame) -> str:
    """State the change along the linear trend of all ratings, and whether it is negligible or may be due to chance."""
    change, margin = rows["change"].iloc[0], norm.ppf(0.975) * rows["change_error"].iloc[0]
    direction = "rises" if change > 0 else "falls"
    trend = (
        f"the linear trend of all ratings {direction} by {abs(change):.2f} ± {margin:.2f} stars from the first rating "
        "to the last (95% interval over users)"
    )
    if abs(change) <= margin:
        return f"There is no drift beyond chance: {trend}."
    if abs(change) < NEGLIGIBLE_DRIFT:
        return f"The mean drifts, but negligibly: {trend}."
    return f"The mean drifts: {trend}."


def _format_dates(ax: Axes) -> None:
    locator = AutoDateLocator(maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


QUESTIONS = (
    Question(
        "months", SECTION, "When were the ratings given?", "Columns: the number of ratings in each month.",
        draw_months, summarize_months, requires=("times",),
    ),
    Question(
        "hours", SECTION, "On which days and at which hours do users rate?",
        "A heatmap: the share of the ratings by day of the week and hour of the day.",
        draw_hours, summarize_hours, requires=("times",),
    ),
    Question(
        "drift", SECTION, "Does the mean rating drift?",
        "Dots with intervals: the mean rating of each month or year.",
        draw_drift, summarize_drift, requires=("ratings", "times"), min_rows=2,
    ),
)  # fmt: skip
