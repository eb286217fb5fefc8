"""Questions about years of release: how old the rated films are, and whether older films are rated higher."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.charts import height_of, percent
from recsys.analysis.exploration.questions.group_means import draw_group_means, summarize_group_means
from recsys.analysis.exploration.questions.question import MIN_SIZE, Question
from recsys.analysis.exploration.questions.statistics import row_of_largest

SECTION = "Years of release"


def draw_decades(rows: pd.DataFrame) -> Figure:
    """Draw each decade's share of the films and of the ratings."""
    fig, ax = figures.subplots(height_of(len(rows)), grid="x")
    labels = [f"{decade}s" for decade in rows["decade"]]
    names = ("share of films", "share of ratings")
    charts.dumbbells(ax, labels, rows["films"].to_numpy(), rows["ratings"].to_numpy(), names)
    return fig


def summarize_decades(rows: pd.DataFrame) -> str:
    """State the decade with the most ratings, and the decade with the most ratings per film."""
    lift = rows["ratings"] / rows["films"]
    most, over = row_of_largest(rows, rows["ratings"]), row_of_largest(rows, lift)
    return (
        f"Films of the {most['decade']:.0f}s are {percent(most['films'])} of the films and receive "
        f"{percent(most['ratings'])} of the ratings. A film of the {over['decade']:.0f}s receives the most, "
        f"{lift.max():.1f} times the average."
    )


def summarize_decade_means(rows: pd.DataFrame) -> str:
    """Name the decades whose mean ratings differ from the overall mean."""
    return f"{summarize_group_means(rows)} Decades with fewer than {MIN_SIZE} films are left out."


QUESTIONS = (
    Question(
        "decades", SECTION, "How old are the films that users rate?",
        "Two dots for each decade: its share of the films and its share of the ratings.",
        draw_decades, summarize_decades, requires=("years",),
    ),
    Question(
        "decade_means", SECTION, "Are older films rated higher?",
        "A dot with an interval for each decade: the mean rating of its films.",
        draw_group_means, summarize_decade_means, requires=("ratings", "years"), min_rows=2,
    ),
)  # fmt: skip
