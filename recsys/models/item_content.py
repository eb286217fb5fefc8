"""Encodes the metadata of items as inputs of deep models: sentence embeddings and binary features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.preprocessing import normalize

from recsys.data.dataset import Dataset
from recsys.data.features import features, vocabulary
from recsys.data.text import documents, make_encoder
from recsys.files import as_arrays, from_arrays
from recsys.models.content import check_dense, encode_items
from recsys.models.learned_arrays import prefixed, without_prefix


class ItemContent:
    """Encodes the metadata of the items in a data set and, in the same way, of items that are added later.

    Args:
        encoder: settings of a text encoder that returns dense vectors, with its class in `_target_`.
        fields: metadata fields that make up an item's document, in this order.
        min_count: a binary feature is used only if at least this many rated items have it.

    Attributes:
        text: float32 (n_items, d_text) sentence embeddings minus `average`, scaled to length 1; zero for an item
            without metadata.
        facts: float32 (n_items, f), CSR: 1 if an item has a feature, else 0.
        average: float32 (d_text,) mean sentence embedding of the rated items.
        fact_names: str (f,) names of the features; see `recsys.data.features.vocabulary`.
    """

    text: np.ndarray
    facts: sparse.csr_matrix
    average: np.ndarray
    fact_names: np.ndarray

    def __init__(self, encoder: Mapping[str, Any], fields: Sequence[str], min_count: int) -> None:
        self.encoder = dict(encoder)
        self.fields = list(fields)
        self.min_count = min_count

    def fit(self, train: Dataset, cache_dir: Path | None, earlier: ItemContent | None = None) -> None:
        """Encode the items of training data, and set the attributes.

        Args:
            train: the training data.
            cache_dir: directory in which sentence embeddings are cached; None caches nothing.
            earlier: for a warm start, the `ItemContent` that the earlier model was trained on, whose `average` and
                `fact_names` are used again; else None.

        Raises:
            UserError: the encoder's vectors are sparse.
        """
        rated = train.item_counts > 0
        self.text_encoder = make_encoder(self.encoder)
        vectors = check_dense(encode_items(train, self.text_encoder, self.fields, cache_dir))
        if earlier is None:
            self.average = vectors[rated].mean(axis=0)
            self.fact_names = vocabulary(train.item_frame[rated], min_count=self.min_count)
        else:
            self.average, self.fact_names = earlier.average, earlier.fact_names
        self.text = self._centred(vectors)
        self.facts = features(train.item_frame, self.fact_names)

    def add(self, items: pd.DataFrame) -> None:
        """Encode new items, given as rows like those of `Dataset.item_frame`, and append them to `text` and `facts`."""
        vectors = check_dense(self.text_encoder.encode(documents(items, self.fields)))
        self.text = np.concatenate([self.text, self._centred(vectors)])
        self.facts = sparse.vstack([self.facts, features(items, self.fact_names)], format="csr")

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays, including those of the text encoder, by name."""
        arrays = {"average": self.average, "fact_names": self.fact_names}
        arrays |= as_arrays("text", self.text) | as_arrays("facts", self.facts)
        return arrays | prefixed({"encoder": self.text_encoder})

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Set the learned arrays to those that `arrays` returned; other entries of the mapping are ignored."""
        self.text = cast(np.ndarray, from_arrays("text", arrays))
        self.facts = cast(sparse.csr_matrix, from_arrays("facts", arrays))
        self.average, self.fact_names = arrays["average"], arrays["fact_names"]
        self.text_encoder = make_encoder(self.encoder).restore(without_prefix("encoder", arrays))

    def _centred(self, vectors: np.ndarray) -> np.ndarray:
        """Return sentence embeddings minus `average`, scaled to length 1, float32 (n, d_text).

        The average is subtracted because what all items have in common says nothing about tastes.
        """
        return normalize(np.where(vectors.any(axis=1, keepdims=True), vectors - self.average, 0.0)).astype(np.float32)
