"""The command `python -m recsys explore`: analyses the ratings of a data set before any model is trained."""

from __future__ import annotations

import argparse
from pathlib import Path

from recsys.commands.arguments import add_overrides
from recsys.config import compose
from recsys.config.splits import prepared_data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the choice of data and the directory of the report."""
    add_overrides(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of the report (default: outputs/explore/NAME)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Prepare the data, write a report with figures, and print its findings.

    Raises:
        UserError: an override is not valid, or the data cannot be prepared.
    """
    from recsys.analysis.exploration import report  # needs an extra; --help does not

    prepared = prepared_data(compose("train", arguments.overrides))

    directory = arguments.out or Path("outputs", "explore", prepared.report.name)
    report.print_findings(report.write_report(directory, prepared), prepared.report)
    print(f"report: {directory / report.PAGE}")
