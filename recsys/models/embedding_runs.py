"""Loading of the model of a finished run that has embeddings and was trained on the same split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.files import reading
from recsys.models.base import Recommender, load


def load_embedding_model(run: Path, train: Dataset) -> Recommender:
    """Load the model of a run with embeddings.

    Args:
        run: directory of a finished run, or of several runs, of which the first one on the same split is used.
        train: training ratings, whose fingerprint identifies their split.

    Raises:
        UserError: the run has no embeddings, they were trained on another split, or the model cannot be loaded.
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
