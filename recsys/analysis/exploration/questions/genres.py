"""Questions about genres: their popularity, mean ratings, overlaps, and shares over the decades."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis import charts, figures
from recsys.analysis.charts import SMALL, height_of, percent
from recsys.analysis.exploration.questions.group_means import draw_group_means, summarize_group_means
from recsys.analysis.exploration.questions.question import MIN_SIZE, Question
from recsys.analysis.exploration.questions.statistics import joint_margins, row_of_largest
from recsys.analysis.figures import FAINT, MAIN, MUTED

SECTION = "Genres"
MIN_LABELLED_SHARE = 0.095  # smallest share that is printed in a cell
ROTATED_LABELS = 1.1  # inches, height of vertical labels below a heatmap


def draw_genre_shares(rows: pd.DataFrame) -> Figure:
    """Draw each genre's share of the films and of the ratings."""
    fig, ax = figures.subplots(height_of(len(rows)), grid="x")
    names = ("share of films", "share of ratings")
    charts.dumbbells(ax, rows["genre"].tolist(), rows["films"].to_numpy(), rows["ratings"].to_numpy(), names)
    return fig


def summarize_genre_shares(rows: pd.DataFrame) -> str:
    """State the genre with the most ratings, and the genres with the most and the fewest ratings per film."""
    lift = rows["ratings"] / rows["films"]
    most, over, under = rows.iloc[0], row_of_largest(rows, lift), row_of_largest(rows, -lift)
    return (
        f"{most['genre']} films receive the most ratings, {percent(most['ratings'])}. Relative to the number of films, "
        f"{over['genre']} receives the most ({lift.max():.1f} times the average film) and {under['genre']} the fewest "
        f"({lift.min():.1f} times). Films with several genres count in each."
    )


def summarize_genre_means(rows: pd.DataFrame) -> str:
    """Name the genres whose mean ratings differ from the overall mean."""
    return f"{summarize_group_means(rows)} Genres with fewer than {MIN_SIZE} films are left out."


def draw_genre_pairs(rows: pd.DataFrame) -> Figure:
    """Draw the overlap of each pair of genres, below the diagonal of a heatmap.

    The overlap is the share of films with both genres among the films with at least one of them (the Jaccard index).
    """
    names = list(rows["genre"].unique())
    grid = rows.pivot_table(index="genre", columns="other", values="share").reindex(index=names, columns=names)
    values = np.where(np.tri(len(names), k=-1, dtype=bool), grid, np.nan)[1:, :-1]
    texts = charts.cell_texts(values, lambda share: f"{100 * share:.0f}" if share >= MIN_LABELLED_SHARE else "")
    fig, ax = figures.subplots(ROTATED_LABELS + charts.ROW * 0.85 * len(names))
    charts.heatmap(ax, values, names[1:], names[:-1], texts)
    ax.tick_params(labeltop=False, labelbottom=True, labelsize=SMALL)
    ax.tick_params(axis="x", rotation=90)
    return fig


def summarize_genre_pairs(rows: pd.DataFrame) -> str:
    """State the pair of genres with the largest overlap."""
    closest = row_of_largest(rows, rows["share"])
    return (
        f"{closest['genre']} and {closest['other']} overlap most: {percent(closest['share'])} of the films with either "
        f"genre have both. Genres with fewer than {MIN_SIZE} films are left out."
    )


def draw_genre_decades(rows: pd.DataFrame) -> Figure:
    """Draw a panel for each genre: its share of the ratings by decade of release, with all other genres in grey."""
    genres = list(rows["genre"].unique())
    fig, axes = figures.panels(3.9, 2, 3, grid="y", sharex=True, sharey=True)
    for ax, genre in zip(axes, genres, strict=False):
        for _, curve in rows.groupby("genre"):
            ax.plot(curve["decade"], curve["share"], color=FAINT, linewidth=1)
        highlighted = rows[rows["genre"] == genre]
        ax.plot(highlighted["decade"], highlighted["share"], color=MAIN)
        ax.set_title(genre, fontsize=10, loc="left", fontweight="bold")
        ax.set_ylim(bottom=0)
        charts.percent_ticks(ax.yaxis)
        ax.tick_params(labelsize=SMALL)
        ax.set_xticks([rows["decade"].min(), rows["decade"].max()])
        ax.xaxis.set_major_formatter("{x:.0f}s")
    for ax in axes[len(genres) :]:
        ax.set_axis_off()
    fig.supylabel("share of the decade's ratings", fontsize=9.5, color=MUTED)
    return fig


def summarize_genre_decades(rows: pd.DataFrame) -> str:
    """State which genre's share changed most from the first to the last decade, if by more than chance explains."""
    first, last = rows["decade"].min(), rows["decade"].max()
    before, after = (rows[rows["decade"] == decade] for decade in (first, last))
    changes = before.merge(after, on="genre", suffixes=("_first", "_last"))
    change = changes["share_last"] - changes["share_first"]
    margins = joint_margins(np.hypot(changes["error_first"], changes["error_last"]))
    decades = f"films of the {first}s and films of the {last}s"
    if (change.abs() <= margins).all():
        return f"Between {decades}, no genre's share of the ratings changed by more than chance explains."
    most = row_of_largest(changes, change.abs().where(change.abs() > margins))
    return (
        f"{most['genre']} changed most between {decades}: from {percent(most['share_first'])} of the ratings to "
        f"{percent(most['share_last'])}. Decades with fewer than {MIN_SIZE} films are left out."
    )


QUESTIONS = (
    Question(
        "genre_shares", SECTION, "Which genres receive the ratings?",
        "Two dots for each genre: its share of the films and its share of the ratings.",
        draw_genre_shares, summarize_genre_shares, requires=("genres",),
    ),
    Question(
        "genre_means", SECTION, "Which genres are rated highest?",
        "A dot with an interval for each genre: its mean rating.",
        draw_group_means, summarize_genre_means, requires=("ratings", "genres"), min_rows=2,
    ),
    Question(
        "genre_pairs", SECTION, "Which genres occur together?",
        "A heatmap: for each pair of genres, the share of the films with either genre that have both.",
        draw_genre_pairs, summarize_genre_pairs, requires=("genres",), min_rows=2,
    ),
    Question(
        "genre_decades", SECTION, "How did the genres change over the decades?",
        "Small panels of lines, one for each genre: its share of the ratings of films from each decade.",
        draw_genre_decades, summarize_genre_decades, requires=("genres", "years"), min_rows=2,
    ),
)  # fmt: skip
