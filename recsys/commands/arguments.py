"""Command-line arguments that several commands share, and functions that parse their values."""

from __future__ import annotations

import argparse
import contextlib
import re
from pathlib import Path

from recsys.errors import LARGEST

TRAINED = "the directory of a finished run or of a model saved in Python, or the folder of an export"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add the positional argument `overrides`, which takes config overrides that choose the data."""
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="overrides as for train.py: data=ml-1m data.path=DIR"
    )


def is_override(word: str) -> bool:
    """Return whether an argument is a config override, and not an existing path such as `runs/split.fold=1_seed0`."""
    return "=" in word and not Path(word).exists()


def add_trusted(parser: argparse.ArgumentParser) -> None:
    """Add the option `--trusted`, which allows a run to be loaded even if its files can execute arbitrary code."""
    parser.add_argument(
        "--trusted",
        action="store_true",
        help="trust the run: import classes that it names from outside recsys, and unpickle its model",
    )


def add_run(parser: argparse.ArgumentParser, description: str = "the directory of a finished run") -> None:
    """Add the positional argument `directory`, the directory of a run."""
    parser.add_argument("directory", type=Path, metavar="RUN", help=description)


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of commands that print a table of runs: their directories, the metrics, and `--csv`."""
    parser.add_argument(
        "directories",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="runs, sweeps, or outputs; for `table` also a study, and overrides that choose a part of it",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="ndcg@10, of the test, or with the stage: valid/ndcg@10 in `table` (default: hr@10 and ndcg@10 of the "
        "test; in `table`, of validation if no run was tested)",
    )
    parser.add_argument(
        "--csv", action="store_true", help="print CSV; the default is a table, which is Markdown in a file or pipe"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option `--json`, with which a command prints JSON instead of text."""
    parser.add_argument("--json", action="store_true", help="print JSON where a table is the default")


def add_list_length(parser: argparse.ArgumentParser, description: str) -> None:
    """Add the option `-k`, the number of films in a list; `description` is its help text."""
    parser.add_argument("-k", "--k", type=at_least_one, default=10, help=f"{description} (default: %(default)s)")


def add_films(parser: argparse.ArgumentParser) -> None:
    """Add the options `--filter` and `--films`, which determine which films can be listed."""
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="genre=Comedy, 'year>=1990', or on any other column of the films; may be repeated, and all must hold",
    )
    parser.add_argument(
        "--films", metavar="FILE", help="file of new films: CSV or Parquet with title, year, genres, plot, ..."
    )


def at_least_one(text: str) -> int:
    """Parse a number of films, which must be at least 1.

    Raises:
        argparse.ArgumentTypeError: the text is not a whole number from 1.
    """
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a number of films above zero (got '{text}')")
    return int(text)


def period(text: str) -> float:
    """Parse a period of time, such as `10m`, and return it in seconds.

    Raises:
        argparse.ArgumentTypeError: the text is not a whole number above 0, followed by one of the units in `SECONDS`.
    """
    match = re.fullmatch(rf"(\d+)([{''.join(SECONDS)}])", text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"must be a period of time such as 30s, 10m, 1h or 1d (got '{text}')")
    return int(match[1]) * SECONDS[match[2]]


def share(text: str) -> float:
    """Parse a share, such as `0.05`.

    Raises:
        argparse.ArgumentTypeError: the text is not a number from 0 to below 1.
    """
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a share, at least 0 and below 1 (got '{text}')")


def seed(text: str) -> int:
    """Parse a random seed.

    Raises:
        argparse.ArgumentTypeError: the text is not a whole number from 0 to `LARGEST`.
    """
    if not (text.isdecimal() and int(text) <= LARGEST):
        raise argparse.ArgumentTypeError(f"must be a seed, a whole number from 0 to {LARGEST} (got '{text}')")
    return int(text)
