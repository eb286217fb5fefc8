"""The recommendation service that a command offers: on finished runs, with a store of feedback."""

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
    """Build the service on runs, the default first, or on directories of some.

    Args:
        directories: see `runs_by_name`.
        arguments: with those of `add_trusted` and `add_store`.
        explore: randomised places in lists that viewers see.
        index: when films are indexed.

    Raises:
        UserError: there is no run, the runs are of different data, or the store is of other data.
    """
    runs = runs_by_name(directories)
    store = open_store(arguments.store, next(iter(runs.values())), create=True)
    data = partial(data_of, trusted=arguments.trusted)
    reranker = partial(reranker_of, trusted=arguments.trusted)
    return RecommendationService(runs, data, store, explore, index, arguments.trusted, reranker_of=reranker)
