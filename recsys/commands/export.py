"""The command `python -m recsys export`: writes the model of a run so that it runs without this package."""

from __future__ import annotations

import argparse
from pathlib import Path

from recsys.commands.arguments import add_run, add_trusted, at_least_one
from recsys.commands.run_data import checked_data, reranker_of
from recsys.export.folder import export
from recsys.export.layout import FILES
from recsys.export.program import with_graph
from recsys.extras import require
from recsys.studies.runs import read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, and the format and folder of the export."""
    add_run(parser)
    parser.add_argument("--to", choices=FILES, default="onnx", help="ONNX, or torch.export (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="new, or an earlier export (default: RUN/export)")
    parser.add_argument(
        "--length",
        type=at_least_one,
        metavar="N",
        help="number of latest films of a history to read (default: the longest history, or the model's maximum)",
    )
    add_trusted(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write the export, and print where it is."""
    if arguments.to == "onnx":
        require("onnx")
    exported = read_run(arguments.directory)
    model = exported.model(arguments.trusted)
    with_graph(model)  # fails before the data are prepared if the model cannot be exported
    dataset = checked_data(exported, model, arguments.trusted)
    folder = arguments.out or arguments.directory / "export"
    export(model, dataset, folder, arguments.to, arguments.length)
    print(f"{folder / FILES[arguments.to]} scores {dataset.n_items:,} films as the run does.")
    if reranker_of(exported, arguments.trusted) is not None:
        print("The reranker of the run is not exported: lists are in the order of scores.")
