"""The command `python -m recsys importance`: measures how much a tree ensemble relies on each group of features."""

from __future__ import annotations

import argparse

from recsys.commands.arguments import add_run, add_trusted, seed
from recsys.commands.run_data import split_of
from recsys.errors import UserError
from recsys.files import short
from recsys.models.rating_trees import RatingTrees
from recsys.studies.runs import read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run and the seed."""
    add_run(parser, "the directory of a finished run of random_forest or gradient_boosting")
    parser.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="N",
        help="seed of sampled ratings and of permutations (default: %(default)s)",
    )
    add_trusted(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write the report to the folder `trees` in the run's directory, and print its findings.

    Raises:
        UserError: the run was not tested, its model is not a tree ensemble, it cannot be loaded, or its split has
            changed.
    """
    from recsys.analysis.importance import report  # needs an extra; --help does not

    run = read_run(arguments.directory)
    run.check_tested()
    model = run.model(arguments.trusted)
    if not isinstance(model, RatingTrees):
        raise UserError(
            f"{run.directory} must hold a tree ensemble (got {type(model).__name__}): choose a run of random_forest or "
            "gradient_boosting."
        )
    split = split_of(run, arguments.trusted)
    run.check_split(split)
    directory = run.directory / "trees"
    for answer in report.write_report(directory, model, split, arguments.seed):
        print(f"{answer.question}\n  {answer.finding}")
    print(f"The report is {short(directory / report.PAGE)}.")
