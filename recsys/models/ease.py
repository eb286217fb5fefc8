"""EASE: item-to-item linear regression with a zero diagonal, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.errors import check_positive
from recsys.models.base import FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.memory import check_item_pairs
from recsys.models.plays import WeighsPlays

BYTES_PER_PAIR = 24  # peak memory per pair of items: the sparse Gram matrix and its dense copy, or three doubles


class EASE(WeighsPlays, ItemToItem):
    """Scores items by a learned item-to-item weight matrix.

    Args:
        l2: weight penalty, the paper's lambda. Larger values favour popular items.
        **history: arguments of `WeighsPlays`. With `play_weight`, the paper's X holds weights by plays instead of ones;
            weights far above 1 need a larger `l2`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(self, l2: float = 500.0, **history: Any) -> None:
        super().__init__(**history)
        check_positive(l2=l2)
        self.l2 = l2

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Invert the regularised Gram matrix (the paper's equation 8).

        Raises:
            UserError: there are too many items for a dense item-to-item matrix.
        """
        from scipy import linalg  # would double the import time of this module, and scoring does not need it

        check_item_pairs(BYTES_PER_PAIR, train.n_items, "EASE")
        interactions = self.training_matrix(train)  # (n_users, n_items)
        gram = (interactions.T @ interactions).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += self.l2
        precision = linalg.inv(gram, overwrite_a=True, assume_a="pos")
        weights = -precision / np.diag(precision)
        np.fill_diagonal(weights, 0.0)
        self.item_weights = weights.astype(np.float32, order="C")  # (n_items, n_items)
