"""TF-IDF vectors of documents, with or without a truncated SVD (latent semantic analysis)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from recsys.data.text.decomposition import truncated_svd
from recsys.data.text.encoder import Encoder, Vectors
from recsys.data.text.words import count_known_words, count_words
from recsys.errors import check_positive, check_seed


@dataclass
class TfidfEncoder(Encoder):
    """Encodes documents by their words, weighted by term frequency times smoothed inverse document frequency.

    Attributes:
        n_components: number of dimensions to which a truncated SVD reduces the vectors (fewer if there are fewer words
            or documents). None for no SVD: the vectors are then a CSR matrix with a column per word.
        min_count: minimum number of documents that must contain a word for it to be used.
        seed: seed of the randomised SVD.

    Raises:
        UserError: a numeric setting is not above zero, or the seed is out of range.
    """

    n_components: int | None = None
    min_count: int = 2
    seed: int = 0
    learned = ("words", "idf", "components")

    def __post_init__(self) -> None:
        check_positive(min_count=self.min_count)
        check_seed(seed=self.seed)
        if self.n_components is not None:
            check_positive(n_components=self.n_components)

    def fit(self, documents: Sequence[str]) -> Self:
        """Learn the vocabulary, the weights of its words and, if there is an SVD, its components.

        Raises:
            UserError: no word occurs in at least `min_count` documents.
        """
        from sklearn.feature_extraction.text import TfidfTransformer  # takes half a second

        counts, self.words = count_words(documents, self.min_count)
        self.idf = TfidfTransformer().fit(counts).idf_.astype(np.float32)  # (n_words,)
        self.components = np.empty((0, len(self.words)), np.float32)  # (n_components, n_words)
        if self.n_components is not None:
            _, self.components = truncated_svd(self._weighted(counts), self.n_components, self.seed)
        return self

    def encode(self, documents: Sequence[str]) -> Vectors:
        """Encode documents as vectors, float32 (n_documents, d): an array after an SVD, otherwise a CSR matrix.

        See `Encoder.encode`.
        """
        from sklearn.preprocessing import normalize

        weighted = self._weighted(count_known_words(documents, self.words))
        return weighted if self.n_components is None else normalize(weighted @ self.components.T)

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        from sklearn.preprocessing import normalize

        return normalize(counts @ sparse.diags_array(self.idf))
