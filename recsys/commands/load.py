"""The command `python -m recsys load`: writes a data set, or a run's data and recommendations, to a database."""

from __future__ import annotations

import argparse
from pathlib import Path

from recsys.analysis.recommend_to_all import recommend_to_all
from recsys.commands.arguments import add_list_length, add_trusted, is_override
from recsys.commands.run_data import trained_model
from recsys.config import compose
from recsys.config.splits import prepared_data
from recsys.counted import counted
from recsys.data.address import DEFAULT_VARIABLE, Address
from recsys.data.tables import TABLES, check_no_tables, clean_tables, write_tables


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run or the data, the database, and the length of lists."""
    parser.add_argument("what", nargs="*", metavar="RUN|KEY=VALUE", help="a run, or overrides as for train.py")
    parser.add_argument(
        "--to",
        metavar="ADDRESS",
        help="postgresql://USER:PASSWORD@HOST/DATABASE, mysql://..., a .duckdb or .sqlite file (default: the value of "
        f"the environment variable {DEFAULT_VARIABLE}, which leaves no password in the shell's history)",
    )
    parser.add_argument("--replace", action="store_true", help="replace tables of the same names")
    add_list_length(parser, "films to recommend to each user")
    add_trusted(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write the tables to the database, and print how many rows each has.

    Raises:
        UserError: the run or the data cannot be loaded, tables of these names exist and `--replace` is not given, or
            the database cannot be written.
    """
    address = Address.from_environment(DEFAULT_VARIABLE) if arguments.to is None else Address.parse(arguments.to)
    is_run = len(arguments.what) == 1 and not is_override(arguments.what[0])
    cfg = None if is_run else compose("train", arguments.what)
    if not arguments.replace:
        check_no_tables(address, (*TABLES, "recommendations") if is_run else TABLES)
    if cfg is not None:
        tables = clean_tables(prepared_data(cfg).dataset)
    else:
        trained = trained_model(Path(arguments.what[0]), arguments.trusted)
        lists = recommend_to_all(trained.model, trained.dataset, arguments.k, trained.rank)
        tables = clean_tables(trained.dataset) | {"recommendations": lists}
    write_tables(address, tables, replace=arguments.replace)
    written = ", ".join(f"{name} ({counted(len(frame), 'row')})" for name, frame in tables.items())
    print(f"{address}: {written}")
