"""Functions that draw the charts of the project's figures (columns, dots, bars, curves, heatmaps) into given axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from recsys.analysis.figures import BELOW_ABOVE, INK, MAIN, MUTED, OTHER, PAPER, SHADES

ROW = 0.27  # inches, height of a row of a list
MARGIN = 0.75  # inches above and below the rows of a list
SMALL = 8.5  # points, font size of text inside a chart
TITLE_LENGTH = 52  # letters of a film's title that fit into a row
WIDE_RANGE = 1000  # ratio of largest to smallest value from which logarithmic axes label powers of ten only
DASHED = (0, (4, 3))
MAX_LABELLED = 10  # number of columns that have room for labels above them
MAX_TICKS = 12  # number of intervals between the ticks below columns
MAX_COLUMNS = 25  # number of columns; more values are drawn in classes
WHOLE_STEPS = (1, 2, 5, 10)  # steps between ticks, times a power of ten


def percent(share: float) -> str:
    """Format a share with about two significant digits: 57%, 4.2%, 0.35%."""
    digits = 0 if share >= 0.0995 or share == 0 else 1 if share >= 0.00995 else 2
    return f"{share:.{digits}%}"


def height_of(n_rows: int) -> float:
    """Return the height, in inches, of a figure with `n_rows` rows."""
    return MARGIN + ROW * n_rows


def percent_ticks(axis: Axis, signed: bool = False) -> None:
    """Label an axis of shares in percent, with ticks whose labels need no rounding.

    Args:
        axis: axis to label.
        signed: whether positive values get a plus sign.
    """
    axis.set_major_locator(MaxNLocator("auto", steps=WHOLE_STEPS))
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:{'+' if signed and share else ''}.3g}%"))


def class_edges(values: np.ndarray, n_classes: int) -> np.ndarray:
    """Divide values into at most `n_classes` classes of equal width, and return the edges, which are round numbers.

    Args:
        values: (n,) values, ascending.
        n_classes: largest number of classes.
    """
    locators = (
        MaxNLocator(n, steps=(1, 2, 2.5, 5, 10)) for n in range(n_classes, 0, -1)
    )  # may give one class too many
    edges = (np.asarray(locator.tick_values(values[0], values[-1])) for locator in locators)
    return next(some for some in edges if len(some) <= n_classes + 1)


def columns(ax: Axes, values: np.ndarray, shares: np.ndarray) -> None:
    """Draw a column for each value, as high as its share. At most `MAX_LABELLED` columns are labelled with the shares.

    Args:
        ax: axes to draw into.
        values: (n,) numbers, ascending; more than `MAX_COLUMNS` values are grouped into classes of equal width.
        shares: (n,) share of each value, from 0 to 1.
    """
    if len(values) <= MAX_LABELLED:
        container = ax.bar([f"{value:g}" for value in values], shares, color=MAIN)
        ax.bar_label(container, [percent(share) for share in shares], padding=3, fontsize=SMALL)
        ax.spines["left"].set_visible(False)
        ax.set_yticks([])
        return
    if len(values) > MAX_COLUMNS:
        edges = class_edges(values, MAX_COLUMNS)
        shares, _ = np.histogram(values, edges, weights=shares)
        values = (edges[:-1] + edges[1:]) / 2
    ax.bar(values, shares, width=0.8 * float(np.median(np.diff(values))), color=MAIN)
    ax.xaxis.set_major_locator(MaxNLocator(MAX_TICKS, steps=WHOLE_STEPS))
    percent_ticks(ax.yaxis)
    ax.grid(axis="y")


def dots(
    ax: Axes, labels: Sequence[str], values: np.ndarray, half_widths: np.ndarray, reference: float, reference_label: str
) -> None:
    """Draw a row for each label, from the top: a dot with an interval; a vertical line marks a reference value.

    Args:
        ax: axes to draw into.
        labels: labels of the n rows.
        values: (n,) positions of the dots.
        half_widths: (n,) half widths of the intervals.
        reference: position of the vertical line.
        reference_label: label of the vertical line.
    """
    ax.axvline(reference, color=MUTED, linewidth=1, linestyle=DASHED)
    above = ax.get_xaxis_transform()
    ax.text(reference, 1.01, reference_label, ha="center", va="bottom", color=MUTED, fontsize=SMALL, transform=above)
    ax.errorbar(values, np.arange(len(labels)), xerr=half_widths, fmt="o", color=MAIN, markersize=6, elinewidth=1.5)
    _label_rows(ax, labels)


def dumbbells(ax: Axes, labels: Sequence[str], first: np.ndarray, second: np.ndarray, names: tuple[str, str]) -> None:
    """Draw a row for each label, from the top: two shares as dots that a line joins.

    Args:
        ax: axes to draw into.
        labels: labels of the n rows.
        first: (n,) first share of each row, from 0 to 1.
        second: (n,) second share of each row, from 0 to 1.
        names: what the first and the second shares are, for the legend.
    """
    positions = np.arange(len(labels))
    ax.hlines(positions, first, second, color=MUTED, linewidth=1)
    for shares, name, colour in ((first, names[0], OTHER), (second, names[1], MAIN)):
        ax.plot(shares, positions, "o", color=colour, markersize=7, label=name, clip_on=False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=SMALL + 1, handletextpad=0)
    percent_ticks(ax.xaxis)
    ax.set_xlim(left=0)
    _label_rows(ax, labels)
    ax.tick_params(axis="y", pad=8)  # a dot at 0 does not touch its label


def bars(ax: Axes, labels: Sequence[str], values: np.ndarray, texts: Sequence[str]) -> None:
    """Draw a row for each label, from the top: a bar from 0 to a non-negative value, with a text at its end."""
    container = ax.barh(np.arange(len(labels)), values, height=0.62, color=MAIN)
    ax.bar_label(container, texts, padding=4, fontsize=SMALL)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.margins(x=0.45)
    ax.set_xlim(left=0)
    _label_rows(ax, labels)


def survival_curve(ax: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    """Draw, over each count, the share of elements that have at least this count; both axes are logarithmic.

    A dot marks the median: the largest count that at least half of the elements reach.

    Args:
        ax: axes to draw into.
        counts: int64 (n,) counts, ascending and positive, such as numbers of ratings.
        shares: float64 (n,) for each count, the share of elements, such as films, that have at least this count.
    """
    ax.step(counts, shares, where="pre", color=MAIN)
    median = counts[shares >= 0.5].max()
    ax.plot([median, median], [shares.min(), 0.5], color=MUTED, linewidth=1, linestyle=DASHED)
    ax.plot(median, 0.5, "o", color=OTHER, markersize=7)
    ax.annotate(f"half have {median:,} or more", (median, 0.5), (8, 4), textcoords="offset points", fontsize=SMALL + 1)
    ax.set(xscale="log", yscale="log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if counts.max() < WIDE_RANGE * counts.min() else (1,)))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}%"))
    ax.minorticks_off()


def heatmap(
    ax: Axes,
    values: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    texts: Sequence[Sequence[str]] | None = None,
    cmap: Colormap = SHADES,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a grid of cells that are coloured by their values.

    Args:
        ax: axes to draw into.
        values: (len(row_labels), len(column_labels)) values of the cells; cells with NaN stay white.
        row_labels: labels of the rows, from the top.
        column_labels: labels of the columns, drawn above the grid.
        texts: text to write into each cell, row by row, or None.
        cmap: colour map.
        limits: values that get the first and the last colour of the map; None stands for 0 and the largest value.
    """
    lowest, highest = limits or (0, np.nanmax(values))
    norm = Normalize(lowest, highest, clip=True)
    ax.imshow(values, cmap=cmap, norm=norm, aspect="auto")
    ax.set_xticks(np.arange(len(column_labels)), column_labels)
    ax.set_yticks(np.arange(len(row_labels)), row_labels)
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(len(column_labels) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(row_labels) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=PAPER, linewidth=1)
    ax.tick_params(which="minor", length=0)
    for (row, column), text in np.ndenumerate(texts or ()):
        is_dark = np.dot(cmap(norm(values[row, column]))[:3], (0.299, 0.587, 0.114)) < 0.55
        colour = PAPER if is_dark else INK
        ax.text(column, row, text, ha="center", va="center", fontsize=SMALL - 1, color=colour)


