"""Counts words in documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsys.errors import UserError

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer


def vectorizer(words: Sequence[str] | None = None, min_count: int = 1) -> CountVectorizer:
    """Construct a word counter (of scikit-learn) that ignores case, accents, English stop words and one-letter words.

    Args:
        words: the words to count, in the order of their columns; None to learn them when the counter is fitted.
        min_count: minimum number of documents that must contain a word for it to be learned.
    """
    from sklearn.feature_extraction.text import CountVectorizer  # takes half a second

    return CountVectorizer(
        strip_accents="unicode", stop_words="english", vocabulary=words, min_df=min_count, dtype=np.float32
    )


def count_words(documents: Sequence[str], min_count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Count the words in documents, leaving out words that fewer than `min_count` documents contain.

    Returns:
        The counts, a CSR matrix, float32 (n_documents, n_words), and the word of each column, text (n_words,).

    Raises:
        UserError: no word occurs in at least `min_count` documents.
    """
    counter = vectorizer(min_count=min_count)
    try:
        counts = counter.fit_transform(documents)
    except ValueError as error:  # the vocabulary would be empty
        raise UserError(
            f"No word occurs in {min_count} of the {len(documents)} documents: min_count must be lower."
        ) from error
    return counts, counter.get_feature_names_out().astype(str)


def count_known_words(documents: Sequence[str], words: np.ndarray) -> sparse.csr_matrix:
    """Return how often each document contains each given word: a CSR matrix, float32 (n_documents, n_words)."""
    return vectorizer(list(words)).transform(documents)
