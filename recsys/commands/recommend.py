"""The command `python -m recsys recommend`: recommends items to a user, or to all users."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from recsys.analysis import report
from recsys.analysis.history_files.entries import read_history
from recsys.analysis.history_files.matching import HistoryMatcher, MatchedHistory
from recsys.analysis.history_files.tables import MAX_BYTES
from recsys.analysis.recommend import check_scores_new_users, history_of_ratings, recommend
from recsys.commands.all_users import add_all_users, recommend_to_all_users
from recsys.commands.arguments import TRAINED, add_films, add_json, add_list_length, add_run, add_trusted
from recsys.commands.run_data import trained_model
from recsys.data.dataset import Dataset
from recsys.data.filters import items_meeting
from recsys.data.query import UNKNOWN
from recsys.data.titles import find_items
from recsys.errors import UserError
from recsys.models.recommending import user_codes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run, the user, and the options that determine which films are listed and how."""
    add_run(parser, TRAINED)
    add_list_length(parser, "films to list at most")
    add_films(parser)
    add_json(parser)
    add_trusted(parser)
    user = parser.add_mutually_exclusive_group(required=True)
    user.add_argument("--user", metavar="ID", help="id of a user in the data")
    user.add_argument(
        "--liked",
        action="append",
        metavar="TITLE",
        help="title that a new user likes: 'Heat (1995)'; may be repeated, the latest last",
    )
    user.add_argument(
        "--history",
        type=Path,
        metavar="FILE",
        help="history of a new user: an export of Letterboxd, IMDb, Netflix, Trakt or MovieLens, or a CSV with titles",
    )
    user.add_argument("--all", action="store_true", help="all users of the data, without reasons, to --out FOLDER")
    add_all_users(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print recommendations for a user, or write recommendations for all users to a folder.

    For a new user with a history file, first print which films of the file are in the data.

    Raises:
        UserError: the run cannot be loaded, the user or a title is unknown, or an option is not valid.
    """
    if arguments.all:
        recommend_to_all_users(arguments)
        return
    if arguments.out is not None or arguments.shard is not None:
        raise UserError("--out and --shard must be given with --all (got another choice of users).")
    trained = trained_model(arguments.directory, arguments.trusted, arguments.films)
    model, dataset = trained.model, trained.dataset
    candidates = items_meeting(dataset, arguments.filter)
    user = UNKNOWN
    answer: dict[str, Any] = {"run": str(arguments.directory)}
    if arguments.user is None:
        check_scores_new_users(model)
    if arguments.user is not None:
        user = int(user_codes(dataset, [arguments.user])[0])
        history = dataset.history(np.array([user]))
    elif arguments.liked:
        history = dataset.history_of_liked(find_items(dataset, arguments.liked))
    else:
        matched = _matched_history(dataset, arguments.history)
        answer["history"] = report.matched_history_as_json(dataset, matched)
        if not arguments.json:
            report.print_matched_history(dataset, matched)
        if not matched.matched:
            raise UserError(f"--history must have films of {dataset.name} (got {matched.source} without any).")
        items = [film.item for film in matched.matched]
        history = history_of_ratings(model, dataset, items, [film.rating for film in matched.matched])
        candidates = np.setdiff1d(candidates, items)
    recommended = recommend(model, dataset, user, history, candidates, arguments.k, trained.rank)
    if arguments.json:
        answer |= report.recommendations_as_json(dataset, user, history, recommended)
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        report.print_recommendations(dataset, model, user, history, recommended)


def _matched_history(dataset: Dataset, file: Path) -> MatchedHistory:
    """Read a history from a file, and match the films in it with those of the data set.

    Raises:
        UserError: the file cannot be read, or is not in a known format.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"--history must be a file that can be read (got {file}: {error.strerror}).") from error
    return HistoryMatcher(dataset).match(read_history(file.name, content))
