"""Randomised exploration in the lists that viewers see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.errors import UserError

MAX_POOL = 100  # deepest rank from which a film can be drawn
N_FIRST = 3  # places at the top of a list that always hold the model's best films


@dataclass(frozen=True)
class Exploration:
    """Fills some places of a list with random films, so that feedback can be used to evaluate other models as well.

    Of k places, m = min(`places`, k - 3) are filled by a uniform draw without replacement from the films at the ranks
    k - m + 1 to `pool` of the model's ranking. Each of these films is shown with the known probability
    m / (`pool` - k + m), in a place after the first three. The best k - m films are always shown. If the ranking is
    shorter than `pool`, its length replaces `pool`. Without more than k films up to rank `pool`, or with k <= 3, the
    list is the model's own.

    Attributes:
        places: number of randomised places in a list, at least 0; 0 disables exploration.
        pool: deepest rank from which a film can be drawn, from 1 to 100.
    """

    places: int = 0
    pool: int = 50

    def __post_init__(self) -> None:
        """Check the ranges of the settings.

        Raises:
            UserError: a setting is out of range.
        """
        if self.places < 0:
            raise UserError(f"explore.places must be at least 0 (got explore.places={self.places}).")
        if not 1 <= self.pool <= MAX_POOL:
            raise UserError(f"explore.pool must be from 1 to {MAX_POOL} (got explore.pool={self.pool}).")

    def draw(self, items: np.ndarray, k: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw the items to show.

        Args:
            items: int64 (n,) the model's ranking, best first, including the items that can be drawn.
            k: number of items to show.
            rng: generator that draws the items and their places.

        Returns:
            The items, int64 (m,) with m <= k, and the probability with which each is shown, float64 (m,).
        """
        n_fixed = min(max(N_FIRST, min(k, len(items)) - self.places), k, len(items))
        pool = items[n_fixed : max(self.pool, k)]
        n_drawn = min(k - n_fixed, len(pool))
        if not self.places or not n_drawn or n_drawn == len(pool):
            return items[:k], np.ones(len(items[:k]))
        drawn = rng.choice(pool, n_drawn, replace=False)
        places = np.sort(rng.integers(N_FIRST, n_fixed + 1, n_drawn))  # each drawn item goes before this fixed item
        shown = np.insert(items[:n_fixed], places, drawn)
        propensities = np.insert(np.ones(n_fixed), places, n_drawn / len(pool))
        return shown, propensities
