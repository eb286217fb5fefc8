"""Questions about the amount of data: the distribution of stars, the density, and the ratings per film and per user."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.charts import DASHED, SMALL, percent
from recsys.analysis.exploration.questions.question import MIN_SIZE, Question
from recsys.analysis.exploration.questions.statistics import row_of_largest
from recsys.analysis.figures import MAIN, MUTED, OTHER, PAPER
from recsys.counted import counted

SECTION = "Amount of data"


def draw_stars(rows: pd.DataFrame) -> Figure:
    """Draw a column for each number of stars: its share of the ratings. Many numbers of stars are grouped in ranges."""
    fig, ax = figures.subplots(2.9)
    charts.columns(ax, rows["rating"].to_numpy(), rows["share"].to_numpy())
    ax.set_xlabel("stars")
    return fig


def summarize_stars(rows: pd.DataFrame) -> str:
    """State the mean rating, the most frequent rating, and the share of ratings above the midpoint of the scale."""
    mean, mode = (rows["rating"] * rows["share"]).sum(), row_of_largest(rows, rows["share"])
    midpoint = (rows["rating"].min() + rows["rating"].max()) / 2
    above = rows.loc[rows["rating"] > midpoint, "share"].sum()
    return (
        f"The mean rating is {mean:.2f} stars and the most frequent rating is {mode['rating']:g} "
        f"({percent(mode['share'])}); {percent(above)} of the ratings are above {midpoint:g}, the midpoint between the "
        "lowest and the highest."
    )


def draw_filling(rows: pd.DataFrame) -> Figure:
    """Draw a heatmap of the density of the rating matrix for each tenth of the users and each tenth of the films."""
    grid = rows.pivot_table(index="user_tenth", columns="film_tenth", values="share")
    fig, ax = figures.subplots(4.4)
    users, films = ([str(tenth) for tenth in tenths] for tenths in (grid.index, grid.columns))
    charts.heatmap(ax, grid.to_numpy(), users, films, charts.cell_texts(grid.to_numpy(), percent))
    ax.set_xlabel("tenths of the films, the most rated first")
    ax.set_ylabel("tenths of the users, the most active first")
    ax.xaxis.set_label_position("top")
    return fig


def summarize_filling(rows: pd.DataFrame) -> str:
    """State the density of the rating matrix, overall and for the most active users and most rated films."""
    overall = rows["n"].sum() / rows["n_pairs"].sum()
    return (
        f"{percent(overall)} of all pairs of a user and a film are rated; for the most active tenth of the users and "
        f"the most rated tenth of the films, it is {percent(rows['share'].iloc[0])}."
    )


def draw_concentration(rows: pd.DataFrame) -> Figure:
    """Draw the cumulative share of ratings over the share of films, sorted from the most rated (a Lorenz curve)."""
    fig, ax = figures.subplots(3.6, grid="both")
    films, ratings = _lorenz_curve(rows)
    ax.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle=DASHED)
    ax.annotate(
        "equal numbers of ratings", (0.62, 0.62), (6, -12), textcoords="offset points", color=MUTED, fontsize=SMALL
    )
    ax.plot(films, ratings, color=MAIN)
    tenth = np.interp(0.1, films, ratings)
    ax.plot(0.1, tenth, "o", color=OTHER, markersize=7)
    ax.annotate(
        f"10% of films: {percent(tenth)}", (0.1, tenth), (8, -4), textcoords="offset points", backgroundcolor=PAPER
    )
    ax.set(xlabel="share of films, the most rated first", ylabel="share of ratings", xlim=(0, 1), ylim=(0, 1.02))
    charts.percent_ticks(ax.xaxis)
    charts.percent_ticks(ax.yaxis)
    return fig


def summarize_concentration(rows: pd.DataFrame) -> str:
    """State the share of ratings on the most rated 10% of films, and the share of films with half of all ratings."""
    tenth = np.interp(0.1, *_lorenz_curve(rows))
    half = rows.loc[rows["ratings"] >= 0.5, "films"].min()
    return (
        f"The most rated 10% of films receive {percent(tenth)} of the ratings; half of the ratings go to "
        f"{percent(half)} of the films."
    )


def draw_tail(rows: pd.DataFrame) -> Figure:
    """Draw a curve: for each number of ratings, the share of films that have at least this number."""
    return _draw_shares(rows, "ratings", "share of films with at least this number")


def summarize_tail(rows: pd.DataFrame) -> str:
    """State the median and the largest number of ratings per film, and the share of films with few ratings."""
    few = 1 - rows.loc[rows["n"] >= MIN_SIZE, "share"].max() if rows["n"].max() >= MIN_SIZE else 1.0
    n_films, most = rows["films"].sum(), rows["n"].max()
    return (
        f"Half of the {n_films:,} films have at least {counted(_median(rows), 'rating')}; {percent(few)} have fewer "
        f"than {MIN_SIZE}, too few for a reliable mean, and the most rated film has {most:,}."
    )


def draw_activity(rows: pd.DataFrame) -> Figure:
    """Draw a curve: for each number of films, the share of users who rated at least this number."""
    return _draw_shares(rows, "films rated", "share of users with at least this number")


def summarize_activity(rows: pd.DataFrame) -> str:
    """State the median and smallest number of ratings per user, and the most active tenth's share of all ratings."""
    users, ratings = rows["users"].to_numpy()[::-1], (rows["users"] * rows["n"]).to_numpy()[::-1]
    share_of_users, share_of_ratings = (np.concatenate(([0], np.cumsum(n) / n.sum())) for n in (users, ratings))
    tenth = float(np.interp(0.1, share_of_users, share_of_ratings))
    return (
        f"Half of the {users.sum():,} users rated at least {counted(_median(rows), 'film')}, and every user at least "
        f"{rows['n'].min():,}; the most active 10% gave {percent(tenth)} of the ratings."
    )


def _lorenz_curve(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the cumulative shares of films and of ratings as two arrays, both of which begin with 0."""
    return np.concatenate(([0.0], rows["films"])), np.concatenate(([0.0], rows["ratings"]))


def _median(rows: pd.DataFrame) -> int:
    """Return the median: the largest number of ratings that at least half of the films, or of the users, have."""
    return int(rows.loc[rows["share"] >= 0.5, "n"].max())


QUESTIONS = (
    Question(
        "stars", SECTION, "How many stars do users give?",
        "Columns: the share of the ratings with each number of stars.",
        draw_stars, summarize_stars, requires=("ratings",),
    ),
    Question(
        "filling", SECTION, "How dense is the table of users and films?",
        "A heatmap: the share of rated pairs, by tenths of the users and tenths of the films.",
        draw_filling, summarize_filling,
    ),
    Question(
        "concentration", SECTION, "Do a few films receive most of the ratings?",
        "A curve: the share of the ratings over the share of the films, the most rated first.",
        draw_concentration, summarize_concentration,
    ),
    Question(
        "tail", SECTION, "How many ratings does a film have?",
        "A falling curve on logarithmic axes: the share of the films with at least a given number of ratings.",
        draw_tail, summarize_tail,
    ),
    Question(
        "activity", SECTION, "How many films does a user rate?",
        "A falling curve on logarithmic axes: the share of the users who rated at least a given number of films.",
        draw_activity, summarize_activity,
    ),
)  # fmt: skip


def _draw_shares(rows: pd.DataFrame, xlabel: str, ylabel: str) -> Figure:
    """Draw, for each number `n` in the rows, the `share` of films or users with at least n ratings."""
    fig, ax = figures.subplots(3.4, grid="both")
    charts.survival_curve(ax, rows["n"].to_numpy(), rows["share"].to_numpy())
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return fig
