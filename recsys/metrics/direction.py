"""Whether larger or smaller values of a metric are better."""

from __future__ import annotations

import re

ERRORS = ("rmse", "mae")  # smaller is better
ORDERED = (
    *("hr", "precision", "recall", "f1", "ndcg", "mrr", "map", "auc"),
    *("precision/relevant", "recall/relevant", "f1/relevant"),
)  # larger is better


def direction(metric: str) -> int:
    """Return 1 if larger values of a metric are better, -1 if smaller values are, and 0 if neither holds.

    Args:
        metric: name of the metric, with or without the list length, the protocol and the subset of queries, as in
            `ndcg@10/sampled99` and `hr@10/with_history`. Metrics beyond accuracy, such as `novelty`, and unknown names
            have no direction.
    """
    name = re.sub(r"@\d+|/sampled\d+|/(with(out)?_history|shuffled_history|warm)$", "", metric)
    return 1 if name in ORDERED else -1 if name in ERRORS else 0


def sign(metric: str) -> int:
    """Return the factor by which to multiply a metric so that larger is better: -1 for `rmse` and `mae`, else 1."""
    return -1 if direction(metric) < 0 else 1
