"""Cold queries: queries that have no history, or whose held-out item has no training ratings.

Cold queries occur in splits by time. All metrics include them. Metrics over the remaining queries, which are called
warm, are reported as well, since published figures exclude cold queries. If some queries have a history and others have
none, metrics are also reported for these two groups, since models differ most in how they serve users without a
history.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.counted import counted
from recsys.data.dataset import Holdout
from recsys.metrics.accuracy import ACCURACY

WARM, NO_HISTORY, UNTRAINED_ITEM, BOTH = "warm", "no history", "item without training ratings", "both"


def kinds(holdout: Holdout) -> pd.Categorical[str]:
    """Classify each query as `WARM` or, if it is cold, by the reason: `NO_HISTORY`, `UNTRAINED_ITEM` or `BOTH`.

    Args:
        holdout: a holdout with one held-out rating per query.

    Returns:
        Categories (n_queries,), in the order of the queries.
    """
    no_history = holdout.history_lengths == 0
    untrained = holdout.known.item_counts[holdout.ratings.items] == 0
    return pd.Categorical.from_codes(no_history + 2 * untrained, pd.Index([WARM, NO_HISTORY, UNTRAINED_ITEM, BOTH]))


def warm_only(per_query: pd.DataFrame, holdout: Holdout) -> pd.DataFrame:
    """Return the accuracy metrics of each query in columns such as `ndcg@10/warm`, with NaN for cold queries.

    Args:
        per_query: a row of metrics for each query.
        holdout: a holdout with one held-out rating per query.
    """
    return _accuracy(per_query, np.asarray(kinds(holdout) == WARM), "warm")


def by_history(per_query: pd.DataFrame, holdout: Holdout) -> pd.DataFrame:
    """Return the accuracy metrics of each query, separately for queries with and without a history.

    Columns such as `ndcg@10/with_history` are NaN for queries without a history, and columns such as
    `ndcg@10/without_history` are NaN for queries with a history. If all queries have a history, or none has, the frame
    has no columns.
    """
    known = holdout.history_lengths > 0
    if known.all() or not known.any():
        return per_query.iloc[:, :0]
    parts = [_accuracy(per_query, known, "with_history"), _accuracy(per_query, ~known, "without_history")]
    return pd.concat(parts, axis=1)


def sentence(holdout: Holdout) -> str:
    """Return a sentence to print, which says how many queries are cold, why, and how many are warm."""
    counts = pd.Series(kinds(holdout)).value_counts()
    return (
        f"For {counts[NO_HISTORY] + counts[BOTH]:,} of {counted(holdout.n_queries, 'query', 'queries')} there is no "
        f"history, for {counts[UNTRAINED_ITEM] + counts[BOTH]:,} a held-out item has no training ratings; metrics "
        f"named /warm are means over the other {counts[WARM]:,}."
    )


def _accuracy(per_query: pd.DataFrame, chosen: np.ndarray, suffix: str) -> pd.DataFrame:
    """Return the accuracy metrics of the chosen queries, NaN for all others, with `/suffix` added to column names.

    Args:
        per_query: a row of metrics for each query.
        chosen: bool (n_queries,), True for the chosen queries.
        suffix: suffix of the column names, without the slash.
    """
    names = [name for name in per_query if str(name).partition("@")[0] in ACCURACY]
    return per_query.loc[chosen, names].reindex(per_query.index).add_suffix(f"/{suffix}")
