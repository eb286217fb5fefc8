"""The command `python -m recsys serve`: serves finished runs as a web page and an API."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from recsys.commands.arguments import add_trusted
from recsys.commands.feedback import add_store, open_store
from recsys.commands.run_data import data_of, reranker_of
from recsys.config import compose, instantiate
from recsys.web.http_server import ServerSettings, run_server
from recsys.web.recommendation_service import RecommendationService, runs_by_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the runs and settings, and the store of feedback."""
    parser.add_argument(
        "what",
        nargs="+",
        metavar="RUN|KEY=VALUE",
        help="finished runs on the same data, the default first, or a directory of some; settings: port=8000",
    )
    add_trusted(parser)
    add_store(parser)


def run(arguments: argparse.Namespace) -> None:
    """Serve until interrupted."""
    overrides = [word for word in arguments.what if "=" in word]
    settings: ServerSettings = instantiate(compose("serve", overrides))
    runs = runs_by_name([Path(word) for word in arguments.what if word not in overrides])
    store = open_store(arguments.store, next(iter(runs.values())), create=True)
    data = partial(data_of, trusted=arguments.trusted)
    reranker = partial(reranker_of, trusted=arguments.trusted)
    service = RecommendationService(
        runs, data, store, settings.explore, settings.index, arguments.trusted, reranker_of=reranker
    )
    run_server(service, settings)
