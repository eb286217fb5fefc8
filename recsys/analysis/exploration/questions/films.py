"""Questions about single films: which have the highest and the most divided ratings."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.exploration.questions.question import DAMPING, Question
from recsys.counted import counted

SECTION = "Films"


def draw_films(rows: pd.DataFrame) -> Figure:
    """Draw the distribution of each film's ratings, with the damped statistic that orders the films."""
    fig, ax = figures.subplots(0.55 + 0.42 * len(rows))
    damped = [f"{value:.2f}" for value in rows["damped"]]
    charts.rating_bars(ax, rows["film"].tolist(), rows["stars"].tolist(), rows["scale"].iloc[0], damped)
    return fig


def summarize_loved(rows: pd.DataFrame) -> str:
    """State the film with the highest damped mean, and how damping works."""
    best = rows.iloc[0]
    return (
        f"{best['film']} is rated highest: {counted(best['n'], 'rating')} with a mean of {best['mean']:.2f}, or "
        f"{best['damped']:.2f} when damped. (Damping adds {DAMPING} ratings equal to the overall mean to every film, "
        "so that a few high ratings do not suffice to lead the list.)"
    )


def summarize_divisive(rows: pd.DataFrame) -> str:
    """State the film with the largest damped standard deviation, and how damping works."""
    worst = rows.iloc[0]
    return (
        f"{worst['film']} divides users most: the standard deviation of its {worst['n']:,} ratings is "
        f"{worst['spread']:.2f} stars, or {worst['damped']:.2f} when damped. (Damping adds {DAMPING} ratings with the "
        "average film's spread to every film.)"
    )


QUESTIONS = (
    Question(
        "loved", SECTION, "Which films are rated highest?",
        "A bar for each film, divided by the number of stars that users gave, and the film's damped mean.",
        draw_films, summarize_loved, requires=("ratings",),
    ),
    Question(
        "divisive", SECTION, "Which films divide users most?",
        "A bar for each film, divided by the number of stars that users gave, and the damped standard deviation.",
        draw_films, summarize_divisive, requires=("ratings",),
    ),
)  # fmt: skip
