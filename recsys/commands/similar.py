"""The command `python -m recsys similar`: lists the items most similar to one."""

from __future__ import annotations

import argparse
import json

from recsys.analysis import report
from recsys.analysis.recommend import neighbours
from recsys.commands.arguments import add_films, add_json, add_list_length, add_run, add_trusted
from recsys.commands.run_data import model_and_data
from recsys.data.filters import items_meeting
from recsys.data.titles import find_item


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the film, and the options that determine which films can be listed."""
    add_run(parser)
    parser.add_argument("title", metavar="TITLE", help="with its year in brackets if need be")
    add_list_length(parser, "films to list at most")
    add_films(parser)
    add_json(parser)
    add_trusted(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the similar films."""
    model, dataset = model_and_data(arguments.directory, arguments.trusted, arguments.films)
    film = find_item(dataset, arguments.title)
    measure, near = neighbours(model, film, items_meeting(dataset, arguments.filter), arguments.k)
    if arguments.json:
        answer = report.neighbours_as_json(dataset, film, measure, near)
        print(json.dumps({"run": str(arguments.directory), **answer}, indent=2, ensure_ascii=False))
    else:
        report.print_neighbours(model, dataset, film, measure, near)