def cell_texts(values: np.ndarray, text: Callable[[float], str]) -> list[list[str]]:
    """Format each value of a two-dimensional array with `text`; the result can be the `texts` of `heatmap`."""
    return [[text(value) for value in row] for row in values]


def rating_bars(
    ax: Axes,
    films: Sequence[str],
    counts: Sequence[Mapping[str, int]],
    classes: Sequence[str],
    texts: Sequence[str],
) -> None:
    """Draw a row for each film, from the top: its title, the distribution of its ratings as a stacked bar, and a text.

    Args:
        ax: axes to draw into.
        films: titles of the films.
        counts: for each film, its number of ratings in each of the `classes`.
        classes: labels of the classes of ratings, ascending; a class is a number of stars, or a range such as `1 to 2`.
        texts: text at the end of each row.
    """
    colours = BELOW_ABOVE(np.linspace(0, 1, len(classes)))
    for position, (film, n_by_class, text) in enumerate(zip(films, counts, texts, strict=True)):
        n, start = sum(n_by_class.values()), 0.0
        for name, colour in zip(classes, colours, strict=True):
            width = n_by_class.get(name, 0) / n
            ax.barh(position, width, left=start, height=0.38, color=colour)
            start += width
        title = shorten(film, TITLE_LENGTH, placeholder=" ...")
        ax.text(0, position - 0.27, title, va="bottom", fontsize=SMALL + 0.5)
        ax.text(1.02, position, text, va="center", fontsize=SMALL + 0.5, fontweight="bold")
    patches = [Patch(color=colour, label=name) for name, colour in zip(classes, colours, strict=True)]
    ax.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(classes), frameon=False, fontsize=SMALL,
        borderpad=0, borderaxespad=0, handlelength=0.9, handletextpad=0.35, columnspacing=0.9,
    )  # fmt: skip
    ax.text(1.02, -0.75, "damped", color=MUTED, fontsize=SMALL, va="bottom")
    ax.set(xlim=(0, 1.12), ylim=(len(films) - 0.6, -0.85))
    ax.set_axis_off()


def _label_rows(ax: Axes, labels: Sequence[str]) -> None:
    ax.set_yticks(np.arange(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
