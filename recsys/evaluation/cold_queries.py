"""Cold queries: without a history, or with a held-out item that no model was trained on.

After a cut in time there are such queries. They are part of all metrics, and the metrics of warm queries alone are
reported beside these, since published figures leave cold ones out. Where some users have a history and others have
none, the metrics of both are reported too, since a site serves both, and models differ most in how.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.data.dataset import Holdout
from recsys.metrics.accuracy import ACCURACY

WARM, NO_HISTORY, UNTRAINED_ITEM, BOTH = "warm", "no history", "item without training ratings", "both"


def kinds(holdout: Holdout) -> pd.Categorical[str]:
    """Return which kind of query each one of a holdout with single held-out ratings is (n_queries,)."""
    no_history = holdout.history_lengths == 0
    untrained = holdout.known.item_counts[holdout.ratings.items] == 0
    return pd.Categorical.from_codes(no_history + 2 * untrained, pd.Index([WARM, NO_HISTORY, UNTRAINED_ITEM, BOTH]))


def warm_only(per_query: pd.DataFrame, holdout: Holdout) -> pd.DataFrame:
    """Return the accuracy of warm queries under names such as `ndcg@10/warm`; NaN for cold ones."""
    return _accuracy(per_query, np.asarray(kinds(holdout) == WARM), "warm")


def by_history(per_query: pd.DataFrame, holdout: Holdout) -> pd.DataFrame:
    """Return the accuracy of queries with a history and of those without one, under names with such a suffix.

    The names are `ndcg@10/with_history` and `ndcg@10/without_history`; there are none unless both kinds occur.
    """
    known = holdout.history_lengths > 0
    if known.all() or not known.any():
        return per_query.iloc[:, :0]
    parts = [_accuracy(per_query, known, "with_history"), _accuracy(per_query, ~known, "without_history")]
    return pd.concat(parts, axis=1)


def sentence(holdout: Holdout) -> str:
    """Return how many queries are cold, in words."""
    counts = pd.Series(kinds(holdout)).value_counts()
    return (
        f"Of {holdout.n_queries:,} queries {counts[NO_HISTORY] + counts[BOTH]:,} have no history and "
        f"{counts[UNTRAINED_ITEM] + counts[BOTH]:,} an item without training ratings; metrics named /warm are those of "
        f"the other {counts[WARM]:,}."
    )


def _accuracy(per_query: pd.DataFrame, chosen: np.ndarray, suffix: str) -> pd.DataFrame:
    """Return the accuracy of chosen queries, NaN for others, under names with a suffix."""
    names = [name for name in per_query if str(name).partition("@")[0] in ACCURACY]
    return per_query.loc[chosen, names].reindex(per_query.index).add_suffix(f"/{suffix}")
