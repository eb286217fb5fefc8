"""Targets: which of the held-out ratings are predicted, and from which histories.

These choices are compared in Gusak et al., "Time to Split: Exploring Data Splitting Strategies for Offline Evaluation
of Sequential Recommenders", RecSys 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Targets:
    """Which of the held-out ratings are predicted, and from which histories.

    Attributes:
        chosen: function from the user of each held-out rating, int (n,), sorted by user and then by time, to a mask of
            the ratings to predict, bool (n,).
        separates_cold: whether metrics are reported also without cold queries; see `Holdout`.
        one_by_one: whether each rating is predicted separately, from a history that ends just before it. Otherwise a
            user's held-out ratings are predicted together, from all known ratings.
        histories_run_on: if ratings are predicted separately, whether their histories include the user's earlier
            held-out ratings.
    """

    chosen: Callable[[np.ndarray], np.ndarray]
    separates_cold: bool = False
    one_by_one: bool = False
    histories_run_on: bool = False


def _every(users: np.ndarray) -> np.ndarray:
    return np.ones(len(users), bool)


def _first_of_each(users: np.ndarray) -> np.ndarray:
    return np.diff(users, prepend=-1) != 0


def _last_of_each(users: np.ndarray) -> np.ndarray:
    return np.diff(users, append=-1) != 0


ALL = Targets(_every)
AFTER_A_CUT = {
    "all": ALL,
    "first": Targets(_first_of_each, separates_cold=True),
    "last": Targets(_last_of_each, separates_cold=True, one_by_one=True, histories_run_on=True),
    "successive": Targets(_every, separates_cold=True, one_by_one=True, histories_run_on=True),
}
OF_COLD_ITEMS = {
    "all": ALL,
    "last": Targets(_last_of_each, one_by_one=True),
    "successive": Targets(_every, one_by_one=True),
}
