"""Random exploration: films drawn at random in the lists that viewers see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.errors import UserError

MAX_POOL = 100  # deepest rank from which a film can be drawn
N_FIRST = 3  # places at the top of a list that always hold the model's best films


@dataclass(frozen=True)
class Exploration:
    """Fills some positions of a list with random films, so that feedback can also be used to evaluate other models.

    In a list of k films, m = min(`places`, k - 3) films are drawn uniformly, without replacement, from the ranks
    k - m + 1 to `pool` of the model's ranking. Each film at these ranks is shown with the known probability
    m / (`pool` - k + m), at a random position after the third. The other k - m films of the list are always the model's
    best. If the ranking is shorter than `pool`, its length replaces `pool`. If there are no more than k films up to
    rank `pool`, or if k <= 3, nothing is drawn, and the list is the top of the model's ranking.

    Attributes:
        places: number of films in a list that are drawn at random, at least 0; 0 disables exploration.
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
        """Choose the films to show: the model's best films, and films drawn at random.

        Args:
            items: int64 (n,) the model's ranking, best first, down to the deepest rank from which a film can be drawn.
            k: number of films to show.
            rng: generator that draws the random films and their positions.

        Returns:
            The item codes in the order of the list, int64 (min(k, n),), and the probability with which each film is
            shown, float64 (min(k, n),).
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
