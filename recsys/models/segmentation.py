"""Segments: clusters of users with similar embeddings in a model, or with similar rating profiles.

Users to whom the segments were fitted and new users are assigned to segments in the same way. K-means assigns a user to
the nearest centre (Lloyd, "Least Squares Quantization in PCM", IEEE Transactions on Information Theory 1982), and a
Gaussian mixture assigns a user to the most probable component. Ward's tree (Ward, "Hierarchical Grouping to Optimize an
Objective Function", JASA 1963) and HDBSCAN (Campello, Moulavi and Sander, "Density-Based Clustering Based on
Hierarchical Density Estimates", PAKDD 2013) do not define how to assign new points. With them, a user is assigned to
the nearest centre of the clusters found. This includes users whom HDBSCAN considers noise; the attribute `noise` is the
share of such users.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.mixture import GaussianMixture

from recsys.errors import UserError, one_of
from recsys.models.learned_arrays import LearnedArrays
from recsys.models.memory import check_memory

N_INIT = 10  # number of random starts of k-means and mixtures, of which the best is used


class Segmentation(LearnedArrays):
    """Clusters points, each of which represents a user, into segments, and predicts the segments of points.

    Segments are numbered by size, the largest first. Segments without points are left out.

    Args:
        n_segments: number of segments. HDBSCAN determines the number itself: its clusters have at least 5 users, and at
            least a quarter of the users that each of `n_segments` equally large segments would have. If HDBSCAN finds
            no cluster, all users are in one segment.
        method: `kmeans`, `gaussian_mixture`, `agglomerative` (Ward's tree) or `hdbscan`.
        n_components: largest number of principal components to which points are first reduced; with None, there is no
            limit.
        seed: seed of the random initialisation.

    Raises:
        UserError: the method is unknown.

    Attributes:
        average: float64 (d,) mean of the points.
        directions: float64 (c, d) principal components.
        centres: float64 (k, c) centres of the k segments in the space of the c principal components.
        weights: float64 (k,) weights of a Gaussian mixture's components; empty for other methods.
        precisions: float64 (k, c) square roots of the precisions of a Gaussian mixture's components; empty for other
            methods.
        noise: float64 scalar, share of the points that HDBSCAN considers noise; 0 for other methods.
    """

    learned = ("average", "directions", "centres", "weights", "precisions", "noise")
    centres: np.ndarray

    def __init__(
        self,
        n_segments: int = 7,
        method: str = "kmeans",
        n_components: int | None = 16,
        seed: int = 0,
    ) -> None:
        self.n_segments = n_segments
        self.method = one_of("method", method, _FITS)
        self.n_components = n_components
        self.seed = seed

    @property
    def takes_number(self) -> bool:
        """Return whether the method finds exactly `n_segments` segments."""
        return self.method != "hdbscan"

    def with_number(self, n_segments: int) -> Segmentation:
        """Return an unfitted copy with another number of segments."""
        return Segmentation(**self.hyperparameters() | {"n_segments": n_segments})

    def hyperparameters(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in ("n_segments", "method", "n_components", "seed")}

    def fit(self, points: np.ndarray) -> Self:
        """Find the segments of points, float (n, d), and return the fitted object itself.

        Raises:
            UserError: `n_segments` is below 2 or not below the number of points, or the distances between all pairs of
                points, which Ward's tree needs, do not fit in memory.
        """
        if not 2 <= self.n_segments < len(points):
            raise UserError(
                f"n_segments must be from 2 to {len(points) - 1}, given {len(points)} users (got {self.n_segments})."
            )
        n_components = min(*points.shape, self.n_components or points.shape[1])
        pca = PCA(n_components, random_state=self.seed).fit(points.astype(np.float64))
        self.average = pca.mean_
        self.directions = pca.components_
        self.weights = self.precisions = np.empty(0)
        self.noise = np.array(0.0)
        _FITS[self.method](self, self.reduce(points))
        sizes = np.bincount(self.predict(points), minlength=len(self.centres))
        by_size = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
        self.centres = self.centres[by_size]
        if len(self.weights):
            self.weights, self.precisions = self.weights[by_size], self.precisions[by_size]
        return self

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Return the segment of each of the points (n, d), int64 (n,), numbered from 0."""
        if not len(self.weights):
            return self.distances(points).argmin(axis=1)
        mixture = GaussianMixture(len(self.weights), covariance_type="diag")
        mixture.weights_, mixture.means_, mixture.precisions_cholesky_ = self.weights, self.centres, self.precisions
        return mixture.predict(self.reduce(points))

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Return the Euclidean distances of points (n, d), after `reduce`, to the centres, float64 (n, k)."""
        return pairwise_distances(self.reduce(points), self.centres)

    def reduce(self, points: np.ndarray) -> np.ndarray:
        """Project points (n, d) onto the principal components, float64 (n, c); segments are found in this space."""
        return (points - self.average) @ self.directions.T

    def _fit_kmeans(self, points: np.ndarray) -> None:
        self.centres = KMeans(self.n_segments, n_init=N_INIT, random_state=self.seed).fit(points).cluster_centers_

    def _fit_gaussian_mixture(self, points: np.ndarray) -> None:
        mixture = GaussianMixture(
            self.n_segments, covariance_type="diag", n_init=N_INIT, max_iter=300, random_state=self.seed
        ).fit(points)
        self.centres, self.weights, self.precisions = mixture.means_, mixture.weights_, mixture.precisions_cholesky_

    def _fit_agglomerative(self, points: np.ndarray) -> None:
        check_memory(4 * len(points) ** 2, f"A tree of {len(points):,} users", "choose the method kmeans")
        self.centres = _centres(points, AgglomerativeClustering(self.n_segments).fit(points).labels_)

    def _fit_hdbscan(self, points: np.ndarray) -> None:
        smallest = min(max(5, len(points) // (4 * self.n_segments)), len(points))
        labels = HDBSCAN(min_cluster_size=smallest, copy=True).fit(points).labels_
        self.noise = np.array((labels < 0).mean())
        clustered = labels >= 0 if self.noise < 1 else np.ones(len(points), bool)
        self.centres = _centres(points[clustered], np.maximum(labels[clustered], 0))


_FITS = {
    "kmeans": Segmentation._fit_kmeans,
    "gaussian_mixture": Segmentation._fit_gaussian_mixture,
    "agglomerative": Segmentation._fit_agglomerative,
    "hdbscan": Segmentation._fit_hdbscan,
}


def _centres(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.stack([points[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
