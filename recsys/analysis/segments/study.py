"""The search for segments: its settings, and the segments that it finds with their measures and profiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from recsys.analysis.segments.measures import measure
from recsys.analysis.segments.profiles import Profile, describe
from recsys.analysis.segments.spaces import EMBEDDINGS, RATINGS
from recsys.data.dataset import Dataset
from recsys.errors import UserError, one_of
from recsys.models.segmentation import Segmentation

# Size of the points from which several threads are faster. With less they mostly wait for each other, and on a busy
# machine for minutes.
PARALLEL_FROM = 1_000_000


@dataclass(frozen=True, eq=False)
class FoundSegments:
    """Segments of users that a search has found, with their measures and profiles.

    Attributes:
        users: int64 (n,) codes of the users with ratings.
        points: (n, d) points that represent these users.
        labels: int64 (n,) segment of each of these users; segments are numbered from 0, the largest first.
        measures: quality measures, a row for each number `k` of segments that was tried; see `measures.measure`. If the
            clustering method determines the number itself, there is a single row.
        profiles: profiles of the segments, in the order of their numbers.
        noise: share of users whom the clustering method treats as noise; they are assigned to the nearest segment.
    """

    users: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    measures: pd.DataFrame
    profiles: list[Profile]
    noise: float

    @property
    def k(self) -> int:
        """Return the number of segments."""
        return len(self.profiles)

    def measures_at(self, k: int) -> dict[str, float]:
        """Return the quality measures of a segmentation into k segments, keyed by name."""
        row = self.measures[self.measures["k"] == k].iloc[0]
        return {str(name): float(value) for name, value in row.items()}


@dataclass(frozen=True)
class SegmentStudy:
    """Settings for finding segments of users.

    Attributes:
        segments: the clustering method and its settings.
        space: how users are represented as points: `embeddings` for the directions of the model's user embeddings, or
            `ratings` for the users' rating profiles. None stands for `embeddings` if the model learns user embeddings,
            else for `ratings`.
        map: projection with which the map of users is drawn: `pca`, or `tsne` (van der Maaten and Hinton, "Visualizing
            Data using t-SNE", JMLR 2008).
        max_k: largest number of segments for which quality measures are computed; the smallest is 2. Numbers above half
            the number of users are left out.
        n_bootstraps: number of bootstrap samples for the stability.

    Raises:
        UserError: a setting is out of range.
    """

    segments: Segmentation
    space: str | None = None
    map: str = "pca"
    max_k: int = 20
    n_bootstraps: int = 20

    def __post_init__(self) -> None:
        if self.space is not None:
            one_of("space", self.space, (EMBEDDINGS, RATINGS))
        one_of("map", self.map, ("pca", "tsne"))
        for name in ("max_k", "n_bootstraps"):
            if getattr(self, name) < 2:
                raise UserError(f"{name} must be at least 2 (got {getattr(self, name)}).")

    def find(self, points: np.ndarray, ratings: Dataset, per_user: pd.DataFrame) -> FoundSegments:
        """Cluster the users with ratings into segments, then measure and describe the segments.

        Args:
            points: (n_users, d) points that represent all users.
            ratings: ratings on which the run's model was trained, without test ratings.
            per_user: test metrics of the run's model, a row for each user, with a column `user_id`.

        Raises:
            UserError: there are too few users, or the clustering method finds no segments.
        """
        users = np.flatnonzero(ratings.user_counts)
        points = points[users]
        with threadpool_limits(1 if points.size < PARALLEL_FROM else None):
            return self._find(users, points, ratings, per_user)

    def _find(self, users: np.ndarray, points: np.ndarray, ratings: Dataset, per_user: pd.DataFrame) -> FoundSegments:
        """Find segments of the users with ratings; `users` and `points` are the codes and points of these users."""
        labels = self.segments.fit(points).predict(points)
        if len(self.segments.centres) < 2:
            raise UserError(
                f"{self.segments.method} finds no segments among {len(points)} users: increase segments.n_segments, "
                "which allows smaller segments, or choose segments=kmeans."
            )
        measures = measure(self.segments, points, self._numbers(len(points)), self.n_bootstraps)
        profiles = describe(ratings, users, labels, per_user)
        return FoundSegments(users, points, labels, measures, profiles, float(self.segments.noise))

    def _numbers(self, n_users: int) -> list[int]:
        """Return the numbers of segments for which quality measures are computed, in ascending order."""
        if not self.segments.takes_number:
            return [self.segments.n_segments]
        return sorted({*range(2, min(self.max_k, n_users // 2) + 1), self.segments.n_segments})
