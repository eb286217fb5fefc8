"""Recommends films to all users of a run: `python -m recsys recommend RUN --all`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

from recsys.analysis.recommend_to_all import ListMaker, Scores, Shard, scores_of, write_lists
from recsys.commands.run_data import trained_model
from recsys.counted import counted
from recsys.data.dataset import Dataset
from recsys.data.filters import items_meeting
from recsys.data.query import Query
from recsys.errors import UserError
from recsys.export.layout import DESCRIPTION, is_export
from recsys.files import digest_of
from recsys.models.base import ScoresByProducts
from recsys.models.recommending import RecommendsByIds
from recsys.models.saved_files import is_saved_with_data
from recsys.studies.runs import MODEL

BEYOND = 200_000  # number of films above which an index is used; the default of `serve` too


def add_all_users(parser: argparse.ArgumentParser) -> None:
    """Add the options that go with `recommend --all` to the parser of `recommend`, but not `--all` itself."""
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="with --all: folder of Parquet files, new or begun")
    parser.add_argument(
        "--shard", type=shard, metavar="i/n", help="with --all: only the i-th of n shares of the users (default: 1/1)"
    )
    parser.add_argument(
        "--index-beyond",
        type=int,
        default=BEYOND,
        metavar="N",
        help="with --all: number of films above which an approximate index finds those to score (default: %(default)s)",
    )


def shard(text: str) -> Shard:
    """Parse a share of the users, such as `3/8` for the third of eight shares.

    Raises:
        argparse.ArgumentTypeError: the text does not have this form, or the share does not exist, such as `9/8`.
    """
    numbers = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if numbers is None or not 1 <= int(numbers[1]) <= int(numbers[2]):
        raise argparse.ArgumentTypeError(f"must be a share such as 3/8, from 1/8 to 8/8 (got '{text}')")
    return Shard(int(numbers[1]), int(numbers[2]))


def recommend_to_all_users(arguments: argparse.Namespace) -> None:
    """Write the recommendations for all users, or for the share given by `--shard`, to a folder.

    Print the number of these users, and for how many of them an earlier call had already written the lists.

    Args:
        arguments: parsed arguments of `recommend`.

    Raises:
        UserError: no folder is given, the folder has lists that were made with other settings, or the run cannot be
            loaded.
    """
    if arguments.out is None:
        raise UserError("--all must be given with --out FOLDER, to which lists are written (got none).")
    directory, k = arguments.directory, arguments.k
    trained = trained_model(directory, arguments.trusted, arguments.films)
    model, dataset, reranker = trained.model, trained.dataset, trained.reranker
    candidates = items_meeting(dataset, arguments.filter)
    is_whole = len(candidates) == dataset.n_items
    n_best = max(k, 0 if reranker is None else reranker.n_candidates)
    scores = scores_of(model)
    if is_whole and dataset.n_items > arguments.index_beyond and isinstance(model, ScoresByProducts):
        scores = indexed_scores(model, dataset, n_best)
    maker = ListMaker(dataset, k, scores, trained.rank, None if is_whole else candidates)
    settings = {
        "model": _digest(directory),
        "reranker": None if reranker is None else repr(reranker),
        "k": k,
        "filter": arguments.filter,
        "films": arguments.films,
        "index_beyond": arguments.index_beyond,
    }
    part = arguments.shard or Shard()
    n_written = write_lists(maker, arguments.out, part, settings)
    n_users = sum(len(users) for _, users in part.parts(dataset.n_users))
    print(f"{arguments.out} has the lists of {counted(n_users, 'user')} ({n_users - n_written:,} written before).")


def indexed_scores(model: RecommendsByIds, dataset: Dataset, n_best: int) -> Scores:
    """Return a function that scores only each user's best films, which an approximate index finds.

    The scores of all other films are -inf. For users for whom the model falls back to popularity, all films are scored.

    Args:
        model: model whose scores are products of vectors.
        dataset: data set with the films, and with users on whom the recall of the index is measured.
        n_best: number of films to find for each user, not counting films in the user's history.
    """
    from recsys.web.index import FilmIndex, IndexSettings  # needs the extra web

    films = FilmIndex(model, IndexSettings())
    print(
        f"indexed {dataset.n_items:,} films; the index finds {films.recall(dataset):.1%} of the best films of a sample "
        "of users."
    )

    def scores(query: Query) -> np.ndarray:
        found = films.scores(query, n_best + int(query.history.lengths.max(initial=0)))
        others = model.falls_back(query)
        if others.any():
            found[others] = model.score(query.select(others))
        return found

    return scores


def _digest(directory: Path) -> str:
    """Return the SHA-256 of the file that describes the model of a run, of an export or of a saved model."""
    described = "model.json" if is_saved_with_data(directory) else f"{MODEL}/model.json"
    return digest_of([directory / (DESCRIPTION if is_export(directory) else described)])
