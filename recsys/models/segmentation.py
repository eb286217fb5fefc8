"""Segments: groups of users who are near each other, be it in a model's space or by the films that they rated.

Everybody is assigned by one rule, those whom the segments were fitted to and those who come later. K-means takes the
nearest centre (Lloyd, "Least Squares Quantization in PCM", IEEE Transactions on Information Theory 1982), a Gaussian
mixture the most probable component. Ward's tree (Ward, "Hierarchical Grouping to Optimize an Objective Function", JASA
1963) and HDBSCAN (Campello, Moulavi and Sander, "Density-Based Clustering Based on Hierarchical Density Estimates",
PAKDD 2013) have no rule for points that come later, so it is the nearest centre of what they found. HDBSCAN's noise is
thus in the nearest segment; `noise` tells how much there was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.mixture import GaussianMixture

from recsys.data.dataset import Dataset, History
from recsys.data.features import MISSING, features, vocabulary
from recsys.errors import UserError
from recsys.models.memory import check_memory
from recsys.models.neural import one_of

FACTS = ("genres", "year")  # of films, that profiles of ratings are made of
PROFILE_DAMPING = 10.0  # average ratings that every profile begins with, so that two films are no extreme taste
FILM_DAMPING = 10.0  # ratings at the mean that every film begins with
STARTS = 10  # of k-means and mixtures; the best one counts


class Learned:
    """What is learned, and kept as arrays."""

    learned: tuple[str, ...]

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learned, by name."""
        return {name: getattr(self, name) for name in self.learned}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Take back what `arrays` gave. Returns self."""
        for name in self.learned:
            setattr(self, name, arrays[name])
        return self


class Segmentation(Learned):
    """Finds segments of points, and says which one a point belongs to.

    Segments are numbered by their size, the largest first. One that nobody is nearest to is left out.

    Args:
        n_segments: how many. HDBSCAN finds its own number, of clusters of at least a quarter of the users that each of
            so many segments would have; where there are none, everybody is in one segment.
        method: of finding them: `kmeans`, `gaussian_mixture`, `agglomerative` or `hdbscan`.
        n_components: principal components that points are reduced to first; None keeps all dimensions.
        seed: of the starts.

    Raises:
        UserError: there is no such method.
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
        """Whether the method is told how many segments to find."""
        return self.method != "hdbscan"

    def with_number(self, n_segments: int) -> Segmentation:
        """The same settings but for the number of segments, not fitted."""
        return Segmentation(**self.hyperparameters() | {"n_segments": n_segments})

    def hyperparameters(self) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in ("n_segments", "method", "n_components", "seed")}

    def fit(self, points: np.ndarray) -> Self:
        """Find the segments of points, (n, d).

        Raises:
            UserError: there are fewer points than segments or fewer segments than two, or the points' tree does not fit
                in memory.
        """
        if not 2 <= self.n_segments < len(points):
            raise UserError(
                f"{self.n_segments} segments cannot be made of {len(points)} users: choose from 2 to {len(points) - 1}."
            )
        n_components = min(*points.shape, self.n_components or points.shape[1])
        pca = PCA(n_components, random_state=self.seed).fit(points.astype(np.float64))
        self.average = pca.mean_  # (d,)
        self.directions = pca.components_  # (c, d)
        self.weights = self.precisions = np.empty(0)  # (k,) and (k, c), of a mixture alone
        self.noise = np.array(0.0)  # share of the points that HDBSCAN leaves out
        _FITS[self.method](self, self.reduced(points))
        sizes = np.bincount(self.assign(points), minlength=len(self.centres))
        by_size = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
        self.centres = self.centres[by_size]  # (k, c)
        if len(self.weights):
            self.weights, self.precisions = self.weights[by_size], self.precisions[by_size]
        return self

    def assign(self, points: np.ndarray) -> np.ndarray:
        """int64 (n,): the segment of each of some points (n, d), counted from 0."""
        if not len(self.weights):
            return self.distances(points).argmin(axis=1)
        mixture = GaussianMixture(len(self.weights), covariance_type="diag")
        mixture.weights_, mixture.means_, mixture.precisions_cholesky_ = self.weights, self.centres, self.precisions
        return mixture.predict(self.reduced(points))

    def distances(self, points: np.ndarray) -> np.ndarray:
        """float64 (n, k): Euclidean, of points (n, d) to the segments' centres, after the reduction."""
        return pairwise_distances(self.reduced(points), self.centres)

    def reduced(self, points: np.ndarray) -> np.ndarray:
        """float64 (n, c): points (n, d) by the principal components that segments are found in."""
        return (points - self.average) @ self.directions.T

    def _fit_kmeans(self, points: np.ndarray) -> None:
        self.centres = KMeans(self.n_segments, n_init=STARTS, random_state=self.seed).fit(points).cluster_centers_

    def _fit_gaussian_mixture(self, points: np.ndarray) -> None:
        mixture = GaussianMixture(
            self.n_segments, covariance_type="diag", n_init=STARTS, max_iter=300, random_state=self.seed
        ).fit(points)
        self.centres, self.weights, self.precisions = mixture.means_, mixture.weights_, mixture.precisions_cholesky_

    def _fit_agglomerative(self, points: np.ndarray) -> None:
        check_memory(4 * len(points) ** 2, f"A tree of {len(points):,} users", "take the method kmeans")
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


