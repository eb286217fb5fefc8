"""Builds the recommendation service of the commands `serve` and `mcp`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from recsys.commands.feedback import open_store
from recsys.commands.run_data import data_of, reranker_of
from recsys.web.exploration import Exploration
from recsys.web.index import IndexSettings
from recsys.web.recommendation_service import RecommendationService, runs_by_name


def service_of(
    directories: Sequence[Path],
    arguments: argparse.Namespace,
    explore: Exploration = Exploration(),
    index: IndexSettings = IndexSettings(),
) -> RecommendationService:
    """Build a recommendation service from finished runs and a store of feedback, which is created if it does not exist.

    Args:
        directories: directories of runs, the default run first; a directory may also contain several runs, see
            `runs_by_name`.
        arguments: parsed arguments of the command, including those of `add_trusted` and `add_store`.
        explore: settings of exploration, which shows random films at some places of a list.
        index: settings of the approximate index of films.

    Raises:
        UserError: there is no run, the runs have different data, or the store has feedback on other data.
    """
    runs = runs_by_name(directories)
    store = open_store(arguments.store, next(iter(runs.values())), create=True)
    data = partial(data_of, trusted=arguments.trusted)
    reranker = partial(reranker_of, trusted=arguments.trusted)
    return RecommendationService(runs, data, store, explore, index, arguments.trusted, reranker_of=reranker)
