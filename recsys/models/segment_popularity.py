"""Popularity among users of one segment: how far a handful of tastes goes, between one for all and one for each."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, History, Holdout
from recsys.errors import UserError
from recsys.models.base import FitContext, Recommender
from recsys.models.segmentation import RatingProfiles, Segmentation


class SegmentPopularity(Recommender):
    """Score a film by the share of the user's segment that rated it, damped towards the share of all users.

    Where the data set's users have a column `segment`, these are the segments; somebody without one gets the shares of
    all users. Elsewhere the model finds its own, by profiles of the training ratings, and goes by the history at hand.

    Args:
        n_segments: how many it finds.
        method: of finding them, see `Segmentation`.
        damping: average users whom each segment is given beforehand.
        seed: of the segmentation.

    Raises:
        UserError: the damping is not above zero, or there is no such method.
    """

    def __init__(self, n_segments: int = 7, method: str = "kmeans", damping: float = 10.0, seed: int = 0) -> None:
        if not damping > 0:
            raise UserError(f"damping={damping} leaves small segments to chance: give a number above zero.")
        self.n_segments = n_segments
        self.method = method
        self.damping = damping
        self.seed = seed
        self.profiles = RatingProfiles()
        self.segmentation = Segmentation(n_segments, method, seed=seed)

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Count the ratings of each segment.

        Raises:
            UserError: segments are to be found, and there are fewer users than those, or no film has a genre or a year.
        """
        if "segment" in train.user_frame:
            segments = train.user_frame["segment"].astype("category").cat.codes.to_numpy(np.int64)
            self._take(np.append(segments, -1))  # (n_users + 1,), the last one is of anybody unknown
        else:
            self._take(np.empty(0, np.int64))
            self.profiles.fit(train)
            self.segmentation.fit(self.profiles.of(train.history(np.flatnonzero(train.user_counts))))
        users = np.arange(train.n_users)
        self.shares = self._shares(train, self._segments(users, train.history(users)))
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Shares in the users' segments; see `Recommender.score`."""
        return self.shares[self._segments(users, history)]

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`."""
        own = {"shares": self.shares, "given": self.given}
        for name in self._parts():
            own |= {f"{name}.{key}": array for key, array in getattr(self, name).arrays().items()}
        return own

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`."""
        self.shares = arrays["shares"]
        self._take(arrays["given"])
        for name in self._parts():
            own = {key.removeprefix(f"{name}."): array for key, array in arrays.items()}
            getattr(self, name).restore(own)

    def _take(self, given: np.ndarray) -> None:
        self.given = given
        self.uses_history = not len(given)

    def _parts(self) -> tuple[str, ...]:
        """What finds segments, where none are given."""
        return ("profiles", "segmentation") if self.uses_history else ()

    def _segments(self, users: np.ndarray, history: History) -> np.ndarray:
        """int64 (B,): the users' segments, -1 where nothing tells."""
        if not self.uses_history:
            return self.given[users]
        return np.where(np.diff(history.indptr) > 0, self.segmentation.assign(self.profiles.of(history)), -1)

    def _shares(self, train: Dataset, segments: np.ndarray) -> np.ndarray:
        """float32 (k + 1, n_items): each segment's, damped, and all users' in the last row, which -1 chooses."""
        users = np.flatnonzero((segments >= 0) & (train.user_counts > 0))
        shape = (segments.max() + 1, train.n_users)
        members = sparse.csr_matrix((np.ones(len(users)), (segments[users], users)), shape)
        overall = train.item_counts / np.count_nonzero(train.user_counts)  # (n_items,)
        n_members = np.asarray(members.sum(axis=1)).reshape(-1, 1)
        shares = ((members @ train.matrix()).toarray() + self.damping * overall) / (n_members + self.damping)
        return np.vstack([shares, overall]).astype(np.float32)
