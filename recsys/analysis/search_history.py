"""The figure of a hyperparameter search: the metric's value in each trial, in order and by each hyperparameter."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recsys.analysis.figures import FAINT, INK, MAIN, MUTED, OTHER, WIDTH, freeze_layout, save, style

COLUMNS = 3  # panels of settings in a row
TOP, PANEL = 2.1, 1.5  # inches, heights of the history and of a row of panels


def write_history(
    directory: Path, trials: pd.DataFrame, settings: Collection[str], logarithmic: Collection[str]
) -> None:
    """Write the figure of a hyperparameter search to `history.png` and `history.svg`.

    Args:
        directory: directory of the files, which must exist.
        trials: a row for each trial, in order: its number `trial`, its `state` (`complete`, `pruned` or `failed`), the
            metric's `value` on validation, and a column for each hyperparameter. The column is numeric or, if the
            hyperparameter is chosen from a list, categorical.
        settings: names of the columns of hyperparameters.
        logarithmic: hyperparameters whose values are drawn on a logarithmic axis.
    """
    with style():
        fig = plot_history(trials, settings, logarithmic)
        freeze_layout(fig)
        save(fig, directory, "history", f"{len(trials)} trials")


def plot_history(trials: pd.DataFrame, settings: Collection[str], logarithmic: Collection[str]) -> Figure:
    """Draw the metric's value by trial and, below, by each hyperparameter; for the arguments see `write_history`."""
    rows = -(-len(settings) // COLUMNS)
    fig = Figure((WIDTH, TOP + PANEL * rows), layout="constrained")
    grid = fig.add_gridspec(1 + rows, COLUMNS, height_ratios=[TOP, *[PANEL] * rows])
    top = fig.add_subplot(grid[0, :])
    _draw_trials(top, trials["trial"], trials)
    complete = trials["value"].where(trials["state"] == "complete")
    top.step(trials["trial"], complete.cummax().ffill(), where="post", color=OTHER, linewidth=1.5, label="best so far")
    for trial in trials.loc[trials["state"] == "failed", "trial"]:
        top.axvline(trial, color=FAINT, linewidth=1, linestyle=":", label="failed")
    top.set(xlabel="trial", ylabel="value on validation")
    top.xaxis.set_major_locator(MaxNLocator(integer=True))
    _add_legend(top)
    for place, setting in enumerate(settings):
        ax = fig.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS], sharey=top)
        _draw_setting(ax, trials, setting, setting in logarithmic)
        ax.yaxis.set_tick_params(labelleft=place % COLUMNS == 0)
    return fig


def _add_legend(ax: Axes) -> None:
    """Add a legend above the axes, with one entry for each distinct label."""
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    ax.legend(
        list(handles.values()), list(handles), loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles),
        frameon=False, fontsize=8.5, columnspacing=1, handletextpad=0.4,
    )  # fmt: skip


def _draw_setting(ax: Axes, trials: pd.DataFrame, setting: str, logarithmic: bool) -> None:
    values = trials[setting]
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [str(name) for name in values.cat.categories]
        ax.set_xticks(range(len(names)), names, rotation=20 if max(map(len, names)) > 6 else 0)
        ax.set_xlim(-0.5, len(names) - 0.5)
        values = values.cat.codes
    elif logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
    _draw_trials(ax, values, trials)
    ax.set_xlabel(setting.rpartition(".")[2].replace("_", " "), fontsize=8.5)
    ax.tick_params(labelsize=7.5)


def _draw_trials(ax: Axes, x: pd.Series, trials: pd.DataFrame) -> None:
    """Draw a dot for each trial that is complete (filled) or pruned (hollow); the best complete trial has a ring.

    Args:
        ax: axes to draw into.
        x: horizontal position of each trial.
        trials: the trials; see `write_history`.
    """
    complete, pruned = (trials["state"] == state for state in ("complete", "pruned"))
    best = trials["value"].where(complete).idxmax() == trials.index
    ax.scatter(x[complete], trials["value"][complete], s=16, color=MAIN, alpha=0.75, linewidths=0, label="complete")
    if pruned.any():
        ax.scatter(x[pruned], trials["value"][pruned], s=16, facecolors="none", edgecolors=MUTED, label="pruned")
    ax.scatter(x[best], trials["value"][best], s=46, facecolors="none", edgecolors=INK, linewidths=1.2, clip_on=False)
