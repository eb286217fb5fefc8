"""Quality measures of a segmentation, which help to choose the number of segments.

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
    """Cluster points into several numbers of segments, and measure the quality of each result.

    Args:
        segmentation: the clustering method and its settings; its own number of segments is not used.
        points: (n, d) points that represent the users.
        numbers: numbers of segments to try.
        n_bootstraps: number of bootstrap samples for the stability.

    Returns:
        A row for each of `numbers`: the number `k` of segments found, `silhouette`, `davies_bouldin`,
        `calinski_harabasz`, the mean `stability`, and `low` and `high`, the ends of its 95% interval.
    """
    bar = ProgressBar(numbers, desc="measures", unit="numbers of segments", leave=False)
    return pd.DataFrame([_measure_one(segmentation.with_number(k), points, n_bootstraps) for k in bar])


def stability(segmentation: Segmentation, points: np.ndarray, labels: np.ndarray, n_bootstraps: int) -> Interval:
    """Compute how well the segments of all users agree with those found in bootstrap samples of the users.

    Args:
        segmentation: the segmentation; copies with its settings are fitted to the samples, and it is not changed.
        points: (n, d) points that represent all users.
        labels: int64 (n,) segment of each user.
        n_bootstraps: number of bootstrap samples; each has n points, drawn with replacement.

    Returns:
        The mean over the samples, with its 95% interval, of the adjusted Rand index between `labels` and the segments
        to which all users are assigned by the copy that was fitted to the sample.
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
