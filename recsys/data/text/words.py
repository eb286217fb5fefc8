"""Counts of the words in documents, as scikit-learn's `CountVectorizer` counts them, whose import takes two seconds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from recsys.data.text.stop_words import STOP_WORDS
from recsys.errors import UserError

WORD = re.compile(r"\w\w+")


def words_of(document: str) -> list[str]:
    """Return the words of a document in lower case without accents: those of two or more letters but stop words."""
    decomposed = unicodedata.normalize("NFKD", document.lower())
    text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return [word for word in WORD.findall(text) if word not in STOP_WORDS]


def count_words(documents: Sequence[str], min_count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Count the words that at least `min_count` documents contain.

    Returns:
        The counts, float32 (n_documents, n_words), and the words in alphabetical order, text (n_words,).

    Raises:
        UserError: no word occurs in `min_count` documents.
    """
    split = [words_of(document) for document in documents]
    words = np.array(sorted({word for document in split for word in document}), np.str_)
    counts = _counts(split, words)
    is_frequent = counts.getnnz(axis=0) >= min_count
    if not is_frequent.any():
        raise UserError(f"No word occurs in {min_count} of the {len(documents)} documents: min_count must be lower.")
    return counts[:, is_frequent], words[is_frequent].astype(str)


def count_known_words(documents: Sequence[str], words: np.ndarray) -> sparse.csr_matrix:
    """Count the given words in documents: float32 (n_documents, n_words)."""
    return _counts([words_of(document) for document in documents], words)


def _counts(documents: Sequence[Sequence[str]], words: np.ndarray) -> sparse.csr_matrix:
    """Count the given words in documents that are split into words."""
    codes: Mapping[str, int] = {word: code for code, word in enumerate(words.tolist())}
    known = [[codes[word] for word in document if word in codes] for document in documents]
    columns = np.array([code for document in known for code in document], np.int32)
    rows = np.repeat(np.arange(len(known), dtype=np.int32), [len(document) for document in known])
    counts = sparse.csr_matrix((np.ones(len(columns), np.float32), (rows, columns)), shape=(len(documents), len(words)))
    counts.sum_duplicates()
    return counts
