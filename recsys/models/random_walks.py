"""Random walks of three steps on the graph of users and items: P3alpha and RP3beta.

Cooper, Lee, Radzik and Siantos, "Random Walks in Recommender Systems: Exact Computation and Simulations", WWW 2014
(P3alpha); Paudel, Christoffel, Newell and Bernstein, "Updatable, Accurate, Diverse, and Scalable Recommendations for
Interactive Applications", ACM TiiS 2017 (RP3beta).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.errors import check_not_negative, check_positive
from recsys.models.base import FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.neighbours import VALUES_PER_BLOCK, check_neighbours, largest


class RP3Beta(ItemToItem):
    """Scores an item by three-step random walks: from the user to a rated item, to its raters, to the scored item.

    With n_i the number of users who rated item i, and n_u the number of items that user u rated, the weight of item j
    for an item i in the history is

        w_ij = sum_u n_i^(-alpha) n_u^(-alpha) n_j^(-beta), over the users u who rated both i and j.

    With alpha = 1 and beta = 0, w_ij is the probability that a random step from i to a user and a further random step
    to an item end at j.

    Args:
        k: number of weights that are stored for each item i; the largest are stored.
        alpha: power of the transition probabilities. Smaller values reduce the influence of users with few items.
        beta: power of the penalty on popular items; with 0, the model is P3alpha.
        **history: see `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(self, k: int = 100, alpha: float = 1.0, beta: float = 0.6, **history: Any) -> None:
        super().__init__(**history)
        check_positive(k=k)
        check_not_negative(alpha=alpha, beta=beta)
        self.k = k
        self.alpha = alpha
        self.beta = beta

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Compute the weights as products of transition probabilities.

        Raises:
            UserError: the weights do not fit in memory.
        """
        check_neighbours(train.n_items, self.k, f"{self.k} weights of each of {train.n_items:,} items")
        interactions = train.matrix()  # (n_users, n_items)
        to_users = _power(train.item_counts, -self.alpha) @ interactions.T
        to_items = _power(train.user_counts, -self.alpha) @ interactions @ _power(train.item_counts, -self.beta)
        self.item_weights = _largest_of_product(to_users.tocsr(), to_items.tocsr(), self.k)


def _power(counts: np.ndarray, exponent: float) -> sparse.dia_matrix:
    """Return a diagonal matrix, float32 (n, n), of counts (n,) raised to a power; counts of 0 remain 0."""
    powers = np.power(counts, exponent, where=counts > 0, out=np.zeros(len(counts)), dtype=np.float64)
    return sparse.diags(powers.astype(np.float32))


def _largest_of_product(left: sparse.csr_matrix, right: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """Return the k largest values off the diagonal in each row of left @ right, CSR (n, n), computed block by block."""
    n = left.shape[0]
    size = max(1, VALUES_PER_BLOCK // n)
    blocks = []
    for start in range(0, n, size):
        values = (left[start : start + size] @ right).toarray()
        rows = np.arange(len(values))
        values[rows, start + rows] = 0.0
        blocks.append(largest(values, k))
    return sparse.vstack(blocks, format="csr")
