"""Questions about the times of ratings: when users rate, and whether the mean rating drifts."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from scipy.stats import norm

from recsys.analysis import charts, figures
from recsys.analysis.charts import DASHED, SMALL, percent
from recsys.analysis.exploration.questions.group_means import N_NAMED
from recsys.analysis.exploration.questions.question import Question
from recsys.analysis.exploration.questions.statistics import joint_margins, row_of_largest
from recsys.analysis.figures import MAIN, MUTED

SECTION = "Times of rating"
NEGLIGIBLE_DRIFT = 0.1  # stars
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def draw_months(rows: pd.DataFrame) -> Figure:
    """Draw the number of ratings in each month as a column."""
    fig, ax = figures.subplots(2.9, grid="y")
    ax.bar(rows["month"], rows["n"], width=26, align="edge", color=MAIN)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.set_ylabel("ratings per month")
    _format_dates(ax)
    return fig


def summarize_months(rows: pd.DataFrame) -> str:
    """State the dates of the first and last rating, and which shares of ratings and of days the busiest month has."""
    busiest = row_of_largest(rows, rows["n"])
    days = pd.date_range(busiest["first"].normalize(), busiest["last"].normalize())
    even = float((days.to_period("M") == busiest["month"].to_period("M")).mean())
    first, last = (f"{day.day} {day:%B %Y}" for day in (days[0], days[-1]))
    dates = f"The ratings are from {first} to {last}." if len(days) > 1 else f"All ratings are from {first}."
    if len(rows) == 1:
        return dates
    return (
        f"{dates} {percent(busiest['share'])} of them are from the busiest month, "
        f"{busiest['month']:%B %Y}; its even share, by days, would be {percent(even)}."
    )


def draw_weekdays(rows: pd.DataFrame) -> Figure:
    """Draw, with an interval, how much each day of the week differs from the average day in its number of ratings."""
    fig, ax = figures.subplots(charts.height_of(len(rows)), grid="x")
    lifts, margins = _lifts(rows["share"], rows["even"], rows["error"])
    labels = [DAYS[weekday - 1] for weekday in rows["weekday"]]
    charts.dots(ax, labels, lifts.to_numpy(), margins.to_numpy(), 0, "average day")
    charts.percent_ticks(ax.xaxis, signed=True)
    ax.set_xlabel("number of ratings, relative to the average day (UTC)")
    return fig


def summarize_weekdays(rows: pd.DataFrame) -> str:
    """Name the days of the week with more or fewer ratings than the average day, by more than chance explains."""
    lifts, margins = _lifts(rows["share"], rows["even"], rows["error"])
    names = [DAYS[weekday - 1] for weekday in rows["weekday"]]
    return _summarize_lifts("day of the week", "on the average day", names, lifts, margins)


def draw_hours(rows: pd.DataFrame) -> Figure:
    """Draw a heatmap of the share of ratings by day of the week and hour of the day."""
    grid = rows.pivot_table(index="weekday", columns="hour", values="share").to_numpy()
    fig, ax = figures.subplots(2.7)
    charts.heatmap(ax, grid, [day[:3] for day in DAYS], [str(hour) if hour % 3 == 0 else "" for hour in range(24)])
    ax.set_xlabel("hour of the day, UTC")
    ax.xaxis.set_label_position("top")
    colorbar = fig.colorbar(ax.images[0], ax=ax, location="bottom", aspect=40, shrink=0.6)
    charts.percent_ticks(colorbar.ax.xaxis)
    colorbar.outline.set_visible(False)
    colorbar.set_label("share of ratings", fontsize=SMALL)
    return fig


def summarize_hours(rows: pd.DataFrame) -> str:
    """Name the hours of the day with more or fewer ratings than the average hour, by more than chance explains."""
    hours = rows.drop_duplicates("hour")
    lifts, margins = _lifts(hours["hour_share"], hours["even"], hours["error"])
    names = [f"{hour}:00" for hour in hours["hour"]]
    return _summarize_lifts("hour of the day", "in the average hour (UTC)", names, lifts, margins)


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
    """State the change of ratings along a linear trend, and whether it is negligible or may be due to chance."""
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


def _lifts(shares: pd.Series, even: pd.Series, errors: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the relative differences of shares from even shares, and half widths of their joint 95% intervals.

    Args:
        shares: share of the ratings in each period, such as a day of the week.
        even: share that each period would have if ratings were spread evenly over time.
        errors: standard errors of `shares`.
    """
    return shares / even - 1, joint_margins(errors) / even


def _summarize_lifts(period: str, average: str, names: list[str], lifts: pd.Series, margins: pd.Series) -> str:
    """Name the periods with more or fewer ratings than the average period, by more than chance explains.

    Args:
        period: what a period is called, such as "day of the week".
        average: phrase for the average period, such as "on the average day".
        names: names of the periods.
        lifts: relative differences from the average period; see `_lifts`.
        margins: half widths of the intervals of `lifts`.
    """
    rows = pd.DataFrame({"name": names, "lift": lifts.to_numpy(), "margin": margins.to_numpy()})
    more, fewer = rows[rows["lift"] > rows["margin"]], rows[rows["lift"] < -rows["margin"]]
    if more.empty and fewer.empty:
        return f"No {period} has more or fewer ratings than the others by more than chance explains."
    sentences = [
        f"{direction} ratings than {average}: {_named(different, ascending)}."
        for direction, different, ascending in (("More", more, False), ("Fewer", fewer, True))
        if not different.empty
    ]
    if len(more) + len(fewer) < len(rows):
        sentences.append("The other differences may be due to chance.")
    return " ".join(sentences)


def _named(rows: pd.DataFrame, ascending: bool) -> str:
    """Name up to `N_NAMED` periods, sorted by their difference from the average, and say how many more there are."""
    first = rows.sort_values("lift", ascending=ascending).head(N_NAMED)
    named = [f"{row.name} ({row.lift:+.0%} ± {row.margin:.0%})" for row in first.itertuples(index=False)]
    return ", ".join(named) + (f" and {len(rows) - N_NAMED} more" if len(rows) > N_NAMED else "")


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
        "weekdays", SECTION, "On which days of the week do users rate?",
        "A dot with an interval for each day of the week: how its number of ratings differs from the average day's.",
        draw_weekdays, summarize_weekdays, requires=("times",),
    ),
    Question(
        "hours", SECTION, "At which hours do users rate?",
        "A heatmap: the share of the ratings by day of the week and hour of the day.",
        draw_hours, summarize_hours, requires=("times", "hours"),
    ),
    Question(
        "drift", SECTION, "Does the mean rating drift?",
        "Dots with intervals: the mean rating of each month or year.",
        draw_drift, summarize_drift, requires=("ratings", "times"), min_rows=2,
    ),
)  # fmt: skip
