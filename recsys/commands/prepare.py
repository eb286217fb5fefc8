"""The command `python -m recsys prepare`: downloads and cleans a data set."""

from __future__ import annotations

import argparse

from recsys.commands.arguments import add_overrides as add_arguments
from recsys.config import compose
from recsys.config.splits import prepared_data
from recsys.data.report import print_report

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> None:
    """Prepare the data, and print the report on cleaning."""
    print_report(prepared_data(compose("train", arguments.overrides)))
