"""The command `python -m recsys compare`: compares models with a baseline by intervals and paired tests."""

from __future__ import annotations

import argparse

from recsys.commands.arguments import add_tables
from recsys.studies.runs import find_runs
from recsys.studies.tables import MEANING_OF_COMPARISON, METRICS, comparison, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the runs, the metrics and the baseline."""
    add_tables(parser)
    parser.add_argument(
        "--baseline", required=True, metavar="MODEL", help="name of a model as in `table`: TfidfProfile"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print, as a table or CSV, how much each model differs from the baseline in each metric.

    Raises:
        UserError: there is no finished run, or the runs cannot be compared; see `recsys.studies.tables.comparison`.
    """
    runs = find_runs(*arguments.directories)
    frame = comparison(runs, arguments.baseline, arguments.metrics or METRICS)
    if arguments.csv:
        print(frame.to_csv(index=False))
    else:
        print_table(frame, names=["model"], groups=["metric", "splits", "baseline"])
        print(f"\n{MEANING_OF_COMPARISON}")
