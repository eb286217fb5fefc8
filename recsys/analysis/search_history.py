"""A search as a figure: what each trial came to, and how that depends on each setting."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recsys.analysis.figures import FAINT, INK, MAIN, MUTED, OTHER, WIDTH, save, style

COLUMNS = 3  # of panels of settings
TOP, PANEL = 2.1, 1.5  # inches high: the history, and a row of settings


def write_history(
    directory: Path, trials: pd.DataFrame, settings: Collection[str], logarithmic: Collection[str]
) -> None:
    """Write `history.png` and `history.svg`.

    Args:
        directory: where to.
        trials: a row for each, in order, with `trial`, `state` (`complete`, `pruned`, `failed`), `value` and a column a
            setting: numbers, or a categorical one for a choice.
        settings: names of these columns.
        logarithmic: those of them that are drawn on a logarithmic scale.
    """
    with style():
        figure = history(trials, settings, logarithmic)
        save(figure, directory, "history", f"{len(trials)} trials")


def history(trials: pd.DataFrame, settings: Collection[str], logarithmic: Collection[str]) -> Figure:
    """The value by trial, and below it by each setting; see `write_history`."""
    rows = -(-len(settings) // COLUMNS)
    figure = Figure((WIDTH, TOP + PANEL * rows), layout="constrained")
    grid = figure.add_gridspec(1 + rows, COLUMNS, height_ratios=[TOP, *[PANEL] * rows])
    top = figure.add_subplot(grid[0, :])
    _draw(top, trials["trial"], trials)
    complete = trials["value"].where(trials["state"] == "complete")
    top.step(trials["trial"], complete.cummax().ffill(), where="post", color=OTHER, linewidth=1.5, label="best so far")
    for trial in trials.loc[trials["state"] == "failed", "trial"]:
        top.axvline(trial, color=FAINT, linewidth=1, linestyle=":", label="failed")
    top.set(xlabel="trial", ylabel="value on validation")
    top.xaxis.set_major_locator(MaxNLocator(integer=True))
    named = dict(zip(*reversed(top.get_legend_handles_labels()), strict=True))  # each once
    above: dict[str, Any] = {
        "loc": "lower right",
        "bbox_to_anchor": (1, 1),
        "ncols": len(named),
        "frameon": False,
        "fontsize": 8.5,
    }
    top.legend(list(named.values()), list(named), columnspacing=1, handletextpad=0.4, **above)
    for place, setting in enumerate(settings):
        panel = figure.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS], sharey=top)
        _draw_setting(panel, trials, setting, setting in logarithmic)
        panel.yaxis.set_tick_params(labelleft=place % COLUMNS == 0)
    return figure


def _draw_setting(panel: Axes, trials: pd.DataFrame, setting: str, logarithmic: bool) -> None:
    values = trials[setting]
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [str(name) for name in values.cat.categories]
        panel.set_xticks(range(len(names)), names, rotation=20 if max(map(len, names)) > 6 else 0)
        panel.set_xlim(-0.5, len(names) - 0.5)
        values = values.cat.codes
    elif logarithmic:
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter("")
    _draw(panel, values, trials)
    panel.set_xlabel(setting.rpartition(".")[2].replace("_", " "), fontsize=8.5)
    panel.tick_params(labelsize=7.5)


def _draw(axes: Axes, x: pd.Series, trials: pd.DataFrame) -> None:
    """Trials as dots: filled, hollow where pruned, and the best one marked."""
    complete, pruned = (trials["state"] == state for state in ("complete", "pruned"))
    best = trials["value"].where(complete).idxmax() == trials.index
    axes.scatter(x[complete], trials["value"][complete], s=16, color=MAIN, alpha=0.75, linewidths=0, label="complete")
    if pruned.any():
        axes.scatter(x[pruned], trials["value"][pruned], s=16, facecolors="none", edgecolors=MUTED, label="pruned")
    axes.scatter(x[best], trials["value"][best], s=46, facecolors="none", edgecolors=INK, linewidths=1.2, clip_on=False)
