"""Questions about the genres that groups of users prefer, compared with all other users."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.charts import height_of, percent
from recsys.analysis.exploration.questions.question import MIN_SIZE, Question
from recsys.analysis.exploration.questions.statistics import joint_margins, row_of_largest
from recsys.analysis.exploration.questions.users import SECTION
from recsys.analysis.figures import BELOW_ABOVE

MAX_SHADED_LIFT = 0.5  # larger lifts have the last colour of the scale


def draw_tastes(rows: pd.DataFrame) -> Figure:
    """Draw a heatmap: the relative difference in each genre's share of ratings between a group and all other users."""
    groups, genres = (rows[name].unique().tolist() for name in ("group", "genre"))
    grid = rows.assign(lift=_lifts(rows)).pivot_table(index="genre", columns="group", values="lift", dropna=False)
    values = grid.reindex(index=genres, columns=groups).to_numpy()
    texts = charts.cell_texts(values, lambda lift: "·" if np.isnan(lift) else f"{lift:+.0%}")
    fig, ax = figures.subplots(height_of(len(genres)))
    names = [group.replace(" ", "\n", 1) for group in groups]
    charts.heatmap(ax, values, genres, names, texts, BELOW_ABOVE, (-MAX_SHADED_LIFT, MAX_SHADED_LIFT))
    return fig


def summarize_tastes(rows: pd.DataFrame) -> str:
    """State the largest relative difference, in a genre's share of ratings, between a group and all other users."""
    lifts = _lifts(rows)
    if lifts.isna().all():
        return "No group gives a genre more or less of its ratings than other users do, by more than chance explains."
    strongest = row_of_largest(rows, lifts.abs())
    direction = "more" if strongest["share"] > strongest["share_else"] else "less"
    return (
        f"The strongest difference is that of '{strongest['group']}' for {strongest['genre']}: "
        f"{percent(strongest['share'])} of the group's ratings, {percent(lifts.abs().max())} {direction} than of other "
        f"users' ratings ({percent(strongest['share_else'])}). A dot marks a difference that may be due to chance; "
        f"groups with fewer than {MIN_SIZE} users are left out."
    )


def draw_favourites(rows: pd.DataFrame) -> Figure:
    """Draw a bar for each group: the genre it prefers most, and by how much; groups without a preference come last."""
    favourites = _favourites(rows)
    others = [group for group in rows["group"].unique() if group not in set(favourites["group"])]
    texts = [f"{genre} {lift:+.0%}" for genre, lift in zip(favourites["genre"], favourites["lift"], strict=True)]
    lifts = np.concatenate((favourites["lift"], np.zeros(len(others))))
    fig, ax = figures.subplots(height_of(len(lifts)))
    charts.bars(ax, [*favourites["group"], *others], lifts, texts + ["none beyond chance"] * len(others))
    return fig


def summarize_favourites(rows: pd.DataFrame) -> str:
    """State the strongest preference of a group for a genre, and how many groups have a preference."""
    favourites, n_groups = _favourites(rows), rows["group"].nunique()
    if favourites.empty:
        return f"None of the {n_groups} groups prefers a genre by more than chance explains."
    first = favourites.iloc[0]
    return (
        f"The strongest preference is that of '{first['group']}' for {first['genre']}: {percent(first['share'])} of "
        f"the group's ratings, against {percent(first['share_else'])} of other users'. {len(favourites)} of {n_groups} "
        f"groups prefer a genre by more than chance explains; groups with fewer than {MIN_SIZE} users are left out."
    )


def _lifts(rows: pd.DataFrame) -> pd.Series:
    """Return the lift of each row, which is a group and a genre.

    The lift is the relative difference between the genre's share of the group's ratings and its share of other users'
    ratings. It is NaN if the difference may be due to chance.
    """
    difference = rows["share"] - rows["share_else"]
    return (difference / rows["share_else"]).where(difference.abs() > joint_margins(rows["error"]))


def _favourites(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the row of each group's most preferred genre, the strongest preference first.

    Groups without a preference that exceeds chance have no row.
    """
    preferred = rows.assign(lift=_lifts(rows)).query("lift > 0").sort_values("lift", ascending=False)
    return preferred.drop_duplicates("group")


QUESTIONS = (
    Question(
        "tastes_gender", SECTION, "Do tastes differ by gender?",
        "A heatmap of genres and genders: how much more or less of a group's ratings go to a genre than of others'.",
        draw_tastes, summarize_tastes, ("genres", "people", "gender"), "tastes", {"fact": "gender"},
    ),
    Question(
        "tastes_age", SECTION, "Do tastes differ by age?",
        "A heatmap of genres and age groups: how much more or less of a group's ratings go to a genre than of others'.",
        draw_tastes, summarize_tastes, ("genres", "people", "age"), "tastes", {"fact": "age"},
    ),
    Question(
        "tastes_occupation", SECTION, "What does each occupation prefer?",
        "A bar for each occupation: the genre that receives more of its ratings than of others', and by how much.",
        draw_favourites, summarize_favourites, ("genres", "people", "occupation"), "tastes", {"fact": "occupation"},
    ),
)  # fmt: skip
