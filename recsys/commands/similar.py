"""The command `python -m recsys similar`: lists the films of a run's data that are most similar to a given film."""

from __future__ import annotations

import argparse
import json

from recsys.analysis import report
from recsys.commands.arguments import TRAINED, add_films, add_json, add_list_length, add_run, add_trusted
from recsys.commands.run_data import data_in
from recsys.data.filters import items_meeting
from recsys.data.new_items import with_new_items
from recsys.data.titles import find_item
from recsys.models.similar import SimilarItems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run, the film, and the options that determine which films are listed and how."""
    add_run(parser, TRAINED)
    parser.add_argument(
        "title", metavar="TITLE", help="title of a film, with its year in brackets if the title is ambiguous"
    )
    add_list_length(parser, "films to list at most")
    add_films(parser)
    add_json(parser)
    add_trusted(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print, as text or JSON, the films that are most similar to a given film by ratings and metadata.

    Raises:
        UserError: the data cannot be loaded, the title is unknown or ambiguous, or a condition is not valid.
    """
    dataset = data_in(arguments.directory, arguments.trusted)
    if arguments.films is not None:
        dataset = with_new_items(dataset, arguments.films)
    film = find_item(dataset, arguments.title)
    near = SimilarItems(dataset).nearest(film, items_meeting(dataset, arguments.filter), arguments.k)
    if arguments.json:
        answer = report.neighbours_as_json(dataset, film, near)
        print(json.dumps({"run": str(arguments.directory), **answer}, indent=2, ensure_ascii=False))
    else:
        report.print_neighbours(dataset, film, near)
