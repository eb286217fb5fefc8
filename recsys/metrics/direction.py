"""Whether larger or smaller values of a metric are better."""

from __future__ import annotations

import re

ERRORS = ("rmse", "mae")  # smaller is better
ORDERED = (
    *("hr", "precision", "recall", "f1", "ndcg", "mrr", "map", "auc"),
    *("precision/relevant", "recall/relevant", "f1/relevant"),
)  # larger is better


def direction(metric: str) -> int:
    """Return 1 if larger values of a metric are better, -1 if smaller ones are, and 0 otherwise, as for `novelty`.

    Args:
        metric: name with or without list length, protocol and kind of query: `ndcg@10/sampled99`, `hr@10/with_history`.
            Unknown names, and metrics beyond accuracy, have no direction.
    """
    name = re.sub(r"@\d+|/sampled\d+|/(with(out)?_history|shuffled_history|warm)$", "", metric)
    return 1 if name in ORDERED else -1 if name in ERRORS else 0


def sign(metric: str) -> int:
    """Return -1 for an error and 1 for any other metric: times this factor, larger values are better."""
    return -1 if direction(metric) < 0 else 1
