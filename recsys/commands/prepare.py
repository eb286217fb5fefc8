"""The command `python -m recsys prepare`: downloads and cleans a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from recsys.commands.arguments import add_overrides
from recsys.config import compose
from recsys.config.splits import prepared_data
from recsys.data.fingerprint import forget_digests
from recsys.data.report import print_report

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the choice of data, and `--check`, which reads all files in full again."""
    add_overrides(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="read all files in full again, in case one has changed although its size and times have not",
    )


def run(arguments: argparse.Namespace) -> None:
    """Prepare the data, and print a report on what was read and what cleaning dropped.

    Raises:
        UserError: an override is not valid, or the data cannot be prepared.
    """
    cfg = compose("train", arguments.overrides)
    if arguments.check:
        forget_digests(Path(cfg.cache_dir))
    print_report(prepared_data(cfg))
