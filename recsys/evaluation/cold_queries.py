"""Cold queries: queries without a history, or whose held-out item has no training ratings.

Cold queries occur in splits by time. They count in all metrics. The metrics of the other queries, which are warm, are
reported as well, since published figures exclude cold queries. If only some queries have a history, metrics are also
reported for those with and without one, since models differ most in how they serve users without a history.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.counted import counted
from recsys.data.dataset import Holdout
from recsys.metrics.accuracy import ACCURACY

WARM, NO_HISTORY, UNTRAINED_ITEM, BOTH = "warm", "no history", "item without training ratings", "both"


def kinds(holdout: Holdout) -> pd.Categorical[str]:
    """Return the kind of each query, warm or one of three kinds of cold, (n_queries,).

    Args:
        holdout: a holdout with one held-out rating per query.
    """
    no_history = holdout.history_lengths == 0
    untrained = holdout.known.item_counts[holdout.ratings.items] == 0
    return pd.Categorical.from_codes(no_history + 2 * untrained, pd.Index([WARM, NO_HISTORY, UNTRAINED_ITEM, BOTH]))


def warm_only(per_query: pd.DataFrame, holdout: Holdout) -> pd.DataFrame:
    """Return the accuracy metrics of warm queries, NaN for cold ones, in columns such as `ndcg@10/warm`.

    Args:
        per_query: a row of metrics for each query.
        holdout: a holdout with one held-out rating per query.
    """
    return _accuracy(per_query, np.asarray(kinds(holdout) == WARM), "warm")


def by_history(per_query: pd.DataFrame, holdout: Holdout) -> pd.DataFrame:
    """Return the accuracy metrics of queries with a history and of those without one.

    The columns are `ndcg@10/with_history`, `ndcg@10/without_history` and so on, with NaN for queries of the other kind;
    there are no columns unless both kinds occur.
    """
    known = holdout.history_lengths > 0
    if known.all() or not known.any():
        return per_query.iloc[:, :0]
    parts = [_accuracy(per_query, known, "with_history"), _accuracy(per_query, ~known, "without_history")]
    return pd.concat(parts, axis=1)


def sentence(holdout: Holdout) -> str:
    """Return a sentence for users with the numbers of cold and of warm queries; see `kinds`."""
    counts = pd.Series(kinds(holdout)).value_counts()
    return (
        f"For {counts[NO_HISTORY] + counts[BOTH]:,} of {counted(holdout.n_queries, 'query', 'queries')} there is no "
        f"history, for {counts[UNTRAINED_ITEM] + counts[BOTH]:,} a held-out item has no training ratings; metrics "
        f"named /warm are means over the other {counts[WARM]:,}."
    )


def _accuracy(per_query: pd.DataFrame, chosen: np.ndarray, suffix: str) -> pd.DataFrame:
    """Return the accuracy of chosen queries, NaN for others, in columns with a suffix."""
    names = [name for name in per_query if str(name).partition("@")[0] in ACCURACY]
    return per_query.loc[chosen, names].reindex(per_query.index).add_suffix(f"/{suffix}")