def film_means(ratings: Dataset) -> np.ndarray:
    """float64 (n_items,): mean stars of each film, damped towards the mean of all ratings."""
    mean = ratings.ratings.mean(dtype=np.float64)
    deviations = np.bincount(ratings.items, ratings.ratings - mean, minlength=ratings.n_items)
    return mean + deviations / (FILM_DAMPING + ratings.item_counts)


class RatingProfiles(Learned):
    """What people watch more than others do, and what they like better, by genre and decade.

    Each genre and decade has two columns: its share of the films rated, less its share of everybody's, where a film is
    shared by all that it has; and how many stars above their means its films are rated, less what all of the person's
    ratings are above them. Both are damped towards 0, which is the profile of somebody of whom nothing is known.
    """

    learned = ("facts", "average", "item_means")

    def fit(self, ratings: Dataset) -> Self:
        """Learn what is average.

        Raises:
            UserError: no film has a genre or a year.
        """
        names, told = film_facts(ratings.item_frame)
        if all(name.endswith(f"={MISSING}") for name in names):
            raise UserError("Profiles of ratings are made of films' genres and years: metadata=files brings some.")
        self.facts = told / told.sum(axis=1, keepdims=True)  # (n_items, f): a film counts once, whatever it has
        self.average = ratings.item_counts @ self.facts / max(1, len(ratings))  # (f,)
        self.item_means = film_means(ratings)  # (n_items,)
        return self

    def of(self, history: History) -> np.ndarray:
        """Profiles of B people, float32 (B, 2 f)."""
        counts = np.diff(history.indptr)[:, None]  # (B, 1)
        watched = history.matrix(len(self.facts)) @ self.facts - counts * self.average
        above = history.ratings - self.item_means[history.items]
        own_mean = np.bincount(history.rows, above, minlength=len(history)) / np.maximum(counts[:, 0], 1)
        centred = (above - own_mean[history.rows], history.items, history.indptr)
        liked = sparse.csr_matrix(centred, shape=(len(history), len(self.facts))) @ self.facts
        return (np.concatenate([watched, liked], axis=1) / (counts + PROFILE_DAMPING)).astype(np.float32)


def film_facts(item_frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Genres and decades: their names (f,), `genres=War`, and which films have them, float32 (n_items, f) of 0 and 1.

    `genres=?` is for films of which no genre is known.
    """
    names = vocabulary(item_frame, FACTS, min_count=1)
    return names, features(item_frame, names).toarray()
