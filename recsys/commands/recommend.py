"""The command `python -m recsys recommend`: recommends items to a user."""

from __future__ import annotations

import argparse
import json

import numpy as np

from recsys.analysis import report
from recsys.analysis.recommend import UNKNOWN, history_of_liked, recommend, user_code
from recsys.commands.arguments import add_films, add_json, add_list_length, add_run, add_trusted
from recsys.commands.run_data import model_and_data, ranker_of
from recsys.data.filters import items_meeting
from recsys.data.titles import find_item
from recsys.studies.runs import read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the user, and the options that determine which films can be listed."""
    add_run(parser)
    add_list_length(parser, "films to list at most")
    add_films(parser)
    add_json(parser)
    add_trusted(parser)
    user = parser.add_mutually_exclusive_group(required=True)
    user.add_argument("--user", metavar="ID", help="as the data's source has it")
    user.add_argument(
        "--liked",
        action="append",
        metavar="TITLE",
        help="of a new user: 'Heat (1995)'; may be repeated, the latest last",
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the recommendations."""
    model, dataset = model_and_data(arguments.directory, arguments.trusted, arguments.films)
    candidates = items_meeting(dataset, arguments.filter)
    if arguments.user is None:
        user, liked = UNKNOWN, [find_item(dataset, title) for title in arguments.liked]
        history = history_of_liked(model, dataset, liked)
    else:
        user = user_code(dataset, arguments.user)
        history = dataset.history(np.array([user]))
    rank = ranker_of(read_run(arguments.directory), model, dataset, arguments.trusted)
    recommended = recommend(model, dataset, user, history, candidates, arguments.k, rank)
    if arguments.json:
        answer = report.recommendations_as_json(dataset, user, history, recommended)
        print(json.dumps({"run": str(arguments.directory), **answer}, indent=2, ensure_ascii=False))
    else:
        report.print_recommendations(model, dataset, user, history, recommended)
