"""What item-item models share: a weight for each pair of films, whatever it was learned by."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recsys.data.dataset import History
from recsys.models.base import Recommender


class ItemToItem(Recommender):
    """Scores a film by the sum of its weights with the films of the history, X W.

    Attributes:
        item_weights: float32 (n_items, n_items), dense or CSR: a row for each film of a history, a column for each film
            scored. Dense ones lie row by row, since a product reads rows.
    """

    uses_history = True
    learned = ("item_weights",)
    item_weights: np.ndarray | sparse.csr_matrix

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """See `Recommender.score`."""
        scores = history.matrix(self.item_weights.shape[0]) @ self.item_weights
        return scores if isinstance(scores, np.ndarray) else scores.toarray()

    def weights_of(self, items: np.ndarray) -> np.ndarray:
        """What some films, int (m,), of a history add to every film's score, float32 (m, n_items)."""
        weights = self.item_weights[items]
        return weights if isinstance(weights, np.ndarray) else weights.toarray()
