"""Targets: which of a user's ratings after a cut in time are to be predicted, and from which history.

Compared in Gusak et al., "Time to Split: Exploring Data Splitting Strategies for Offline Evaluation of Sequential
Recommenders", RecSys 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Targets:
    """A choice among the ratings of a window in time.

    Attributes:
        chosen: marks the ratings to predict, bool (n,), given the user of each rating in the window, int (n,), in the
            order of users and times.
        one_by_one: whether each rating is predicted by itself, so that cold queries can be separated. Otherwise a
            user's ratings are predicted together.
        histories_run_on: whether the history of a rating is all that its user rated before it. Otherwise it ends where
            the window starts.
    """

    chosen: Callable[[np.ndarray], np.ndarray]
    one_by_one: bool = True
    histories_run_on: bool = False


def _every(users: np.ndarray) -> np.ndarray:
    return np.ones(len(users), bool)


def _first_of_each(users: np.ndarray) -> np.ndarray:
    return np.diff(users, prepend=-1) != 0


def _last_of_each(users: np.ndarray) -> np.ndarray:
    return np.diff(users, append=-1) != 0


ALL = Targets(_every, one_by_one=False)
TARGETS = {
    "all": ALL,
    "first": Targets(_first_of_each),
    "last": Targets(_last_of_each, histories_run_on=True),
    "successive": Targets(_every, histories_run_on=True),
}
