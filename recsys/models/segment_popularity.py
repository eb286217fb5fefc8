"""Popularity within the user's segment: a compromise between one ranking for all users and one for each user."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Query
from recsys.errors import check_positive, check_seed
from recsys.models.base import FitContext
from recsys.models.histories import ReadsHistories
from recsys.models.learned_arrays import LearnedArrays, prefixed, without_prefix
from recsys.models.rating_profiles import RatingProfiles
from recsys.models.segmentation import Segmentation


class SegmentPopularity(ReadsHistories):
    """Scores an item by the share of users in the user's segment who rated it, damped towards the share of all users.

    If the table of users has a column `segment`, the model uses these segments, and scores items for a user without a
    segment by the shares of all users. Otherwise the model finds segments: it clusters the rating profiles of the
    training users (`RatingProfiles`), and assigns a user to a segment by the history in the query.

    Args:
        n_segments: number of segments that the model finds, if none are given.
        method: clustering method; see `Segmentation`.
        damping: number of average users added to each segment. Larger values pull the shares in a segment towards the
            shares among all users.
        seed: seed of the segmentation.
        **prior: see `ReadsHistories`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        shares: float32 (n_segments + 1, n_items) damped share of the users in each segment who rated each item. The
            last row has the shares of all users, not damped.
        given: int64 (n_users + 1,) given segment of each user, or -1 for a user without a segment; the last element,
            for unknown users, is -1. Empty if the model finds segments itself.
    """

    learned = ("shares", "given")

    def __init__(
        self, n_segments: int = 7, method: str = "kmeans", damping: float = 10.0, seed: int = 0, **prior: Any
    ) -> None:
        super().__init__(**prior)
        check_positive(damping=damping, n_segments=n_segments)
        check_seed(seed=seed)
        self.n_segments = n_segments
        self.method = method
        self.damping = damping
        self.seed = seed
        self.profiles = RatingProfiles()
        self.segmentation = Segmentation(n_segments, method, seed=seed)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Find segments if none are given, and compute `shares`.

        Raises:
            UserError: segments must be found, but `n_segments` is below 2 or not below the number of users with
                ratings, or no item has a genre or a year.
        """
        if "segment" in train.user_frame:
            segments = train.user_frame["segment"].astype("category").cat.codes.to_numpy(np.int64)
            self.given = np.append(segments, -1)
        else:
            self.given = np.empty(0, np.int64)
            self.profiles.fit(train)
            self.segmentation.fit(self.profiles.transform(train.history(np.flatnonzero(train.user_counts))))
        self.uses_history = not len(self.given)
        self.shares = self._shares(train, self._segments(np.arange(train.n_users), train.histories()))

    def _score(self, query: Query) -> np.ndarray:
        return self.shares[self._segments(query.users, query.history)]

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; also returns what is needed to find the segment of a history."""
        return super().arrays() | prefixed(self._parts())

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`; also restores what is needed to find the segment of a history."""
        super().restore(arrays)
        self.uses_history = not len(self.given)
        for name, part in self._parts().items():
            part.restore(without_prefix(name, arrays))

    def _parts(self) -> dict[str, LearnedArrays]:
        """Return the parts of the model that find segments, by name; an empty dictionary if segments are given."""
        return {"profiles": self.profiles, "segmentation": self.segmentation} if self.uses_history else {}

    def _segments(self, users: np.ndarray, history: History) -> np.ndarray:
        """Return the segments of users, int64 (B,), or -1 if unknown; given segments do not depend on the histories."""
        if not self.uses_history:
            return self.given[users]
        return np.where(history.lengths > 0, self.segmentation.predict(self.profiles.transform(history)), -1)

    def _shares(self, train: Dataset, segments: np.ndarray) -> np.ndarray:
        """Compute `shares`.

        Args:
            train: the training interactions.
            segments: int64 (n_users,) segment of each user, from 0 to k - 1, or -1 for a user without a segment.

        Returns:
            float32 (k + 1, n_items) shares in each segment and, in the last row, among all users.
        """
        users = np.flatnonzero((segments >= 0) & (train.user_counts > 0))
        shape = (segments.max() + 1, train.n_users)
        members = sparse.csr_matrix((np.ones(len(users)), (segments[users], users)), shape)
        overall = train.item_counts / np.count_nonzero(train.user_counts)  # (n_items,)
        n_members = np.asarray(members.sum(axis=1)).reshape(-1, 1)
        shares = ((members @ train.matrix()).toarray() + self.damping * overall) / (n_members + self.damping)
        return np.vstack([shares, overall]).astype(np.float32)
