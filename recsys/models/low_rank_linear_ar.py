"""Linear autoregression for large catalogues: ridge regression on projected histories, in closed form.

`recsys.models.linear_ar` needs memory for a Gram matrix over all items and time scales. Here, histories are first
projected onto the leading singular vectors of the interactions, so that memory and time grow linearly with the number
of items.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History
from recsys.errors import UserError, check_positive, check_seed
from recsys.models.base import FitContext
from recsys.models.linear_ar import LinearAR, at_scale
from recsys.models.memory import check_memory
from recsys.models.singular_vectors import leading_singular_vectors

STEPS_PER_CHUNK = 1 << 14  # approximate, since a chunk consists of whole histories
BYTES_PER_CELL = 4


class LowRankLinearAR(LinearAR):
    """Scores items by a linear regression on projected histories, which are represented at several time scales.

    The histories x_t^s and the targets e_t are those of `LinearAR`. The columns of V, (n_items, rank), are the right
    singular vectors of the interaction matrix with the largest singular values. The weights

        W = (sum_t z_t' z_t + l2 I)^-1 (sum_t z_t' e_t),   z_t = [x_t^1 V, ..., x_t^S V]

    minimise sum_t |z_t W - e_t|^2 + l2 |W|^2. Scores are z W, where z represents the whole history. The larger the
    rank, the closer the scores are to those of `LinearAR`.

    The projected histories h_t^s = x_t^s V are computed by the recursion h_(t+1)^s = a_s h_t^s + V[item at step t].
    They are computed for some users at a time, whose terms are then added to the two sums in the formula for W.

    Args:
        rank: number of dimensions of a projected history at each time scale; fewer are used if the interaction matrix
            has fewer singular vectors.
        seed: seed of the start vector of the iterative decomposition.
        **model: see `LinearAR`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        item_basis: float32 (n_items, rank), V.
        item_weights: float32 (n_scales * rank, n_items), W.
    """

    learned = ("item_basis", "item_weights")
    item_basis: np.ndarray

    def __init__(self, rank: int = 512, seed: int = 0, **model: Any) -> None:
        super().__init__(**model)
        check_positive(rank=rank)
        check_seed(seed=seed)
        self.rank = rank
        self.seed = seed

    def features(self, history: History, n_items: int) -> Any:
        """Return the projected histories z, float32 (n_rows, n_scales * rank), with the time scales side by side."""
        return np.hstack([at_scale(history, n_items, h) @ self.item_basis for h in self.half_lives])

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Solve the regression.

        Raises:
            UserError: the weights do not fit in memory, or `l2` is too small for these data.
        """
        from scipy import linalg  # imported late, since scoring does not need it

        n_scales = len(self.half_lives)
        check_memory(
            BYTES_PER_CELL * self.rank * (train.n_items * (3 + 3 * n_scales) + 3 * n_scales**2 * self.rank),
            f"LowRankLinearAR at {n_scales} time scales and rank {self.rank} on {train.n_items:,} items",
            "give a lower model.rank or fewer model.half_lives",
        )
        self.item_basis = np.ascontiguousarray(leading_singular_vectors(train.matrix(), self.rank, self.seed)[1])
        width = n_scales * self.item_basis.shape[1]
        gram, products = self.l2 * np.eye(width, dtype=np.float32), np.zeros((train.n_items, width), np.float32)
        forward = train.histories()
        for history, weight in ((forward, 1.0), (forward.reversed(), self.backward_weight)):
            for states, items in self._steps(history) if weight else ():
                gram += weight * (states.T @ states)
                steps = (np.full(len(items), weight, np.float32), (items, np.arange(len(items))))
                products += sparse.csr_matrix(steps, shape=(train.n_items, len(items))) @ states
        try:
            weights = linalg.solve(gram, products.T, assume_a="pos", overwrite_a=True, check_finite=False)
        except linalg.LinAlgError as error:
            raise UserError(f"l2 must be larger for these data, such as 100 (got {self.l2}).") from error
        self.item_weights = np.ascontiguousarray(weights)

    def _steps(self, history: History) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield, for each chunk of n steps, the projected history before every step and the item at every step.

        A chunk consists of whole histories. The recursion h_(t+1) = a h_t + v_t is computed by a recursive digital
        filter, whose inputs are the rows v_t of V for the items of a history.

        Yields:
            The projected histories z_t, float32 (n, n_scales * rank), and the item codes, int32 (n,).
        """
        from scipy.signal import lfilter

        decays = [2 ** (-1 / half_life) for half_life in self.half_lives]
        filters = [np.array([[0, 1], [1, -decay]], np.float32) for decay in decays]
        history = history.select(history.lengths > 0)
        starts = np.searchsorted(history.indptr, np.arange(0, len(history.items), STEPS_PER_CHUNK))
        for first, last in pairwise(np.unique([*starts, len(history)])):
            rows = history.between(first, last)
            vectors = np.split(self.item_basis[rows.items], rows.indptr[1:-1])
            scales = [np.concatenate([lfilter(b, a, row, axis=0) for row in vectors]) for b, a in filters]
            yield np.hstack(scales), rows.items
