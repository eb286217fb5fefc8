"""One look for all figures: a column's width, quiet axes, colours that colour-blind people tell apart.

Okabe and Ito, "Color Universal Design", 2008, for the colours. Figures are made and saved within `style()`.
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

WIDTH = 5.0  # inches: text keeps a readable size on a telephone
TITLE = 0.3  # inches above a figure that a title takes
DPI = 160  # of PNG files
UNDATED = {"Date": None}  # the same figure is the same file

INK, MUTED, FAINT, RULE, PAPER = "#1d2733", "#667085", "#c3c9d3", "#e4e7ec", "#ffffff"
MAIN, OTHER = "#0072b2", "#d55e00"
COLOURS = (MAIN, OTHER, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5d5fa8", "#8a8d91")
SHADES = LinearSegmentedColormap.from_list("shades", (PAPER, "#9ecae1", MAIN, "#08306b")).with_extremes(bad=PAPER)
BELOW_ABOVE = LinearSegmentedColormap.from_list(
    "below_above", (OTHER, "#f3b98f", "#e9ebef", "#8fc1de", MAIN)
).with_extremes(bad=PAPER)

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures are the same everywhere
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # titles have dollars
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
    "svg.hashsalt": "recsys",  # so that ids in files are the same, too
}


def style() -> AbstractContextManager[None]:
    """The look, for as long as figures are made and saved."""
    return mpl.rc_context(_STYLE)


def axes(height: float, grid: str = "") -> tuple[Figure, Axes]:
    """A new figure of a column's width, and its axes.

    Args:
        height: in inches.
        grid: which axis has lines behind the data: `x`, `y`, or none.
    """
    figure, [drawn] = panels(height, grid=grid)
    return figure, drawn


def panels(height: float, rows: int = 1, columns: int = 1, grid: str = "", **layout: Any) -> tuple[Figure, list[Axes]]:
    """A new figure of a column's width, and its several axes, row by row.

    Args:
        height: in inches.
        rows: of axes.
        columns: of axes.
        grid: as of `axes`.
        layout: what else `matplotlib.figure.Figure.subplots` takes.
    """
    figure = Figure((WIDTH, height), layout="constrained")
    drawn = list(figure.subplots(rows, columns, squeeze=False, **layout).ravel())
    for each in drawn if grid else ():
        each.grid(axis=grid)
    return figure, drawn


def settle(figure: Figure) -> None:
    """Lay a finished figure out once; otherwise every file of it takes that time again."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def data_uri(figure: Figure) -> str:
    """A figure as SVG within an address, for the `src` of a page's image."""
    file = BytesIO()
    figure.savefig(file, format="svg", metadata=UNDATED)
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"


def save(figure: Figure, directory: Path, name: str, title: str) -> None:
    """Write a figure with a title above it to `<name>.png` and `<name>.svg`, whole."""
    width, height = figure.get_size_inches()
    figure.text(0.01, 1.01, title, fontsize=11, fontweight="bold", va="bottom")
    frame = Bbox.from_extents(0, 0, width, height + TITLE)
    svg, png = (directory / f"{name}.{kind}" for kind in ("svg", "png"))
    write_whole(svg, lambda file: figure.savefig(file, format="svg", bbox_inches=frame, metadata=UNDATED))
    write_whole(png, lambda file: figure.savefig(file, format="png", bbox_inches=frame, dpi=DPI))
