"""The command `python -m recsys export`: writes a trained model so that it runs without this package."""

from __future__ import annotations

import argparse
from pathlib import Path

from recsys.commands.arguments import add_run, add_trusted, at_least_one
from recsys.commands.run_data import trained_model
from recsys.errors import UserError
from recsys.export.folder import export
from recsys.export.layout import FILES
from recsys.extras import require
from recsys.models.base import Recommender


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run, the format and folder of the export, and the maximum history length."""
    add_run(parser, "the directory of a finished run or of a model saved in Python")
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
    """Export the model of a run or a saved model, and print the path of the file.

    Raises:
        UserError: the run cannot be loaded or its model cannot be exported, or the extra `onnx` is not installed.
    """
    if arguments.to == "onnx":
        require("onnx")
    trained = trained_model(arguments.directory, arguments.trusted)
    model = trained.model
    if not isinstance(model, Recommender):
        raise UserError(f"RUN must be a finished run or a saved model (got {arguments.directory}, an export).")
    folder = arguments.out or arguments.directory / "export"
    export(model, trained.dataset, folder, arguments.to, arguments.length)
    print(f"{folder / FILES[arguments.to]} scores {trained.dataset.n_items:,} films as the trained model does.")
    if trained.reranker is not None:
        print("The reranker of the run is not exported: lists are in the order of scores.")
