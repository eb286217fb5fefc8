"""Similar items: items that the same users rated, and that have similar metadata.

The similarity of items i and j is a geometric mean of two measures from 0 to 1, phi and t:

    sqrt((a + phi(i, j)) (a + t(i, j))) - a,  a = 0.1.

phi is the correlation between the sets of users who rated i and j, or 0 if the correlation is negative: it measures how
many more users rated both items than the popularity of the items explains. In the computation of phi, 50 is added to
each variance, so that a few users have little influence. t is the cosine between the TF-IDF vectors of the items'
documents. Because of the constant a, two items can be similar by one measure even if the other is 0, as phi is for
items without ratings. Items that are similar by both measures rank higher.

The item-to-item weights of EASE measure something else: what a rating adds to the user's other ratings
(experiments/similar compares EASE with this similarity).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.query import UNKNOWN, History
from recsys.data.text import TfidfEncoder, documents
from recsys.errors import UserError
from recsys.metrics.ranking import mask_seen, top_k

MEASURE = "more users rated both than chance explains, and their metadata have words in common"
FIELDS = ("title", "genres", "keywords", "tags", "directors", "actors", "writers", "plot")  # ratings reflect the year
ALONE = 0.1  # a, the constant that is added to each measure
SHRINKAGE = 50  # added to each variance in phi


class SimilarItems:
    """Finds the items that are similar to an item, by the similarity that `recsys.models.similar` defines.

    Args:
        dataset: ratings and metadata of the items.
        fields: metadata fields whose text is an item's document.
    """

    def __init__(self, dataset: Dataset, fields: Sequence[str] = FIELDS) -> None:
        self.dataset = dataset
        self._n_users = max(1, int((dataset.user_counts > 0).sum()))
        self._words = _word_vectors(dataset, fields)  # (n_items, n_words)

    def similarities(self, item: int) -> np.ndarray:
        """Return the similarity of one item to all items, itself included, float32 (n_items,), from 0 to 1."""
        product = (ALONE + self.correlations(item)) * (ALONE + self.cosines_of_documents(item))
        return (np.sqrt(product) - ALONE).astype(np.float32)

    def nearest(self, item: int, candidates: np.ndarray, k: int) -> list[tuple[int, float]]:
        """Return at most k items and their similarities, the most similar first.

        The item itself and items with similarity 0 are left out.

        Args:
            item: code of the item.
            candidates: int64 (m,) codes of the items among which to search.
            k: largest number of items to return.
        """
        values = self.similarities(item)[None]
        items = top_k(mask_seen(values, History.of_items([[item]]), candidates), np.array([UNKNOWN]), k)[0]
        return [(int(other), float(values[0, other])) for other in items if other >= 0 and values[0, other] > 1e-6]

    def cosines_of_documents(self, item: int) -> np.ndarray:
        """Return t, the cosine between one item's document and each item's document, float32 (n_items,)."""
        return (self._words @ self._words[[item]].T).toarray()[:, 0]

    def correlations(self, item: int) -> np.ndarray:
        """Return phi, the correlation between one item's users and each item's users, float64 (n_items,).

        Negative correlations are returned as 0.
        """
        counts = self.dataset.item_counts
        users = self.dataset.users[self.dataset.positions_of_item(item)]
        together = np.bincount(self.dataset.history(users).items, minlength=len(counts))
        variances = counts * (1 - counts / self._n_users) + SHRINKAGE
        by_chance = counts[item] * counts / self._n_users
        return np.maximum(together - by_chance, 0) / np.sqrt(variances[item] * variances)


def _word_vectors(dataset: Dataset, fields: Sequence[str]) -> sparse.csr_matrix:
    """Return the TF-IDF vectors of the items, CSR float32 (n_items, n_words); zeros if no two items share a word."""
    texts = documents(dataset.item_frame, fields)
    try:
        return sparse.csr_matrix(TfidfEncoder().fit(texts).encode(texts))
    except UserError:  # no two items have a word in common
        return sparse.csr_matrix(np.zeros((dataset.n_items, 1), np.float32))
