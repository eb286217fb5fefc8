"""Linear autoregression: a ridge regression that predicts each item of a history from the items before it.

The weights are computed in closed form, so the model is the counterpart of EASE for sequences. It is related to SLIST
(Choi, Kim, Lee, Shim and Lee, "Session-aware Linear Item-Item Models for Session-based Recommendation", WWW 2021),
which regresses the rest of a session on its beginning, at a single time scale. Here every position ("step") of every
history is a training sample. The history before a step is represented at several time scales, so that the last item,
the last few items and all items each have their own weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Query
from recsys.errors import UserError, check_not_negative, check_positive
from recsys.models.base import FitContext, HasGraph
from recsys.models.histories import ReadsHistories
from recsys.models.memory import check_memory
from recsys.models.recency import recency_weights
from recsys.models.successions import successions

if TYPE_CHECKING:
    from recsys.models.graphs import ScoreGraph

NEGLIGIBLE = 2.0**-16  # interactions with smaller weights are ignored
# Bytes per pair of items:
BYTES_PER_BLOCK_CELL = 4  # in each block of the Gram matrix, in single precision
BYTES_PER_SCALE_CELL = 16  # at each time scale, for the successions, and for the weights and their copy
BYTES_PER_CELL = 32  # while a block of the Gram matrix is computed


class LinearAR(ReadsHistories, HasGraph):
    """Scores items by a linear regression on the history, which is represented at several time scales.

    At time scale s, the history before step t is a vector over items, x_t^s. In it, the item k places before t has the
    weight a_s^(k - 1), with a_s = 2^(-1 / half_lives[s]). The vectors of the S time scales are concatenated to
    x_t = [x_t^1, ..., x_t^S], and e_t is the unit vector of the item at step t. The weights

        W = (sum_t x_t' x_t + l2 I)^-1 (sum_t x_t' e_t)

    minimise sum_t |x_t W - e_t|^2 + l2 |W|^2. Scores are x W, where x represents the whole history.

    `fit` does not compute the vectors x_t. Since x_(t+1)^s = a_s x_t^s + e_t, the blocks of the Gram matrix follow from
    the successions C_s = sum_t x_t^s' e_t, the vectors x^s of all users' complete histories, and the item counts n:

        (1 - a_s a_r) sum_t x_t^s' x_t^r = a_s C_s + a_r C_r' + diag(n) - sum_users x^s' x^r

    The order of items may carry little information, because many ratings have the same time, or because it matters more
    that two items are close to each other than which of them came first. Reversed histories can then serve as further
    samples, with weight b: C_s becomes C_s + b C_s', n becomes (1 + b) n, and the sum over users includes the reversed
    histories with weight b.

    Args:
        half_lives: for each of the S time scales, the number of items after which the weight of an interaction has
            halved.
        l2: penalty on the squared weights. Larger values favour items that follow many other items.
        backward_weight: b, the weight of the samples from reversed histories.
        **prior: see `ReadsHistories`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        item_weights: float32 (n_scales * n_items, n_items), W. Its rows are the items of the history at each time
            scale, its columns the items that are scored.
    """

    reads_order = True
    learned: tuple[str, ...] = ("item_weights",)
    item_weights: np.ndarray
    item_basis: np.ndarray | None = None  # set by subclasses that project histories

    def __init__(
        self,
        half_lives: Sequence[float] = (0.25, 2.0, 20.0),
        l2: float = 500.0,
        backward_weight: float = 0.0,
        **prior: Any,
    ) -> None:
        super().__init__(**prior)
        if not len(half_lives):
            raise UserError("half_lives must have at least one number of items (got none).")
        for half_life in half_lives:
            check_positive(half_lives=half_life)
        check_positive(l2=l2)
        check_not_negative(backward_weight=backward_weight)
        self.half_lives = list(half_lives)
        self.l2 = l2
        self.backward_weight = backward_weight

    def features(self, history: History, n_items: int) -> sparse.csr_matrix:
        """Return the vectors x of complete histories, with the time scales side by side.

        Returns:
            CSR float32 (n_rows, n_scales * n_items), a row for each history.
        """
        return sparse.hstack([at_scale(history, n_items, h) for h in self.half_lives], format="csr")

    def _score(self, query: Query) -> np.ndarray:
        return self.features(query.history, self.item_weights.shape[1]) @ self.item_weights

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph.graph`; the weight of an interaction depends only on its position in the history."""
        from recsys.models.graphs import HistoryWeights, LinearGraph, full_history  # torch

        by_place = [at_scale(full_history(length), length, h).toarray()[0] for h in self.half_lives]
        return LinearGraph([HistoryWeights(places) for places in by_place], self.item_weights, self.item_basis)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Solve the regression.

        Raises:
            UserError: the Gram matrix does not fit in memory, or it is not positive definite because `l2` is too small.
        """
        from scipy import linalg  # would double the import time of this module, and scoring does not need it

        n_scales, n_items = len(self.half_lives), train.n_items
        check_memory(
            (BYTES_PER_BLOCK_CELL * n_scales**2 + BYTES_PER_SCALE_CELL * n_scales + BYTES_PER_CELL) * n_items**2,
            f"LinearAR at {n_scales} time scales on {n_items:,} items",
            "leave out rarely rated items with data.cleaning.item_core, give fewer model.half_lives, or choose "
            "model=markov",
        )
        successive = self._successions(train)
        gram = self._gram(train, successive)
        gram[np.diag_indices_from(gram)] += np.float32(self.l2)
        targets = np.concatenate(successive).astype(np.float32, order="F")  # (n_scales * n_items, n_items)
        del successive
        try:
            factor = linalg.cho_factor(gram, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError as error:
            raise UserError(f"l2 must be larger for these data, such as 100 (got {self.l2}).") from error
        weights = linalg.cho_solve(factor, targets, overwrite_b=True, check_finite=False)
        self.item_weights = np.ascontiguousarray(weights)

    def _successions(self, train: Dataset) -> list[np.ndarray]:
        """Return C_s + b C_s' for each time scale s, each float64 (n_items, n_items)."""
        sums = [np.zeros(train.n_items**2) for _ in self.half_lives]
        reaches = [_reach(half_life) for half_life in self.half_lives]
        for distance, earlier, later in successions(train.histories(), max(reaches)):
            cells = earlier.astype(np.int64) * train.n_items + later
            for half_life, reach, cell_sums in zip(self.half_lives, reaches, sums, strict=True):
                if distance <= reach:
                    np.add.at(cell_sums, cells, 2 ** (-(distance - 1) / half_life))
        squares = (cell_sums.reshape(train.n_items, train.n_items) for cell_sums in sums)
        return [forward + self.backward_weight * forward.T for forward in squares]

    def _gram(self, train: Dataset, successive: list[np.ndarray]) -> np.ndarray:
        """Return the Gram matrix sum_t x_t' x_t, float32 (n_scales * n_items, n_scales * n_items).

        Only blocks on and above the diagonal are set; the others are uninitialised.
        """
        n, n_scales = train.n_items, len(self.half_lives)
        gram = np.empty((n_scales * n, n_scales * n), np.float32, order="F")
        decays = [2 ** (-1 / half_life) for half_life in self.half_lives]
        ends = [self._ends(train.histories(), n, half_life) for half_life in self.half_lives]
        for s, r in combinations_with_replacement(range(n_scales), 2):
            block = decays[s] * successive[s] + decays[r] * successive[r].T - (ends[s].T @ ends[r]).toarray()
            block[np.diag_indices(n)] += (1 + self.backward_weight) * train.item_counts
            gram[s * n : (s + 1) * n, r * n : (r + 1) * n] = block / (1 - decays[s] * decays[r])
        return gram

    def _ends(self, history: History, n_items: int, half_life: float) -> sparse.csr_matrix:
        """Return the vectors x^s of the complete histories and, if b > 0, of the reversed ones.

        The vectors of the reversed histories are multiplied by b^0.5 and stacked below those of the complete histories.
        """
        forward = at_scale(history, n_items, half_life)
        if not self.backward_weight:
            return forward
        backward = at_scale(history.reversed(), n_items, half_life)
        return sparse.vstack([forward, backward * self.backward_weight**0.5], format="csr")


def _reach(half_life: float) -> int:
    """Return how many of the latest interactions have a weight of at least `NEGLIGIBLE`."""
    return math.ceil(1 - half_life * math.log2(NEGLIGIBLE))


def at_scale(history: History, n_items: int, half_life: float) -> sparse.csr_matrix:
    """Represent histories at one time scale, leaving out interactions with negligible weight.

    Args:
        history: histories, each row in time order.
        n_items: size of the catalogue.
        half_life: number of items after which the weight of an interaction has halved.

    Returns:
        CSR float32 (n_rows, n_items) weights.
    """
    latest = history.latest(_reach(half_life))
    return latest.matrix(n_items, recency_weights(latest, half_life))
