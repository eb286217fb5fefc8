"""Loads exports as models that compute the same scores as the trained model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recsys.data import prepared
from recsys.data.query import Query
from recsys.errors import UserError
from recsys.export.layout import DATA, DESCRIPTION, EMBEDDINGS, FILES, OUTPUTS
from recsys.files import reading
from recsys.models.capabilities import HasEmbeddings
from recsys.models.recommending import RecommendsByIds

NOW = np.iinfo(np.int64).max  # moment of a query without a time: after all interactions

# (name of an output, inputs by name) -> float32 (B, n_items)
Scores = Callable[[str, Mapping[str, np.ndarray]], np.ndarray]


class ExportedModel(RecommendsByIds):
    """A model loaded from an export, which computes scores by onnxruntime or by a `torch.export` program.

    Args:
        description: content of `export.json`; see `recsys.export.folder.description`.
        scores: function that computes one of the model's outputs from its inputs; see the type `Scores`.

    Attributes:
        inputs: names of the model's inputs, in the order in which the model takes them.
        length: number of latest interactions that the model reads of each history.
        padding: item code with which shorter histories are filled up.
    """

    def __init__(self, description: Mapping[str, Any], scores: Scores) -> None:
        self.inputs = tuple(description["inputs"])
        self.length, self.padding = int(description["length"]), int(description["padding"])
        self.uses_history = bool(description["uses_history"])
        self.reads_order = bool(description["reads_order"])
        self.predicts_ratings = bool(description["predicts_ratings"])
        self.scale = np.array(description["scale"], np.float32)
        self._scores_new_users = bool(description["scores_new_users"])
        self._compute = scores

    @property
    def scores_new_users(self) -> bool:
        """See `Scorer.scores_new_users`."""
        return self._scores_new_users

    def score(self, query: Query) -> np.ndarray:
        """See `Scorer.score`; computes the output `scores`."""
        return self._compute(OUTPUTS[0], self.inputs_of(query))

    def inputs_of(self, query: Query) -> dict[str, np.ndarray]:
        """Return name -> array of the model's inputs for a query, in the order of `inputs`; see `padded`."""
        inputs = padded(query, self.length, self.padding)
        return {name: inputs[name] for name in self.inputs}

    def _score(self, query: Query) -> np.ndarray:
        """See `Scorer._score`; computes the output `scores_without_fallback`."""
        return self._compute(OUTPUTS[1], self.inputs_of(query))


class ExportedEmbeddings(ExportedModel, HasEmbeddings):
    """A model loaded from an export that contains embeddings of users and items.

    Args:
        description: as in `ExportedModel`.
        scores: as in `ExportedModel`.
        users: float32 (n_users, d) embeddings of the users.
        items: float32 (n_items, d) embeddings of the items.
    """

    def __init__(self, description: Mapping[str, Any], scores: Scores, users: np.ndarray, items: np.ndarray) -> None:
        super().__init__(description, scores)
        self.users, self.items = users, items

    def user_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings.user_embeddings`."""
        return self.users

    def item_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings.item_embeddings`."""
        return self.items


def load_export(folder: Path) -> ExportedModel:
    """Load an export as a model, together with its data; ONNX exports require the package onnxruntime.

    Args:
        folder: a folder that `recsys.export.folder.export` wrote.

    Raises:
        UserError: a file is missing or damaged.
    """
    advice = "export the run again"
    with reading(folder / DESCRIPTION, advice):
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        scores = SESSIONS[description["format"]](folder / FILES[description["format"]])
        if (folder / EMBEDDINGS).is_file():
            with np.load(folder / EMBEDDINGS, allow_pickle=False) as stored:
                model: ExportedModel = ExportedEmbeddings(description, scores, stored["users"], stored["items"])
        else:
            model = ExportedModel(description, scores)
    if not (folder / DATA).is_dir():
        raise UserError(f"{folder} must hold the folder {DATA} with ids and histories (it is missing): {advice}.")
    with reading(folder / DATA, advice):
        model.data = prepared.load(folder / DATA, advice).dataset
    return model


def padded(query: Query, length: int, padding: int) -> dict[str, np.ndarray]:
    """Return a query as arrays: name -> array for each field of `recsys.models.graphs.PaddedQuery`.

    The arrays have the dtypes of these fields.

    In padded positions, and if the history has no times or plays, times are 0 and plays are 1. The array `moments`
    contains the times at which users are served: the times of the query or, if it has none, a time after all
    interactions.

    Args:
        query: B users with their histories; only the latest `length` interactions of each history are used.
        length: number of columns of the histories.
        padding: item code that fills shorter histories on the left.
    """
    history = query.history.latest(length)
    shape = (len(query), length)
    cells = history.rows, length - 1 - history.places_from_the_end
    columns: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
        "items": (np.full(shape, padding, np.int64), history.items),
        "times": (np.zeros(shape, np.int64), history.times),
        "plays": (np.ones(shape, np.float32), history.plays),
    }
    for array, values in columns.values():
        if values is not None:
            array[cells] = values
    moments = np.full(len(query), NOW) if query.times is None else query.times
    by_name = {name: array for name, (array, _) in columns.items()}
    return {**by_name, "users": query.users.astype(np.int64), "moments": moments}


def _onnx_session(file: Path) -> Scores:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda output, inputs: session.run([output], dict(inputs))[0]


def _torch_session(file: Path) -> Scores:
    import torch

    scores = torch.export.load(file).module()

    @torch.inference_mode()
    def compute(output: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        tensors = [torch.from_numpy(array) for array in inputs.values()]
        return scores(*tensors)[OUTPUTS.index(output)].numpy()

    return compute


SESSIONS: Mapping[str, Callable[[Path], Scores]] = {"onnx": _onnx_session, "torch": _torch_session}
