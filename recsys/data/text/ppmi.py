"""Documents as averages of word vectors, which come from an SVD of positive pointwise mutual information (PPMI).

The word vectors are learned from the documents themselves: they are the rows of U sqrt(S), where U S V' is the
truncated SVD of the PPMI matrix of co-occurring words (Levy and Goldberg, "Neural Word Embedding as Implicit Matrix
Factorization", NeurIPS 2014, which shows that skip-gram with negative sampling factorises a similar matrix). In the
average, a word of relative frequency p has the weight a / (a + p) (Arora, Liang and Ma, "A Simple but Tough-to-Beat
Baseline for Sentence Embeddings", ICLR 2017). The latter paper also removes the first principal
component; this encoder does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from recsys.data.text.decomposition import truncated_svd
from recsys.data.text.encoder import Encoder
from recsys.data.text.words import count_known_words, count_words, vectorizer
from recsys.errors import check_positive, check_seed


@dataclass
class PPMIEncoder(Encoder):
    """Encodes a document as the weighted average of its words' vectors; frequent words have smaller weights.

    Attributes:
        dim: maximum number of dimensions of the vectors; there are fewer if the vocabulary has fewer words.
        window: maximum distance at which two words count as co-occurring; words outside the vocabulary are not counted.
        min_count: minimum number of documents that must contain a word for it to be used.
        smoothing: the a in the weight a / (a + p); smaller values reduce the weight of frequent words.
        seed: seed of the randomised SVD.

    Raises:
        UserError: a numeric setting is not above zero, or the seed is out of range.
    """

    dim: int = 128
    window: int = 5
    min_count: int = 2
    smoothing: float = 1e-3
    seed: int = 0
    learned = ("words", "word_vectors")

    def __post_init__(self) -> None:
        check_positive(dim=self.dim, window=self.window, min_count=self.min_count, smoothing=self.smoothing)
        check_seed(seed=self.seed)

    def fit(self, documents: Sequence[str]) -> Self:
        """Learn the vocabulary and its word vectors, each multiplied by its weight a / (a + p).

        Raises:
            UserError: no word occurs in at least `min_count` documents.
        """
        counts, self.words = count_words(documents, self.min_count)
        information = ppmi(cooccurrences(documents, self.words, self.window))
        values, components = truncated_svd(information, self.dim, self.seed)
        vectors = information @ components.T / np.sqrt(np.maximum(values, np.finfo(np.float32).eps))  # (n_words, dim)
        probabilities = np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
        weights = self.smoothing / (self.smoothing + probabilities)  # (n_words,)
        self.word_vectors = (vectors * weights[:, None]).astype(np.float32)  # (n_words, dim)
        return self

    def encode(self, documents: Sequence[str]) -> np.ndarray:
        """Encode documents as vectors, float32 (n_documents, d) with d at most `dim`; see `Encoder.encode`."""
        from sklearn.preprocessing import normalize

        return normalize(count_known_words(documents, self.words) @ self.word_vectors)


def cooccurrences(documents: Sequence[str], words: np.ndarray, window: int) -> sparse.csr_matrix:
    """Count for each pair of words of the vocabulary how often they are at most `window` apart in a document.

    Args:
        documents: the documents.
        words: the vocabulary, text (n_words,).
        window: maximum distance; neighbours have distance 1, and words outside the vocabulary are not counted.

    Returns:
        Symmetric CSR matrix, float32 (n_words, n_words).
    """
    codes = {word: code for code, word in enumerate(words)}
    split = vectorizer().build_analyzer()
    texts = [[codes[word] for word in split(document) if word in codes] for document in documents]
    text = np.repeat(np.arange(len(texts)), [len(known) for known in texts])
    code = np.array([code for known in texts for code in known], np.int32)
    lefts, rights = [], []
    for distance in range(1, window + 1):
        same = text[distance:] == text[:-distance]
        lefts.append(code[:-distance][same])
        rights.append(code[distance:][same])
    left, right = np.concatenate(lefts), np.concatenate(rights)
    near = sparse.csr_matrix((np.ones(len(left), np.float32), (left, right)), shape=(len(words), len(words)))
    return near + near.T


def ppmi(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Compute the positive pointwise mutual information of words, max(0, log(P(w, c) / (P(w) P(c)))).

    P(w, c) is the count of the pair w, c divided by the sum of all counts, and P(w) is the sum of P(w, c) over c.

    Args:
        counts: co-occurrence counts, a symmetric CSR matrix (n_words, n_words).

    Returns:
        Symmetric CSR matrix (n_words, n_words), 0 for words that do not co-occur.
    """
    pairs = counts.tocoo()
    totals = np.asarray(counts.sum(axis=1)).ravel()
    information = np.log(pairs.data * totals.sum() / (totals[pairs.row] * totals[pairs.col]))
    return sparse.csr_matrix((np.maximum(information, 0), (pairs.row, pairs.col)), shape=counts.shape)
