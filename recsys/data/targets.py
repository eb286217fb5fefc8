"""Targets: which of a user's held-out ratings are to be predicted, and from which history.

Compared in Gusak et al., "Time to Split: Exploring Data Splitting Strategies for Offline Evaluation of Sequential
Recommenders", RecSys 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Targets:
    """A choice among held-out ratings.

    Attributes:
        chosen: marks the ratings to predict, bool (n,), given the user of each held-out rating, int (n,), in the order
            of users and times.
        separates_cold: whether metrics are also reported without cold queries; see `Holdout`.
        one_by_one: whether each rating is predicted by itself, from a history that ends where it was made. Otherwise a
            user's ratings are predicted together, from all ratings of the history.
        histories_run_on: whether such a history also holds the held-out ratings before.
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
