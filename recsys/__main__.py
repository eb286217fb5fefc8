"""The commands beside train.py: `python -m recsys prepare | table`."""

from __future__ import annotations

import argparse
from pathlib import Path

from recsys.config import compose, instantiate, one_sentence
from recsys.data.prepare import prepare, print_report
from recsys.studies.runs import find_runs
from recsys.studies.tables import markdown, table


def prepare_command(arguments: argparse.Namespace) -> None:
    """Download, clean and cache a data set; say what cleaning kept and dropped and what metadata describes."""
    cfg = compose("train", arguments.overrides)
    print_report(prepare(instantiate(cfg.data), Path(cfg.cache_dir), instantiate(cfg.metadata)))


def table_command(arguments: argparse.Namespace) -> None:
    """Print the metrics of runs, mean and standard deviation over seeds."""
    runs = [run for directory in arguments.directories for run in find_runs(directory)]
    frame = table(runs, arguments.metrics)
    print(frame.to_csv(index=False) if arguments.csv else markdown(frame))


def main() -> None:
    """Read the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m recsys", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("prepare", help=prepare_command.__doc__, description=prepare_command.__doc__)
    command.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as of train.py: data=ml-1m data.path=DIR")
    command.set_defaults(run=prepare_command)

    command = commands.add_parser("table", help=table_command.__doc__, description=table_command.__doc__)
    command.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="runs, sweeps, or outputs")
    command.add_argument("--metrics", nargs="+", default=["test/hr@10", "test/ndcg@10"], metavar="NAME")
    command.add_argument("--csv", action="store_true", help="print CSV where Markdown is the default")
    command.set_defaults(run=table_command)

    arguments = parser.parse_args()
    with one_sentence():
        arguments.run(arguments)


if __name__ == "__main__":
    main()
