"""Markov neighbours: an item is scored by how often users rated it soon after the latest items of a history.

The model is a first-order Markov chain with the smoothing that Shani, Heckerman and Brafman, "An MDP-Based Recommender
System", JMLR 2005, section 4.1, call skipping: pairs of items that are not adjacent count too. Such counts over a
window, with weights that decay with the distance, are the sequential rules of Ludewig and Jannach, "Evaluation of
Session-based Recommendation Algorithms", UMUAI 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History
from recsys.errors import check_finite, check_not_negative, check_positive
from recsys.models.base import FitContext
from recsys.models.item_to_item import ItemToItem
from recsys.models.memory import check_memory
from recsys.models.successions import successions

BYTES_PER_SUCCESSION = 24  # at most: column and value, in a sum and its successor


class Markov(ItemToItem):
    """Scores an item by how often, in training histories, it came soon after the latest items of the user's history.

    With n_ij(k) the number of training histories in which item j comes k places after item i,

        N_ij = sum over k = 1..window of (n_ij(k) + backward_weight n_ji(k)) / k^distance_power
        score_j = sum over the last items i of (1 + p_i)^-place_power N_ij / (sum over j' of N_ij' + smoothing)

    where the last items are the latest `last_items` items of the user's history, and p_i is the number of items that
    follow i in it.

    Args:
        window: largest distance, in places, at which one item counts as coming after another.
        distance_power: power with which the weight of a pair of items decays with their distance; 0 weights all
            distances equally.
        last_items: number of items at the end of the history that are used.
        place_power: power with which the weight of an item of the history decays with the number of items after it.
        smoothing: constant that is added to the sum over j'. The larger it is, the less influence an item i with few
            ratings has.
        backward_weight: weight of the histories in which j comes before i. With 0, only histories in which j comes
            after i count; with 1, only the distance of i and j matters, not their order.
        prior_strength: see `ReadsHistories`.
        popularity_half_life: see `ReadsHistories`.
        popularity_by: see `ReadsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    reads_order = True

    def __init__(
        self,
        window: int = 10,
        distance_power: float = 1.0,
        last_items: int = 10,
        place_power: float = 1.0,
        smoothing: float = 20.0,
        backward_weight: float = 0.0,
        prior_strength: float = 0.0,
        popularity_half_life: float | None = None,
        popularity_by: Sequence[str] = (),
    ) -> None:
        super().__init__(
            prior_strength=prior_strength, popularity_half_life=popularity_half_life, popularity_by=popularity_by
        )
        check_positive(window=window, last_items=last_items)
        check_finite(distance_power=distance_power, place_power=place_power)
        check_not_negative(smoothing=smoothing, backward_weight=backward_weight)
        self.window = window
        self.distance_power = distance_power
        self.last_items = last_items
        self.place_power = place_power
        self.smoothing = smoothing
        self.backward_weight = backward_weight

    def history_weights(self, history: History) -> np.ndarray:
        """See `WeighsHistories.history_weights`; only the latest `last_items` items have weights above 0.

        The weight of such an item is (1 + p)^-place_power, where p is the number of items after it.
        """
        places = history.places_from_the_end
        return np.where(places < self.last_items, (1.0 + places) ** -self.place_power, 0).astype(np.float32)

    def history_matrix(self, history: History, n_items: int) -> sparse.csr_matrix:
        """See `WeighsHistories.history_matrix`; stores only the latest `last_items` items, as other weights are 0."""
        return super().history_matrix(history.latest(self.last_items), n_items)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Count how often items follow each other, and normalise the counts.

        Raises:
            UserError: the counts do not fit in memory.
        """
        n_cells = min(self.window * len(train), train.n_items**2)
        check_memory(
            BYTES_PER_SUCCESSION * n_cells * (2 if self.backward_weight else 1),
            f"Counting successions within {self.window} places in {len(train):,} interactions",
            "lower model.window",
        )
        shape = (train.n_items, train.n_items)
        counts = sparse.csr_matrix(shape)
        for distance, earlier, later in successions(train.histories(), self.window):
            weights = np.full(len(earlier), distance**-self.distance_power)
            counts = counts + sparse.csr_matrix((weights, (earlier, later)), shape)
        if self.backward_weight:
            counts = (counts + self.backward_weight * counts.T).tocsr()
        sums = np.asarray(counts.sum(axis=1)).ravel()
        shares = counts.data / np.repeat(sums + self.smoothing, np.diff(counts.indptr))
        self.item_weights = sparse.csr_matrix((shares.astype(np.float32), counts.indices, counts.indptr), shape)
