"""Output in the terminal that shows text unchanged: square brackets and colons are not interpreted as markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.status import Status


def terminal(*, stderr: bool = False) -> Console:
    """Return a console on stdout or stderr that interprets neither markup (`[bold]`) nor emoji (`:heart:`)."""
    return Console(stderr=stderr, markup=False, emoji=False)


def working(text: str) -> Status:
    """Return a context manager that shows a spinner with the given text on stderr."""
    return terminal(stderr=True).status(Text(text))


def print_figures(header: Sequence[str], rows: Sequence[Sequence[str | Text]], title: str) -> None:
    """Print a table of numbers; its first column has the names of the rows.

    If the terminal is too narrow for all columns, several tables are printed, each with the first column. A cell that
    is still too long is folded.

    Args:
        header: names of the columns.
        rows: cells of each row, one for each column.
        title: title of the table.
    """
    console = terminal()
    for columns in _parts(header, rows, console.width):
        names = [Column(header[place], justify="right" if place else "left", overflow="fold") for place in columns]
        table = Table(*names, title=title, title_justify="left")
        for row in rows:
            table.add_row(*(row[place] for place in columns))
        console.print(table)


def _parts(header: Sequence[str], rows: Sequence[Sequence[str | Text]], width: int) -> list[list[int]]:
    """Divide columns among tables, each of which starts with the first column and fits the width if possible.

    Returns:
        For each table, the positions of its columns.
    """
    borders = 3  # a space on both sides of a column's text, and a line
    widths = [max(cell_len(str(row[place])) for row in (header, *rows)) + borders for place in range(len(header))]
    parts = [[0]]
    for place in range(1, len(header)):
        if len(parts[-1]) > 1 and sum(widths[other] for other in (*parts[-1], place)) >= width:
            parts.append([0])
        parts[-1].append(place)
    return parts
