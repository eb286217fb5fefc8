"""The interpretation of a segmentation's measures: the numbers of segments that they favour, and a verdict in words.

Thresholds are from the literature. An adjusted Rand index below 0.65 means poor recovery and one of at least 0.8 good
recovery (Steinley, "Properties of the Hubert-Arabie Adjusted Rand Index", Psychological Methods 2004). A silhouette of
up to 0.25 means no substantial structure and one above 0.5 a reasonable structure (Kaufman and Rousseeuw, "Finding
Groups in Data", 1990).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

BEST = {  # whether the largest or the smallest value of a measure is best
    "silhouette": "max",
    "davies_bouldin": "min",
    "calinski_harabasz": "max",
    "stability": "max",
}
POOR_RECOVERY, GOOD_RECOVERY = 0.65, 0.8
NO_STRUCTURE, REASONABLE_STRUCTURE = 0.25, 0.5


def favourites(measures: pd.DataFrame) -> dict[str, int]:
    """Return the number of segments that each measure favours, by name of the measure."""
    return {name: int(measures["k"][getattr(measures[name], f"idx{best}")()]) for name, best in BEST.items()}


def verdict(measures: Mapping[str, float]) -> str:
    """State in words what the measures of one number of segments imply."""
    stability, silhouette = measures["stability"], measures["silhouette"]
    margin = (measures["high"] - measures["low"]) / 2
    if stability < POOR_RECOVERY or silhouette <= NO_STRUCTURE:
        meaning = "are a convenient cut of a continuum, not natural groups"
    elif stability >= GOOD_RECOVERY and silhouette > REASONABLE_STRUCTURE:
        meaning = "are natural groups"
    else:
        meaning = "are groups with blurred borders"
    partly = "agrees in part" if stability < GOOD_RECOVERY else "agrees"
    agrees = "hardly agrees" if stability < POOR_RECOVERY else partly
    apart = "not" if silhouette <= NO_STRUCTURE else "partly" if silhouette <= REASONABLE_STRUCTURE else "well"
    return (
        f"The {measures['k']:.0f} segments {meaning}: a segmentation of another sample of the users {agrees} with them "
        f"(stability {stability:.2f} ± {margin:.2f}), and they are {apart} separated (silhouette {silhouette:.2f})."
    )
