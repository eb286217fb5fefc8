"""Segments: groups of users who are near each other, be it in a model's space or by the films that they rated.

Everybody is assigned by one rule, those whom the segments were fitted to and those who come later. K-means takes the
nearest centre (Lloyd, "Least Squares Quantization in PCM", IEEE Transactions on Information Theory 1982), a Gaussian
mixture the most probable component. Ward's tree (Ward, "Hierarchical Grouping to Optimize an Objective Function", JASA
1963) and HDBSCAN (Campello, Moulavi and Sander, "Density-Based Clustering Based on Hierarchical Density Estimates",
PAKDD 2013) have no rule for points that come later, so it is the nearest centre of what they found. HDBSCAN's noise is
thus in the nearest segment; `noise` tells how much there was.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import normalize

from recsys.data.dataset import Dataset, History
from recsys.data.features import features, vocabulary
from recsys.errors import UserError
from recsys.models.memory import check_memory
from recsys.models.neural import one_of

FACTS = ("genres", "year")  # of films, that profiles of ratings are made of
PROFILE_DAMPING = 10.0  # average ratings that every profile begins with, so that two films are no extreme taste
FILM_DAMPING = 10.0  # ratings at the mean that every film begins with
STARTS = 4  # of k-means and mixtures; the best one counts


class Segmentation:
    """Finds segments of points, and says which one a point belongs to.

    Args:
        n_segments: how many. HDBSCAN finds its own number, of clusters of at least a quarter of the users that each of
            so many segments would have.
        method: of finding them.
        n_components: principal components that points are reduced to first; None keeps all dimensions.
        seed: of the starts.

    Raises:
        UserError: there is no such method.
    """

    learned = ("average", "directions", "centres", "weights", "precisions", "noise")

    def __init__(
        self,
        n_segments: int = 7,
        method: Literal["kmeans", "gaussian_mixture", "agglomerative", "hdbscan"] = "kmeans",
        n_components: int | None = 16,
        seed: int = 0,
    ) -> None:
        self.n_segments = n_segments
        self.method = one_of("method", method, _FITS)
        self.n_components = n_components
        self.seed = seed

    def fit(self, points: np.ndarray) -> Self:
        """Find the segments of points, (n, d).

        Raises:
            UserError: there are fewer points than segments or fewer segments than two, the points' tree does not fit in
                memory, or HDBSCAN finds none.
        """
        if not 2 <= self.n_segments <= len(points):
            raise UserError(
                f"{self.n_segments} segments cannot be made of {len(points)} users: choose a number from 2 to that."
            )
        n_components = min(*points.shape, self.n_components or points.shape[1])
        pca = PCA(n_components, random_state=self.seed).fit(points.astype(np.float64))
        self.average = pca.mean_  # (d,)
        self.directions = pca.components_  # (c, d)
        self.weights = self.precisions = np.empty(0)  # (k,) and (k, c), of a mixture alone
        self.noise = np.array(0.0)  # share of the points that HDBSCAN leaves out
        _FITS[self.method](self, self.reduced(points))
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

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learned, by name."""
        return {name: getattr(self, name) for name in self.learned}

    def restore(self, arrays: dict[str, np.ndarray]) -> Self:
        """Take back what `arrays` gave. Returns self."""
        for name in self.learned:
            setattr(self, name, arrays[name])
        return self

    def _fit_kmeans(self, points: np.ndarray) -> None:
        self.centres = KMeans(self.n_segments, n_init=STARTS, random_state=self.seed).fit(points).cluster_centers_

    def _fit_gaussian_mixture(self, points: np.ndarray) -> None:
        mixture = GaussianMixture(
            self.n_segments, covariance_type="diag", n_init=STARTS, max_iter=300, random_state=self.seed
        ).fit(points)
        self.centres, self.weights, self.precisions = mixture.means_, mixture.weights_, mixture.precisions_cholesky_

    def _fit_agglomerative(self, points: np.ndarray) -> None:
        check_memory(4 * len(points) ** 2, f"A tree of {len(points):,} users", "take segments=kmeans")
        self.centres = _centres(points, AgglomerativeClustering(self.n_segments).fit(points).labels_)

    def _fit_hdbscan(self, points: np.ndarray) -> None:
        smallest = max(5, len(points) // (4 * self.n_segments))
        labels = HDBSCAN(min_cluster_size=smallest, copy=True).fit(points).labels_
        if labels.max() < 0:
            raise UserError(
                f"HDBSCAN finds no cluster of {smallest} users and more, all are noise to it: raise "
                "segments.n_segments, which allows smaller ones, or take segments=kmeans."
            )
        self.centres = _centres(points[labels >= 0], labels[labels >= 0])
        self.noise = np.array((labels < 0).mean())


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


def rating_profiles(
    history: History, item_frame: pd.DataFrame, item_means: np.ndarray, item_counts: np.ndarray
) -> np.ndarray:
    """What people watch more than others do, and what they like better, by genre and decade.

    Each genre and decade has two columns: the share of it among the films rated, less its share among everybody's; and
    how many stars above their means its films are rated, less what all of the person's ratings are above them. Both are
    damped towards 0, which is the profile of somebody of whom nothing is known.

    Args:
        history: of B people.
        item_frame: row i tells of film code i.
        item_means: (n_items,) mean stars of the films, as `film_means`.
        item_counts: (n_items,) ratings of the films.

    Returns:
        float32 (B, 2 f).

    Raises:
        UserError: no film has a genre or a year.
    """
    shares = film_facts(item_frame)  # (n_items, f)
    n_items = len(item_frame)
    counts = np.diff(history.indptr)[:, None]  # (B, 1)
    average = item_counts @ shares / max(1, item_counts.sum())  # (f,)
    watched = history.matrix(n_items) @ shares - counts * average
    above = history.ratings - item_means[history.items]
    own_mean = np.bincount(history.rows, above, minlength=len(history)) / np.maximum(counts[:, 0], 1)
    centred = (above - own_mean[history.rows], history.items, history.indptr)
    liked = sparse.csr_matrix(centred, shape=(len(history), n_items)) @ shares
    return (np.concatenate([watched, liked], axis=1) / (counts + PROFILE_DAMPING)).astype(np.float32)


def film_facts(item_frame: pd.DataFrame) -> np.ndarray:
    """float32 (n_items, f): a film's genres share a one among them, and so do the genre and the decade of a film.

    Raises:
        UserError: no film has a genre or a year.
    """
    names = vocabulary(item_frame, FACTS, min_count=1)
    if all(name.endswith("=?") for name in names):
        raise UserError("Profiles of ratings are made of films' genres and years: metadata=files brings some.")
    return normalize(features(item_frame, names), norm="l1").toarray()
