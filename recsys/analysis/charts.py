"""The forms that figures take: columns, lists of dots or bars, curves, cells, ballots. Each draws into axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, PercentFormatter

from recsys.analysis.figures import BELOW_ABOVE, INK, MAIN, MUTED, OTHER, PAPER, SHADES

ROW = 0.27  # inches that a row of a list takes
AROUND = 0.75  # inches that stand above and below the rows
SMALL = 8.5  # points of what is written into a chart
NAME_LENGTH = 52  # letters of a film's name that fit
WIDE = 1000  # times the least is the most, where axes label powers of ten only
DASHED = (0, (4, 3))
PERCENT = PercentFormatter(1, decimals=0)


def percent(share: float) -> str:
    """A share with two digits that say something: 57%, 4.2%, 0.35%."""
    digits = 0 if share >= 0.0995 or share == 0 else 1 if share >= 0.00995 else 2
    return f"{share:.{digits}%}"


def height_of(n_rows: int) -> float:
    """Inches of a figure with a list of rows."""
    return AROUND + ROW * n_rows


def columns(axes: Axes, labels: Sequence[str], shares: np.ndarray) -> None:
    """A column for each label, its share above it."""
    bars = axes.bar(labels, shares, color=MAIN)
    axes.bar_label(bars, [percent(share) for share in shares], padding=3, fontsize=SMALL)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])


def dots(
    axes: Axes, labels: Sequence[str], values: np.ndarray, half_widths: np.ndarray, level: float, name: str
) -> None:
    """A row for each label, from the top: a dot and the interval around it; a line at a level, with its name."""
    axes.axvline(level, color=MUTED, linewidth=1, linestyle=DASHED)
    above = axes.get_xaxis_transform()
    axes.text(level, 1.01, name, ha="center", va="bottom", color=MUTED, fontsize=SMALL, transform=above)
    axes.errorbar(values, np.arange(len(labels)), xerr=half_widths, fmt="o", color=MAIN, markersize=6, elinewidth=1.5)
    _rows(axes, labels)


def pairs(axes: Axes, labels: Sequence[str], one: np.ndarray, other: np.ndarray, names: tuple[str, str]) -> None:
    """A row for each label, from the top: two shares, as dots that a line joins."""
    places = np.arange(len(labels))
    axes.hlines(places, one, other, color=MUTED, linewidth=1)
    for shares, name, colour in ((one, names[0], OTHER), (other, names[1], MAIN)):
        axes.plot(shares, places, "o", color=colour, markersize=7, label=name)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=SMALL + 1, handletextpad=0)
    axes.xaxis.set_major_formatter(PERCENT)
    axes.set_xlim(left=0)
    _rows(axes, labels)


def bars(axes: Axes, labels: Sequence[str], values: np.ndarray, texts: Sequence[str]) -> None:
    """A row for each label, from the top: a bar, and a text at its end."""
    drawn = axes.barh(np.arange(len(labels)), values, height=0.62, color=MAIN)
    axes.bar_label(drawn, texts, padding=4, fontsize=SMALL)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.margins(x=0.45)
    axes.set_xlim(left=0)
    _rows(axes, labels)


def at_least(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    """The share that has so many or more, over how many; the middle one marked."""
    axes.step(counts, shares, where="pre", color=MAIN)
    median = counts[shares >= 0.5].max()
    axes.plot([median, median], [shares.min(), 0.5], color=MUTED, linewidth=1, linestyle=DASHED)
    axes.plot(median, 0.5, "o", color=OTHER, markersize=7)
    axes.annotate(
        f"half have {median:,} or more", (median, 0.5), (8, 4), textcoords="offset points", fontsize=SMALL + 1
    )
    axes.set(xscale="log", yscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if counts.max() < WIDE * counts.min() else (1,)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}%"))
    axes.minorticks_off()


def cells(
    axes: Axes,
    values: np.ndarray,
    rows: Sequence[str],
    labels: Sequence[str],
    texts: Sequence[Sequence[str]] | None = None,
    shades: Colormap = SHADES,
    limits: tuple[float, float] | None = None,
) -> None:
    """A grid of cells.

    Args:
        axes: to draw into.
        values: (len(rows), len(labels)); NaN is left white.
        rows: from the top.
        labels: of the columns, above them.
        texts: what stands in the cells, row by row.
        shades: of the values.
        limits: the values with the first and the last shade, where that is not 0 and the largest.
    """
    lowest, highest = limits or (0, np.nanmax(values))
    norm = Normalize(lowest, highest, clip=True)
    axes.imshow(values, cmap=shades, norm=norm, aspect="auto")
    axes.set_xticks(np.arange(len(labels)), labels)
    axes.set_yticks(np.arange(len(rows)), rows)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=1)
    axes.tick_params(which="minor", length=0)
    for (row, column), text in np.ndenumerate(texts or ()):
        light = np.dot(shades(norm(values[row, column]))[:3], (0.299, 0.587, 0.114)) < 0.55
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=SMALL - 1,
            color=PAPER if light else INK,
        )


def ballots(
    axes: Axes,
    films: Sequence[str],
    ballots: Sequence[Mapping[float, int]],
    stars: Sequence[float],
    texts: Sequence[str],
) -> None:
    """A row for each film, from the top: its name, what share gave how many stars, and a text.

    Args:
        axes: to draw into.
        films: names.
        ballots: how many gave each number of stars.
        stars: all that can be given, ascending.
        texts: at the end of each row.
    """
    colours = BELOW_ABOVE(np.linspace(0, 1, len(stars)))
    for place, (film, given, text) in enumerate(zip(films, ballots, texts, strict=True)):
        n, start = sum(given.values()), 0.0
        for number, colour in zip(stars, colours, strict=True):
            width = given.get(number, 0) / n
            axes.barh(place, width, left=start, height=0.38, color=colour)
            start += width
        axes.text(0, place - 0.27, shorten(film, NAME_LENGTH, placeholder=" ..."), va="bottom", fontsize=SMALL + 0.5)
        axes.text(1.02, place, text, va="center", fontsize=SMALL + 0.5, fontweight="bold")
    keys = [Patch(color=colour, label=f"{number:g}") for number, colour in zip(stars, colours, strict=True)]
    axes.legend(
        handles=keys, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(stars), frameon=False, fontsize=SMALL,
        borderpad=0, borderaxespad=0, handlelength=0.9, handletextpad=0.35, columnspacing=0.9,
    )  # fmt: skip
    axes.text(1.02, -0.75, "damped", color=MUTED, fontsize=SMALL, va="bottom")
    axes.set(xlim=(0, 1.12), ylim=(len(films) - 0.6, -0.85))
    axes.set_axis_off()


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
