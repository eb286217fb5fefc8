"""Writes exports: the model, a description of its inputs and outputs, the catalogue, the histories, and an example."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from recsys.data.dataset import Dataset
from recsys.data.saved import write_dataset
from recsys.errors import UserError
from recsys.export.example import example
from recsys.export.layout import DATA, DESCRIPTION, EMBEDDINGS, EXAMPLE, FILES, ITEMS, OUTPUTS, USERS, is_export
from recsys.export.program import example_inputs, program, served_graph, with_graph
from recsys.files import digest_of, move_into_place, write_text
from recsys.models.base import HasEmbeddings, Recommender, class_name
from recsys.models.graphs import PADDING
from recsys.models.histories import LONG


def export(model: Recommender, data: Dataset, folder: Path, to: str = "onnx", length: int | None = None) -> None:
    """Export a trained model to a folder, in a format that runs without this package.

    Args:
        model: the trained model.
        data: the data set whose ratings form the histories of users; the export contains its ids and titles.
        folder: folder to write to, in the layout of `recsys.export.layout`. An earlier export in it is replaced once
            the new export is complete.
        to: format: `onnx`, or `torch` for a `torch.export` program.
        length: number of latest interactions that the exported model reads of each history; None for `default_length`.

    Raises:
        UserError: the model cannot be exported, its weights do not fit in memory, or the folder contains files that are
            not an earlier export.
    """
    if folder.exists() and not is_export(folder) and (folder.is_file() or any(folder.iterdir())):
        raise UserError(f"--out must be a new folder or an earlier export (got {folder}, which holds other files).")
    length = length or default_length(model, data)
    graph = served_graph(model, data, length)
    traced = program(graph, length)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="exporting-") as scratch:
        place = Path(scratch) / "export"
        place.mkdir()
        _write_program(traced, place / FILES[to], graph.reads)
        _write_catalogue(data, place, has_users="users" in graph.reads)
        if isinstance(model, HasEmbeddings):
            np.savez(place / EMBEDDINGS, users=model.user_embeddings(), items=model.item_embeddings())
        write_dataset(data, place / DATA)
        if to == "onnx":
            write_text(place / EXAMPLE, example(graph.reads, length))
        described = description(model, data, to, graph.reads, length) | {"digest": digest_of([place / FILES[to]])}
        write_text(place / DESCRIPTION, json.dumps(described, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        move_into_place(place, folder)


def default_length(model: Recommender, data: Dataset) -> int:
    """Return the default length of the histories that an exported model reads.

    It covers all interactions that the model reads from any history of the data. It is at least `LONG`, because the
    weight of popularity in scores depends on the length of histories shorter than `LONG`.

    Raises:
        UserError: the model cannot be exported.
    """
    longest = max(LONG, int(data.user_counts.max(initial=0)))
    n_read = with_graph(model).n_read
    return longest if n_read is None else min(longest, max(LONG, n_read))


def description(model: Recommender, data: Dataset, to: str, reads: tuple[str, ...], length: int) -> dict[str, Any]:
    """Return the content of `export.json` except the digest: how to run the model, and what its scores depend on.

    Args:
        model: the trained model.
        data: the data set whose ratings form the histories of users.
        to: format of the export, a key of `FILES`.
        reads: names of the model's inputs; see `ServedGraph.reads`.
        length: number of columns of the model's input arrays of histories.
    """
    has_items = "items" in reads
    return {
        "format": to,
        "file": FILES[to],
        "class": class_name(model),
        "data": data.name,
        "n_users": data.n_users,
        "n_items": data.n_items,
        "length": length,
        "padding": PADDING,
        "inputs": {
            name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": ["batch", *tensor.shape[1:]]}
            for name, tensor in example_inputs(length).items()
            if name in reads
        },
        "outputs": {name: {"dtype": "float32", "shape": ["batch", data.n_items]} for name in OUTPUTS},
        "uses_history": model.uses_history and has_items,
        "scores_new_users": model.scores_new_users and has_items,
        "reads_order": model.reads_order and has_items,
        "predicts_ratings": model.predicts_ratings,
        "scale": list(data.scale),
    }


def _write_catalogue(data: Dataset, folder: Path, has_users: bool) -> None:
    """Write CSV files of the items' ids and titles and, if `has_users`, of the users' ids, in the order of codes."""
    names = data.item_names
    items = pd.DataFrame({"id": data.item_frame["movie_id"].to_numpy(), "title": names})
    items.to_csv(folder / ITEMS, index_label="position")
    if has_users:
        users = pd.DataFrame({"id": data.user_frame["user_id"].to_numpy()})
        users.to_csv(folder / USERS, index_label="position")


def _write_program(traced: torch.export.ExportedProgram, file: Path, reads: tuple[str, ...]) -> None:
    with _quiet():
        if file.suffix == ".pt2":
            torch.export.save(traced, file)
            return
        converted = torch.onnx.export(traced, input_names=list(reads), output_names=list(OUTPUTS), verbose=False)
        cast(torch.onnx.ONNXProgram, converted).save(file)  # a single file up to 2 GB


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress messages and warnings of the ONNX exporter and its packages, which do not concern the user."""
    loggers = {
        logging.getLogger(name): logging.getLogger(name).level for name in ("torch.onnx", "onnxscript", "onnx_ir")
    }
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)
