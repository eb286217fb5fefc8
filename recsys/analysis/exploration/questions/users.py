"""The question whether groups of users (by gender, age or occupation) differ in how high they rate."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.exploration.questions.group_means import draw_dots, summarize_group_means
from recsys.analysis.exploration.questions.question import MIN_SIZE, Question
from recsys.analysis.exploration.questions.statistics import joint_margins

SECTION = "Users"


def draw_groups(rows: pd.DataFrame) -> Figure:
    """Draw the mean rating of each group with its interval, in a panel for each attribute (gender, age, occupation)."""
    attributes = list(rows["fact"].unique())
    sizes = [int((rows["fact"] == attribute).sum()) for attribute in attributes]
    margins = joint_margins(rows["error"])
    height = charts.MARGIN + charts.ROW * (len(rows) + len(attributes))
    fig, axes = figures.panels(height, len(attributes), grid="x", sharex=True, height_ratios=[n + 0.5 for n in sizes])
    for ax, attribute in zip(axes, attributes, strict=True):
        shown = rows["fact"] == attribute
        draw_dots(ax, rows[shown], margins[shown])
        ax.set_title(attribute.capitalize(), fontsize=10, loc="left", fontweight="bold")
    axes[-1].set_xlabel("mean rating, stars")
    return fig


def summarize_groups(rows: pd.DataFrame) -> str:
    """Name the groups whose mean ratings differ from the overall mean."""
    return f"{summarize_group_means(rows)} Groups with fewer than {MIN_SIZE} users are left out."


QUESTIONS = (
    Question(
        "groups", SECTION, "Do some groups of users rate higher than others?",
        "A dot with an interval for each group by gender, age and occupation: its mean rating.",
        draw_groups, summarize_groups, requires=("ratings", "people"), min_rows=2,
    ),
)  # fmt: skip
