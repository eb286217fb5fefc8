"""The report that a run prints at its end: test metrics next to those of a baseline, and example recommendations."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from recsys.files import short
from recsys.studies.examples import Example
from recsys.terminal import terminal


def headline_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Select the most important metrics: those at list length 10, and those without a list length."""
    return {name: value for name, value in metrics.items() if not re.search(r"@(?!10\b)", name)}


def print_metrics(title: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table with a row for each headline metric of the first model, and a column for each model."""
    table = Table("metric", *metrics, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in headline_metrics(next(iter(metrics.values()))):
        table.add_row(name, *(f"{values[name]:.4f}" if name in values else "" for values in metrics.values()))
    terminal().print(table)


def print_example(example: Example) -> None:
    """Print what a user liked next to what the model recommends."""
    table = Table("", "liked", "recommended", title=f"User {example.user_id}")
    for place, liked, recommended in example.rows():
        table.add_row(str(place), liked, recommended)
    terminal().print(table)


def print_location(directory: Path) -> None:
    """Print the directory of a run, and the command that shows its curves if TensorBoard can."""
    shown = ""
    if (directory / "tensorboard").is_dir():
        command = "tensorboard" if shutil.which("tensorboard") else short(Path(sys.executable).parent / "tensorboard")
        shown = f"; to look at it: {command} --logdir {short(directory)}"
    print(f"The run is in {short(directory)}{shown}")
