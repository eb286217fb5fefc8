"""The command `python -m recsys select`: chooses the model of a study that is best on validation."""

from __future__ import annotations

import argparse
from pathlib import Path

from recsys.studies.runs import find_runs
from recsys.studies.selection import select
from recsys.terminal import terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the runs and the metric."""
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="runs or sweeps of one study")
    parser.add_argument(
        "--metric",
        default="ndcg@10",
        metavar="NAME",
        help="per-user metric, by which validation chooses: ndcg@10, f1@10, rmse (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the model that is best on validation, and how certain the choice is.

    Raises:
        UserError: there is no finished run, or no model can be chosen; see `recsys.studies.selection.select`.
    """
    runs = find_runs(*arguments.directories)
    for sentence in select(runs, arguments.metric).sentences():
        terminal().print(sentence)
