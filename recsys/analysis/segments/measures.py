"""Measures of a segmentation, which inform the choice of the number of segments.

The measures are

- the silhouette (Rousseeuw, "Silhouettes: A Graphical Aid to the Interpretation and Validation of Cluster Analysis",
  Journal of Computational and Applied Mathematics 1987);
- the Davies-Bouldin index (Davies and Bouldin, "A Cluster Separation Measure", IEEE TPAMI 1979);
- the Calinski-Harabasz index (Calinski and Harabasz, "A Dendrite Method for Cluster Analysis", Communications in
  Statistics 1974);
- stability: the adjusted Rand index (Hubert and Arabie, "Comparing Partitions", Journal of Classification 1985) between
  the segments of all users and those found in bootstrap samples of the users (Hennig, "Cluster-wise Assessment of
  Cluster Stability", Computational Statistics & Data Analysis 2007).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

from recsys.evaluation.intervals import Interval, mean_interval
from recsys.models.segmentation import Segmentation
from recsys.progress_bar import ProgressBar

SAMPLE_SIZE = 5000  # largest number of users for the silhouette, which needs the distances of all pairs


def measure(segmentation: Segmentation, points: np.ndarray, numbers: Sequence[int], n_bootstraps: int) -> pd.DataFrame:
    """Measure the segmentation of points, (n, d), for several numbers of segments.

    Args:
        segmentation: settings other than the number of segments.
        points: (n, d) points of the users.
        numbers: numbers of segments.
        n_bootstraps: number of bootstrap samples for the stability.

    Returns:
        A row for each number: the number `k` of segments found, `silhouette`, `davies_bouldin`, `calinski_harabasz`,
        `stability`, and `low` and `high`, the ends of the 95% interval of the mean stability.
    """
    bar = ProgressBar(numbers, desc="measures", unit="numbers of segments", leave=False)
    return pd.DataFrame([_measure_one(segmentation.with_number(k), points, n_bootstraps) for k in bar])


def stability(segmentation: Segmentation, points: np.ndarray, labels: np.ndarray, n_bootstraps: int) -> Interval:
    """Compute the mean adjusted Rand index between segments and those found in bootstrap samples, with its interval.

    Args:
        segmentation: the segmentation, whose settings are used and which is not refitted itself.
        points: (n, d) points of all users, to which the segments of each sample are assigned.
        labels: int64 (n,) segments of all users.
        n_bootstraps: number of samples of n points, drawn with replacement.
    """
    rng = np.random.default_rng(segmentation.seed)
    samples = (points[rng.integers(len(points), size=len(points))] for _ in range(n_bootstraps))
    refits = (segmentation.with_number(segmentation.n_segments).fit(sample).predict(points) for sample in samples)
    return mean_interval([metrics.adjusted_rand_score(labels, refit) for refit in refits])


def _measure_one(segmentation: Segmentation, points: np.ndarray, n_bootstraps: int) -> dict[str, float]:
    labels = segmentation.fit(points).predict(points)
    reduced = segmentation.reduce(points)
    seed, size = segmentation.seed, min(SAMPLE_SIZE, len(points))
    agreement = stability(segmentation, points, labels, n_bootstraps)
    return {
        "k": len(segmentation.centres),
        "silhouette": metrics.silhouette_score(reduced, labels, sample_size=size, random_state=seed),
        "davies_bouldin": metrics.davies_bouldin_score(reduced, labels),
        "calinski_harabasz": metrics.calinski_harabasz_score(reduced, labels),
        "stability": agreement.mean,
        "low": agreement.low,
        "high": agreement.high,
    }
