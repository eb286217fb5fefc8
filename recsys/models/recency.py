"""Weights of the interactions in a history by recency, with a half-life in items or in days.

The weights are relative to the latest interaction of the history, whose weight is 1. Models that are linear in a
history, or average it, multiply interactions by these weights when they score; training does not use the weights.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from recsys.data.query import History
from recsys.errors import UserError, check_positive
from recsys.models.histories import ReadsHistories
from recsys.models.popularity_context import DAY

if TYPE_CHECKING:
    from recsys.models.graphs import HistoryWeights

HalfLife = float | str | None  # a number of items, days such as "30 days", or None for equal weights


class WeighsHistories(ReadsHistories):
    """A model that weights the interactions of a history by their recency.

    Args:
        half_life: half-life of the weight of an interaction, as a number of items, or in days as in "30 days". With
            None, all interactions of a history have equal weights.
        **prior: see `ReadsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    half_life: HalfLife = None

    def __init__(self, half_life: HalfLife = None, **prior: Any) -> None:
        super().__init__(**prior)
        self.half_life = check_half_life(half_life)

    @property
    def reads_order(self) -> bool:  # type: ignore[override]
        """Return whether weights depend on the order or times of interactions; training data must then have times."""
        return self.half_life is not None

    def history_weights(self, history: History) -> np.ndarray:
        """Return the weight of each interaction of the histories, float32 (n,); see `recency_weights`."""
        return recency_weights(history, self.half_life)

    def history_matrix(self, history: History, n_items: int) -> sparse.csr_matrix:
        """Return the weights of interactions, CSR float32 (n_rows, n_items), a row for each history."""
        return history.matrix(n_items, self.history_weights(history))

    def weights_graph(self, length: int) -> HistoryWeights:
        """Return the graph of tensor operations that computes the weights of padded histories with `length` columns."""
        from recsys.models.graphs import HistoryWeights, full_history  # torch

        by_place = self.history_matrix(full_history(length), length).toarray()[0]
        return HistoryWeights(by_place, days=_days(self.half_life) if isinstance(self.half_life, str) else None)


def recency_weights(history: History, half_life: HalfLife) -> np.ndarray:
    """Return the weight of each interaction, float32 (n,).

    The latest interaction of a row has the weight 1, and an interaction that is a half-life earlier the weight 1/2.

    Args:
        history: histories, each row in time order.
        half_life: a number of items, or days as in "30 days". With None, all weights are 1. With days, the weights of
            a history without times are 1 too; the items that a new user lists are such a history.
    """
    if half_life is None:
        return np.ones(len(history.items), np.float32)
    if not isinstance(half_life, str):
        return np.exp2(-history.places_from_the_end / half_life).astype(np.float32)
    if history.times is None:
        return np.ones(len(history.items), np.float32)
    latest = history.times[np.arange(len(history.items)) + history.places_from_the_end]
    return np.exp2((history.times - latest) / (_days(half_life) * DAY)).astype(np.float32)


def check_half_life(half_life: HalfLife) -> HalfLife:
    """Check a half-life, and return it unchanged.

    Raises:
        UserError: the half-life is something other than a number above zero, days as in "30 days", or None.
    """
    if half_life is not None:
        check_positive(half_life=_days(half_life) if isinstance(half_life, str) else half_life)
    return half_life


def _days(half_life: str) -> float:
    matched = re.fullmatch(r"(\d+(?:\.\d+)?) days?", half_life)
    if matched is None:
        raise UserError(f"half_life must be a number of items, or days as in '30 days' (got {half_life!r}).")
    return float(matched[1])
