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

from recsys.files import write_whole

WIDTH = 5.0  # inches: text keeps a readable size on a telephone
DPI = 200  # of PNG files

INK, MUTED, RULE, PAPER = "#1d2733", "#667085", "#e4e7ec", "#ffffff"
MAIN, OTHER = "#0072b2", "#d55e00"
COLOURS = (MAIN, OTHER, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5d5fa8", "#8a8d91")
SHADES = LinearSegmentedColormap.from_list("shades", (PAPER, "#9ecae1", MAIN, "#08306b"))
BELOW_ABOVE = LinearSegmentedColormap.from_list("below_above", (OTHER, "#f3b98f", "#e9ebef", "#8fc1de", MAIN))

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
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "lines.linewidth": 2,
    "savefig.facecolor": PAPER,
    "svg.hashsalt": "recsys",  # the same figure is the same file
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


def svg(figure: Figure) -> bytes:
    """A figure as SVG, its text as outlines."""
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def data_uri(figure: Figure) -> str:
    """A figure as SVG within an address, for the `src` of a page's image."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg(figure)).decode()}"


def save(figure: Figure, directory: Path, name: str) -> None:
    """Write a figure to `<name>.png` and `<name>.svg`, whole."""
    write_whole(directory / f"{name}.svg", lambda file: file.write(svg(figure)))
    write_whole(directory / f"{name}.png", lambda file: figure.savefig(file, format="png", dpi=DPI))
