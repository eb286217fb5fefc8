"""Interprets the quality measures of a segmentation: which number of segments they favour, and a verdict in words.

Thresholds are from the literature. An adjusted Rand index below 0.65 means poor recovery, and an index of at least 0.8
good recovery (Steinley, "Properties of the Hubert-Arabie Adjusted Rand Index", Psychological Methods 2004). A
silhouette of up to 0.25 means no substantial structure, and a silhouette above 0.5 a reasonable structure (Kaufman and
Rousseeuw, "Finding Groups in Data", 1990).
"""

from __future__ import annotations

from collections import Counter
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
MEANINGS = {  # (how another sample agrees, how far the segments are separated) -> what the segments are
    ("agrees", "well"): "are separate groups that recur",
    ("agrees", "partly"): "are groups that recur, with blurred borders",
    ("agrees", "not"): "are a repeatable division of the users, not separate groups",
    ("agrees in part", "well"): "are separate groups that recur in part",
    ("agrees in part", "partly"): "are groups that recur in part, with blurred borders",
    ("agrees in part", "not"): "are a division of the users that recurs in part, not separate groups",
    **{("hardly agrees", apart): "depend on the sample of the users" for apart in ("well", "partly", "not")},
}


def favourites(measures: pd.DataFrame) -> dict[str, int]:
    """Return the number of segments for which each quality measure is best, keyed by the name of the measure."""
    return {name: int(measures["k"][getattr(measures[name], f"idx{best}")()]) for name, best in BEST.items()}


def verdict(measures: Mapping[str, float]) -> str:
    """State in words what the quality measures imply about the segments found.

    Args:
        measures: the measures of the segments, keyed by name; see `measures.measure`.
    """
    stability, silhouette = measures["stability"], measures["silhouette"]
    margin = (measures["high"] - measures["low"]) / 2
    partly = "agrees in part" if stability < GOOD_RECOVERY else "agrees"
    agrees = "hardly agrees" if stability < POOR_RECOVERY else partly
    apart = "not" if silhouette <= NO_STRUCTURE else "partly" if silhouette <= REASONABLE_STRUCTURE else "well"
    is_contrast = (agrees == "agrees" and apart == "not") or (agrees == "hardly agrees" and apart != "not")
    return (
        f"The {measures['k']:.0f} segments {MEANINGS[agrees, apart]}: a segmentation of another sample of the users "
        f"{agrees} with them (stability {stability:.2f} ± {margin:.2f}), {'but' if is_contrast else 'and'} they are "
        f"{apart} separated (silhouette {silhouette:.2f})."
    )


def other_number(measures: pd.DataFrame, k: int) -> str | None:
    """State in words which number of segments other than k is best according to most measures.

    Args:
        measures: a row for each number of segments; see `measures.measure`.
        k: number of segments found.

    Returns:
        The sentences, or None if no number other than k is best according to more than half of the measures.
    """
    [(other, n_votes)] = Counter(favourites(measures).values()).most_common(1)
    if other == k or n_votes <= len(BEST) / 2:
        return None
    best = measures[measures["k"] == other].iloc[0]
    who = f"All {n_votes} measures" if n_votes == len(BEST) else f"{n_votes} of the {len(BEST)} measures"
    return (
        f"{who} mark {other} segments as best (silhouette {best['silhouette']:.2f}, "
        f"stability {best['stability']:.2f}): segments.n_segments={other} finds these. Few segments often win such "
        "measures, so also consider how many kinds of users you want to tell apart."
    )
