"""The command `python -m recsys serve`: serves finished runs as a web page and an API."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from recsys.commands.arguments import add_trusted, is_override
from recsys.commands.feedback import add_store
from recsys.config import compose, instantiate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the runs and settings, the number of workers, and the store of feedback."""
    parser.add_argument(
        "what",
        nargs="+",
        metavar="RUN|KEY=VALUE",
        help="finished runs on the same data, the default run first, or a directory of such runs; settings: port=8000",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that answer requests, each with its own copy of the runs (default: 1)",
    )
    add_trusted(parser)
    add_store(parser)


def run(arguments: argparse.Namespace) -> None:
    """Serve the page and the API until interrupted, in this process or in several worker processes.

    Raises:
        UserError: a setting is not valid, there is no run, the runs have different data, or the store has feedback on
            other data.
    """
    from recsys.commands.service import service_of  # needs an extra; --help does not
    from recsys.web.http_server import ServerSettings, run_server
    from recsys.web.workers import run_workers

    overrides = list(filter(is_override, arguments.what))
    settings: ServerSettings = instantiate(compose("serve", overrides))
    directories = [Path(word) for word in arguments.what if word not in overrides]
    make_service = partial(service_of, directories, arguments, settings.explore, settings.index)
    if arguments.workers == 1:
        run_server(make_service(), settings)
    else:
        run_workers(make_service, settings, arguments.workers)
