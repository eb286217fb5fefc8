"""The common style of all figures: one text column wide, plain axes, and colours that the colour-blind can distinguish.

The colours follow Okabe and Ito, "Color Universal Design", 2008. Figures must be created and saved within `style()`.
"""

from __future__ import annotations

import base64
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from recsys.files import write_whole

WIDTH = 5.0  # inches; text stays readable on a phone
TITLE, SUBTITLE = 0.3, 0.2  # inches, heights of the texts above a figure
DPI = 160  # resolution of PNG files
UNDATED = {"Date": None}  # without a date, equal figures give equal files

INK, MUTED, FAINT, RULE, PAPER = "#1d2733", "#667085", "#c3c9d3", "#e4e7ec", "#ffffff"
MAIN, OTHER = "#0072b2", "#d55e00"
COLOURS = (MAIN, OTHER, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5d5fa8", "#8a8d91")
SHADES = LinearSegmentedColormap.from_list("shades", (PAPER, "#9ecae1", MAIN, "#08306b")).with_extremes(bad=PAPER)
BELOW_ABOVE = LinearSegmentedColormap.from_list(
    "below_above", (OTHER, "#f3b98f", "#e9ebef", "#8fc1de", MAIN)
).with_extremes(bad=PAPER)

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so figures look the same on every machine
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # titles may contain dollar signs
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 2,
    "savefig.facecolor": PAPER,
    "svg.hashsalt": "recsys",  # makes the ids in SVG files reproducible
}


def style() -> AbstractContextManager[None]:
    """Return a context manager; within it, matplotlib uses the common style."""
    return mpl.rc_context(_STYLE)


def subplots(height: float, grid: str = "") -> tuple[Figure, Axes]:
    """Create a figure of the common width with a single `Axes`.

    Args:
        height: height of the figure in inches.
        grid: axis that has grid lines: `x`, `y`, `both`, or empty for no grid lines.
    """
    fig, [ax] = panels(height, grid=grid)
    return fig, ax


def panels(height: float, rows: int = 1, columns: int = 1, grid: str = "", **layout: Any) -> tuple[Figure, list[Axes]]:
    """Create a figure of the common width with a grid of `Axes`, which are returned as a list, row by row.

    Args:
        height: height of the figure in inches.
        rows: number of rows of axes.
        columns: number of columns of axes.
        grid: axis that has grid lines; see `subplots`.
        layout: further arguments of `matplotlib.figure.Figure.subplots`.
    """
    fig = Figure((WIDTH, height), layout="constrained")
    axes = list(fig.subplots(rows, columns, squeeze=False, **layout).ravel())
    for ax in axes if grid else ():
        ax.grid(axis=grid)
    return fig, axes


def note_below(fig: Figure, text: str) -> None:
    """Write a note below the axes; it can be as wide as the figure, so narrow axes do not cut it off."""
    fig.supxlabel(text, fontsize=mpl.rcParams["axes.labelsize"], color=MUTED)


def freeze_layout(fig: Figure) -> None:
    """Compute the layout of a finished figure once, so that saving it to several files does not repeat the work."""
    fig.draw_without_rendering()
    fig.set_layout_engine(None)  # with any engine, also "none", matplotlib draws a figure twice to save it


def data_uri(fig: Figure) -> str:
    """Return a figure as an SVG data URI, for the `src` attribute of an HTML image."""
    file = BytesIO()
    fig.savefig(file, format="svg", metadata=UNDATED)
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"


def save(fig: Figure, directory: Path, name: str, title: str, subtitle: str = "") -> None:
    """Write a figure to `<name>.png` and `<name>.svg`, each file atomically.

    Args:
        fig: the figure.
        directory: directory of the files.
        name: name of the files without ending.
        title: title above the figure.
        subtitle: smaller text between the title and the figure; if empty, no space is reserved for it.
    """
    width, height = fig.get_size_inches()
    above = SUBTITLE if subtitle else 0.0
    fig.text(0.01, 1.01, subtitle, fontsize=9, color=MUTED, va="bottom")
    fig.text(0.01, 1.01 + above / height, title, fontsize=11, fontweight="bold", va="bottom")
    frame = Bbox.from_extents(0, 0, width, height + above + TITLE)
    svg, png = (directory / f"{name}.{kind}" for kind in ("svg", "png"))
    write_whole(svg, lambda file: fig.savefig(file, format="svg", bbox_inches=frame, metadata=UNDATED))
    write_whole(png, lambda file: fig.savefig(file, format="png", bbox_inches=frame, dpi=DPI))
