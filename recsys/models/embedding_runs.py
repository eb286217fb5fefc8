"""Loads a model with embeddings from a finished run, if the run was trained on the same split as given ratings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.files import reading
from recsys.models.base import Recommender, load


def load_embedding_model(run: Path, train: Dataset) -> Recommender:
    """Load a model with embeddings from a finished run that was trained on the same split as `train`.

    Args:
        run: directory of a run, or directory that contains several runs. The first run that has embeddings and was
            trained on the same split is used.
        train: training ratings, whose fingerprint identifies their split.

    Raises:
        UserError: no run in the directory has embeddings, the runs that have embeddings were trained on other splits,
            or the model cannot be loaded.
    """
    files = [run / "embeddings.npz", *sorted(run.glob("*/embeddings.npz"))]
    split_of = {file.parent: _split(file) for file in files if file.is_file()}
    if not split_of:
        raise UserError(f"{run} must hold embeddings (got none): name a finished run of a model such as mf or ials.")
    for directory, split in split_of.items():
        if split == train.fingerprint.partition("/")[0]:
            return load(directory / "model")
    raise UserError(
        f"The embeddings of {run} must be of the same split (got another one, whose training ratings may include test "
        "ratings of this one): train its model with the same data and split settings."
    )


def _split(embeddings: Path) -> str:
    with reading(embeddings), np.load(embeddings, allow_pickle=False) as stored:
        return str(stored["split"])
