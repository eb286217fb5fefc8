"""Evaluation protocols, which determine among which items a user's held-out items are ranked.

In full ranking, these are all items that the user has not rated. If held-out items are ranked among only a sample of
these items, models can come out in a different order (Krichene and Rendle, "On Sampled Metrics for Item
Recommendation", KDD 2020). The names of sampled metrics therefore include the size of the sample: `ndcg@10/sampled99`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from recsys.data.dataset import Holdout
from recsys.errors import check_positive, check_seed
from recsys.evaluation.negatives import sample_unrated
from recsys.metrics.ranking import mask_seen

# (scores (B, n_items), queries of the holdout (B,)) -> a copy of the scores with -inf at the items that are not ranked
Mask = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Protocol(ABC):
    """Determines which items are ranked in each query."""

    @abstractmethod
    def suffix(self, holdout: Holdout) -> str:
        """Return the suffix that this protocol adds to the names of metrics, such as `/sampled99`; it may be empty."""

    @abstractmethod
    def n_ranked(self, holdout: Holdout) -> int:
        """Return the largest list length k that an evaluation with this protocol accepts."""

    @abstractmethod
    def mask(self, holdout: Holdout) -> Mask:
        """Return a function that sets the scores of all items that are not ranked to -inf; see `Mask`."""


@dataclass(frozen=True)
class FullRanking(Protocol):
    """Ranks a user's held-out items among all items that the user has not rated.

    If the holdout has `candidates`, only these items are ranked.
    """

    def suffix(self, holdout: Holdout) -> str:
        """See `Protocol.suffix`."""
        return ""

    def n_ranked(self, holdout: Holdout) -> int:
        """See `Protocol.n_ranked`."""
        return holdout.known.n_items if holdout.candidates is None else len(holdout.candidates)

    def mask(self, holdout: Holdout) -> Mask:
        """See `Protocol.mask`."""
        return lambda scores, rows: mask_seen(scores, holdout.seen(rows), holdout.candidates)


FULL_RANKING = FullRanking()


@dataclass(frozen=True)
class SampledNegatives(Protocol):
    """Ranks a user's held-out items among a sample of the items that the user has not rated.

    The sample is uniform, without replacement, from the whole catalogue; it is the same for every model and for all
    queries of a user. If the data come with negatives of their own (`Dataset.negatives`), all of these are used instead
    of the sample, and `n` has no effect.

    Args:
        n: number of items to sample for each user.
        seed: seed of the sample.

    Raises:
        UserError: `n` is not above zero, or the seed is out of range.
    """

    n: int = 99
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that `n` and `seed` are in range."""
        check_positive(n=self.n)
        check_seed(seed=self.seed)

    def suffix(self, holdout: Holdout) -> str:
        """See `Protocol.suffix`."""
        return f"/sampled{self._n_sampled(holdout)}"

    def n_ranked(self, holdout: Holdout) -> int:
        """See `Protocol.n_ranked`."""
        return min(1 + self._n_sampled(holdout), holdout.known.n_items)

    def mask(self, holdout: Holdout) -> Mask:
        """See `Protocol.mask`."""
        sampled = holdout.known.negatives
        if sampled is None:
            sampled = np.full((holdout.known.n_users, self.n), -1, np.int32)
            sampled[holdout.users] = sample_unrated(holdout, self.n, self.seed)

        def mask(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
            negatives = sampled[holdout.query_users[rows]]
            places = np.nonzero(negatives >= 0)
            negative = places[0], negatives[places]
            relevant = holdout.relevant(rows)
            ranked = np.full_like(scores, -np.inf)
            ranked[negative] = scores[negative]
            ranked[relevant.rows, relevant.items] = scores[relevant.rows, relevant.items]
            return ranked

        return mask

    def _n_sampled(self, holdout: Holdout) -> int:
        return self.n if holdout.known.negatives is None else holdout.known.negatives.shape[1]


@dataclass(frozen=True)
class SeveralProtocols:
    """Several protocols that are applied to the same scores; `Evaluation.top` has the lists of the first protocol.

    Args:
        protocols: the protocols, keyed by arbitrary names.
    """

    protocols: Mapping[str, Protocol]


AnyProtocol = Protocol | SeveralProtocols | None  # None ranks nothing: only predicted ratings are measured


def single_protocols(protocol: AnyProtocol) -> list[Protocol]:
    """Return the individual protocols as a list; an empty list if `protocol` is None, so that no items are ranked."""
    if protocol is None:
        return []
    return list(protocol.protocols.values()) if isinstance(protocol, SeveralProtocols) else [protocol]
