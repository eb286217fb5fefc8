"""The files of a saved model: `model.json`, `arrays.npz` and, except for models of runs, the folder `data/`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recsys import renamed
from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.files import digest_of, reading, write_text, write_whole

DATA = "data"
DESCRIPTION = "model.json"
ARRAYS = "arrays.npz"


class Description(NamedTuple):
    """The contents of `model.json`, which describes a saved model.

    Attributes:
        cls: full import path of the model's class.
        hyperparameters: the arguments of its constructor by name.
        digest: digest of `arrays.npz`; None for a model saved by an earlier version, which stored no digest.
    """

    cls: str
    hyperparameters: dict[str, Any]
    digest: str | None


def write_model(
    directory: Path, cls: str, hyperparameters: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a model without its data. An earlier model in the directory is replaced, and its data are deleted.

    Args:
        directory: directory of the model, created if it does not exist.
        cls: full import path of the model's class.
        hyperparameters: the arguments of its constructor by name, with values that JSON can represent.
        arrays: the learned arrays by name.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / DATA, ignore_errors=True)
    write_whole(directory / ARRAYS, lambda file: np.savez(file, allow_pickle=False, **arrays))
    described = {"class": cls, "hyperparameters": hyperparameters, "arrays": digest_of([directory / ARRAYS])}
    text = json.dumps(described, indent=2) + "\n"
    write_text(directory / DESCRIPTION, text)


def read_description(directory: Path) -> Description:
    """Read `model.json`, replacing earlier names of the model's class and hyperparameters with the current names.

    Raises:
        UserError: the directory has no model, or `model.json` is damaged.
    """
    file = directory / DESCRIPTION
    if not file.is_file():
        raise UserError(f"{directory} must be a directory with a saved model, such as a run's model/ (no {file.name}).")
    with reading(file):
        described = json.loads(file.read_text())
        cls, hyperparameters = renamed.current_settings(str(described["class"]), {**described["hyperparameters"]})
        return Description(cls, hyperparameters, described.get("arrays"))


def read_arrays(directory: Path, described: Description) -> dict[str, np.ndarray]:
    """Read the arrays of a saved model, replacing earlier names of arrays with the current names.

    Args:
        directory: directory of the model.
        described: contents of the `model.json` in the same directory.

    Raises:
        UserError: `arrays.npz` is damaged, was not saved together with `model.json`, or contains NaN.
    """
    file = directory / ARRAYS
    with reading(file):
        if described.digest not in (None, digest_of([file])):
            raise ValueError(f"it is not the file that was saved with {DESCRIPTION}")
        with np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        for name, array in arrays.items():
            if np.issubdtype(array.dtype, np.floating) and np.isnan(array).any():
                raise ValueError(f"{name} has NaN")
    return renamed.current_arrays(described.cls, arrays)


def read_data(directory: Path, n_learned: int | None) -> Dataset | None:
    """Return the data that were saved with a model, or None if the model was saved without data.

    Args:
        directory: directory of the model.
        n_learned: number of items that the model can score; None if it is unknown.

    Raises:
        UserError: the data are damaged, or have more items than the model can score.
    """
    folder = directory / DATA
    if not folder.is_dir():
        return None
    from recsys.data import prepared  # imports DuckDB, which a model without data does not need

    advice = "save the model again, or remove the folder to use the model without ids and titles"
    with reading(folder, advice):
        data = prepared.load(folder, advice).dataset
        if n_learned is not None and n_learned < data.n_items:
            raise ValueError(f"it has {data.n_items:,} items, and the model has learned {n_learned:,}")
    return data


def is_saved_with_data(directory: Path) -> bool:
    """Return whether a directory has a model that was saved together with its data, as `Recommender.save` does."""
    return (directory / DESCRIPTION).is_file() and (directory / DATA).is_dir()


def saved_class(directory: Path) -> str:
    """Return the full import path of a saved model's class, without importing the class.

    Raises:
        UserError: the directory has no model, or its description is damaged.
    """
    return read_description(directory).cls


def saved_settings(directory: Path) -> dict[str, Any]:
    """Return the settings of a saved model for `base.make`: its hyperparameters, and its class in `_target_`.

    Raises:
        UserError: the directory has no model, or its description is damaged.
    """
    described = read_description(directory)
    return {"_target_": described.cls, **described.hyperparameters}
