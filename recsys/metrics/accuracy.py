"""Accuracy metrics, which have one value per query, computed from the ranks of the query's held-out items.

A user has one query, or a query per held-out rating if the holdout is a `StepHoldout`. Every held-out item counts as
relevant, whatever its rating. The metrics follow Herlocker et al., "Evaluating Collaborative Filtering Recommender
Systems", TOIS 2004, and Manning et al., "Introduction to Information Retrieval", 2008, chapter 8, unless a docstring
names another source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recsys.data.dataset import Holdout
from recsys.data.query import History
from recsys.metrics.ranking import mask_seen, top_k

KS = (1, 5, 10, 20, 50)  # default list lengths


def ranking_metrics(
    scores: np.ndarray, holdout: Holdout, ks: Sequence[int] = KS, rows: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """For each query, rank the candidates that the user has not rated, and compute the accuracy of the ranked list.

    Args:
        scores: float32 (B, n_items) scores for each of B queries; not changed.
        holdout: the held-out ratings, the users' histories and the candidates.
        ks: list lengths.
        rows: int64 (B,) positions of the B queries in the holdout; None if they are all queries of the holdout.

    Returns:
        A float64 array (B,) for each metric of `ACCURACY` and each k of `ks`, with keys such as `hr@10`.
    """
    rows = np.arange(holdout.n_queries) if rows is None else rows
    ranked = mask_seen(scores, holdout.seen(rows), holdout.candidates)
    top = top_k(ranked, holdout.query_users[rows], max(ks))
    relevant = holdout.relevant(rows)
    return accuracy_metrics(ranks_in_lists(top, relevant), relevant, ks)


def ranks_in_lists(top: np.ndarray, relevant: History) -> np.ndarray:
    """Return the rank of each relevant item in the list of its query, int64 (n,): 1 is best, 0 means not listed.

    Args:
        top: int (B, k) item codes in the list of each query, padded with -1.
        relevant: relevant items of the B queries, n in total.
    """
    found = top[relevant.rows] == relevant.items[:, None]  # (n, k)
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0)


def accuracy_metrics(ranks: np.ndarray, relevant: History, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Compute all metrics of `ACCURACY` at each k.

    Args:
        ranks: int64 (n,) rank of each relevant item in a list of length `max(ks)`; see `ranks_in_lists`.
        relevant: relevant items of the B queries, n in total and at least one for each query.
        ks: list lengths.

    Returns:
        A float64 array (B,) for each metric and each k, with keys such as `hr@10`.
    """
    hits = np.zeros((len(relevant), max(ks)))
    listed = ranks > 0
    hits[relevant.rows[listed], ranks[listed] - 1] = 1.0
    n_relevant = np.diff(relevant.indptr)
    return {f"{name}@{k}": metric(hits[:, :k], n_relevant) for name, metric in ACCURACY.items() for k in ks}


def hit_rate(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return 1 where at least one relevant item is listed, else 0.

    Args:
        hits: float64 (B, k), 1 at the positions of a list that hold a relevant item, else 0.
        n_relevant: int64 (B,) number of relevant items of each query, listed or not; at least 1.

    Returns:
        float64 (B,). The other functions in `ACCURACY` have the same arguments and the same shape of result.
    """
    return hits.max(axis=1)


def precision(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return the share of the k positions of a list that hold a relevant item; see `hit_rate` for the arguments."""
    return hits.mean(axis=1)


def recall(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return the share of the relevant items that are listed; see `hit_rate` for the arguments."""
    return hits.sum(axis=1) / n_relevant


def f1(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return the harmonic mean of precision and recall; see `hit_rate` for the arguments.

    It equals 2 hits / (k + relevant items), which is 0 without hits.
    """
    return 2 * hits.sum(axis=1) / (hits.shape[1] + n_relevant)


def ndcg(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return the sum of 1 / log2(1 + rank) over hits, divided by the same sum for the best possible list of length k.

    Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", TOIS 2002, with gains of 0 and 1.
    See `hit_rate` for the arguments.
    """
    gains = discount(np.arange(1, hits.shape[1] + 1))
    best = np.cumsum(gains)[np.minimum(n_relevant, len(gains)) - 1]
    return hits @ gains / best


def discount(ranks: np.ndarray) -> np.ndarray:
    """Return the gain of a hit at each rank, 1 / log2(1 + rank); the ranks (n,) count from 1."""
    return 1 / np.log2(1 + ranks)


def reciprocal_rank(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return 1 / rank of the first hit; 0 without hits.

    Voorhees, "The TREC-8 Question Answering Track Report", 1999. See `hit_rate` for the arguments.
    """
    return (hits / np.arange(1, hits.shape[1] + 1)).max(axis=1)


def average_precision(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return the sum of the precision at the rank of each hit, divided by min(relevant items, k); 0 without hits.

    See `hit_rate` for the arguments.
    """
    at_rank = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return (at_rank * hits).sum(axis=1) / np.minimum(n_relevant, hits.shape[1])


ACCURACY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "hr": hit_rate,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "ndcg": ndcg,
    "mrr": reciprocal_rank,
    "map": average_precision,
}


def auc(ranked: np.ndarray, relevant: History) -> np.ndarray:
    """Compute the area under the ROC curve of each query.

    This is the share of pairs of a relevant and a non-relevant ranked item in which the relevant item scores higher.
    Ties count one half. If only relevant items are ranked, the value is 0.5. Hanley and McNeil, "The Meaning and Use
    of the Area under a ROC Curve", Radiology 1982.

    Args:
        ranked: float32 (B, n_items) scores, -inf for items that are not ranked.
        relevant: relevant items of the B queries, all of which must be ranked.

    Returns:
        float64 (B,).
    """
    n_relevant = np.diff(relevant.indptr)
    n_unranked = (ranked == -np.inf).sum(axis=1, dtype=np.int32)
    n_others = ranked.shape[1] - n_unranked - n_relevant
    scores = ranked[relevant.rows, relevant.items]
    bounds = zip(relevant.indptr[:-1], relevant.indptr[1:], strict=True)
    leads = [_lead(row, scores[start:stop]) for row, (start, stop) in zip(ranked, bounds, strict=True)]
    # A pair of relevant items is counted once with each sign, so it cancels out of the sum over a user's items.
    total = np.array(leads) - n_relevant * n_unranked
    return 0.5 + 0.5 * total / np.maximum(n_relevant * n_others, 1)


def _lead(row: np.ndarray, scores: np.ndarray) -> int:
    """Return the sum, over `scores`, of the number of items that score lower minus the number that score higher.

    Args:
        row: (n_items,) the scores of all items.
        scores: (n,) the scores to sum over.
    """
    if len(scores) <= 3:  # two passes over the row per score cost less than sorting it
        return sum(int(np.count_nonzero(row < score)) - int(np.count_nonzero(row > score)) for score in scores)
    ascending = np.sort(row)
    below, not_above = ascending.searchsorted(scores), ascending.searchsorted(scores, side="right")
    return int((below + not_above - len(row)).sum())
