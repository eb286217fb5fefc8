"""GF-CF: a low-pass filter on the graph of items, in closed form.

Shen, Wu, Zhang, Shan, Zhang, Letaief and Li, "How Powerful is Graph Convolution for Recommendation?", CIKM 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.errors import check_not_negative, check_positive, check_seed
from recsys.models.base import FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.memory import check_item_pairs
from recsys.models.singular_vectors import leading_singular_vectors

BYTES_PER_PAIR = 16  # peak memory per pair of items: the sparse Gram matrix, its dense copy and the ideal filter


class GFCF(ItemToItem):
    """Scores items by the sum of a linear and an ideal low-pass filter, both applied to the history.

    Scores are x W, with x the history as a vector over items. With R the binary matrix of interactions and D_U, D_I the
    diagonal matrices of the numbers of ratings of users and items,

        R~ = D_U^(-1/2) R D_I^(-1/2),   W = R~' R~ + alpha D_I^(-1/2) V V' D_I^(1/2),

    where the columns of V are the right singular vectors of R~ with the largest singular values.

    Args:
        n_frequencies: number of singular vectors, the lowest frequencies of the graph.
        ideal_weight: weight of the ideal filter, the paper's alpha.
        seed: seed of the start vector of the iterative decomposition.
        **history: arguments of `WeighsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(self, n_frequencies: int = 256, ideal_weight: float = 0.3, seed: int = 0, **history: Any) -> None:
        super().__init__(**history)
        check_positive(n_frequencies=n_frequencies)
        check_not_negative(ideal_weight=ideal_weight)
        check_seed(seed=seed)
        self.n_frequencies = n_frequencies
        self.ideal_weight = ideal_weight
        self.seed = seed

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Compute W, the sum of both filters.

        Raises:
            UserError: there are too many items for a dense item-to-item matrix.
        """
        check_item_pairs(BYTES_PER_PAIR, train.n_items, "GF-CF")
        normalised, degrees = normalised_interactions(train)
        weights = (normalised.T @ normalised).toarray()
        vectors = leading_singular_vectors(normalised, self.n_frequencies, self.seed)[1]  # the lowest frequencies
        weights += self.ideal_weight * (vectors / degrees) @ (vectors * degrees).T
        self.item_weights = weights.astype(np.float32, order="C")  # (n_items, n_items)


def normalised_interactions(train: Dataset) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return the normalised interactions, R~ of `GFCF`, and the square root of each item's number of ratings.

    Users and items without ratings are treated as if they had one rating.

    Returns:
        CSR float32 (n_users, n_items), and float32 (n_items, 1).
    """
    user_degrees, degrees = (
        np.sqrt(np.maximum(counts, 1)).astype(np.float32) for counts in (train.user_counts, train.item_counts)
    )
    normalised = sparse.diags(1 / user_degrees) @ train.matrix() @ sparse.diags(1 / degrees)
    return normalised.tocsr(), degrees[:, None]
