"""Questions about individual films: which are rated highest, and which divide users most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.exploration.questions.question import DAMPING, Question
from recsys.counted import counted

SECTION = "Films"
MAX_STEPS = 10  # numbers of stars that have a colour each; more are drawn in classes
MAX_CLASSES = 5


def draw_films(rows: pd.DataFrame) -> Figure:
    """Draw the distribution of each film's ratings, with the damped mean or deviation that orders the films."""
    fig, ax = figures.subplots(0.55 + 0.42 * len(rows))
    damped = [f"{value:.2f}" for value in rows["damped"]]
    classes = star_classes(np.asarray(rows["scale"].iloc[0]))
    counts = [_count_by_class(stars, classes) for stars in rows["stars"]]
    charts.rating_bars(ax, rows["film"].tolist(), counts, list(dict.fromkeys(classes.values())), damped)
    return fig


def star_classes(scale: np.ndarray) -> dict[float, str]:
    """Return the label under which each number of stars is drawn.

    The label is the number itself, such as `4`, or, on scales with more than `MAX_STEPS` numbers, a range that includes
    it, such as `3 to 4`.

    Args:
        scale: all possible numbers of stars, ascending.
    """
    if len(scale) <= MAX_STEPS:
        return {stars: f"{stars:g}" for stars in scale}
    members = np.digitize(scale, charts.class_edges(scale, MAX_CLASSES)[1:-1])
    limits = pd.Series(scale).groupby(members).agg(["min", "max"])
    texts = limits.map(lambda stars: f"{stars:.3g}")
    names = texts["min"].where(texts["min"] == texts["max"], texts["min"] + " to " + texts["max"])
    return {stars: names[member] for stars, member in zip(scale, members, strict=True)}


def summarize_loved(rows: pd.DataFrame) -> str:
    """State the film with the highest damped mean rating, and explain damping."""
    best = rows.iloc[0]
    return (
        f"{best['film']} is rated highest: {counted(best['n'], 'rating')} with a mean of {best['mean']:.2f}, or "
        f"{best['damped']:.2f} when damped. (Damping adds {DAMPING} ratings equal to the overall mean to every film, "
        "so that a few high ratings do not suffice to lead the list.)"
    )


def summarize_divisive(rows: pd.DataFrame) -> str:
    """State the film whose ratings have the largest damped standard deviation, and explain damping."""
    worst = rows.iloc[0]
    return (
        f"{worst['film']} divides users most: the standard deviation of its {worst['n']:,} ratings is "
        f"{worst['spread']:.2f} stars, or {worst['damped']:.2f} when damped. (Damping adds {DAMPING} ratings with the "
        "average film's spread to every film.)"
    )


def _count_by_class(stars: Mapping[float, int], classes: Mapping[float, str]) -> Counter[str]:
    """Return the number of a film's ratings in each class.

    Args:
        stars: number of the film's ratings, keyed by the number of stars.
        classes: label of the class to which each number of stars belongs; see `star_classes`.
    """
    counts: Counter[str] = Counter()
    for rating, n in stars.items():
        counts[classes[rating]] += n
    return counts


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
