"""The command `python -m recsys mcp`: offers finished runs to an assistant through the Model Context Protocol."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from recsys.commands.arguments import add_trusted
from recsys.commands.feedback import add_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the runs and the store of feedback."""
    parser.add_argument(
        "directories",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="finished runs on the same data, the default run first, or a directory of such runs",
    )
    add_trusted(parser)
    add_store(parser)


def run(arguments: argparse.Namespace) -> None:
    """Read requests from standard input and write answers to standard output until the input ends.

    Raises:
        UserError: there is no run, the runs have different data, or the store has feedback on other data.
    """
    from recsys.commands.service import service_of  # needs an extra; --help does not
    from recsys.web.mcp_server import run_mcp_server

    with contextlib.redirect_stdout(sys.stderr):  # standard output is only for answers
        service = service_of(arguments.directories, arguments)
        service.load_all()
    run_mcp_server(service)
