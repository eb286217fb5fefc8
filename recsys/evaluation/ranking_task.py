"""Measures how a model ranks the held-out items, and computes metrics of its recommended lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Query
from recsys.evaluation.cold_queries import by_history, warm_only
from recsys.evaluation.measurements import Measurements
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.reranking import Reranker, ranker
from recsys.metrics import beyond_accuracy
from recsys.metrics.accuracy import accuracy_metrics, auc, discount, ranks_in_lists
from recsys.metrics.genres import distributions, genre_indicators, history_distributions
from recsys.models.base import HasEmbeddings, Recommender

LIST_LENGTH = 10  # length of the lists on which metrics beyond accuracy are computed
BEYOND_ACCURACY = (
    "novelty",
    "mean_popularity",
    "diversity",
    "miscalibration",
    "embedding_diversity",
    "coverage",
    "gini",
)

# (lists (B, k) padded with -1, the users' histories) -> float64 (B,)
ListMetric = Callable[[np.ndarray, History], np.ndarray]


class RankingTask:
    """Measures, batch by batch, how a model ranks the items that a protocol selects.

    Args:
        model: a fitted model.
        holdout: the held-out ratings and the users' histories.
        protocol: determines which items are ranked.
        ks: list lengths.
        reranker: reorders the lists before they are measured, or None.
    """

    def __init__(
        self,
        model: Recommender,
        holdout: Holdout,
        protocol: Protocol,
        ks: Sequence[int],
        reranker: Reranker | None,
    ) -> None:
        self.holdout, self.ks = holdout, ks
        self.mask, self.suffix = protocol.mask(holdout), protocol.suffix(holdout)
        self.rank = ranker(reranker, model, holdout.known)
        self.list_length = min(LIST_LENGTH, max(ks))
        self.list_metrics = _list_metrics(model, holdout.known)
        # Results are written to arrays allocated here. Small arrays that outlive a batch would fragment the memory of
        # its scores, so that the next batch could not reuse it.
        n_queries = holdout.n_queries
        self.n_ranked = 0  # held-out ratings that have been ranked
        self.top = np.empty((n_queries, max(ks)), np.int64)
        self.ranks = np.empty(len(holdout.ratings), np.int64)  # in the order of queries, as the held-out ratings are
        self.values: dict[str, np.ndarray] = defaultdict(lambda: np.empty(n_queries))

    def measure(self, rows: np.ndarray, query: Query, scores: np.ndarray) -> None:
        """Measure a batch of queries; batches must be passed in the order of the holdout's queries.

        Args:
            rows: int64 (B,) positions of the queries in the holdout.
            query: the B queries, with histories in time order.
            scores: float32 (B, n_items) scores of all items; the array is not changed.
        """
        relevant = self.holdout.relevant(rows)
        ranked = self.mask(scores, rows)
        top = self.rank(ranked, query.users, query.history, max(self.ks))
        ranks = ranks_in_lists(top, relevant)
        lists = top[:, : self.list_length]
        values = accuracy_metrics(ranks, relevant, self.ks) | {"auc": auc(ranked, relevant)}
        values |= {
            f"{name}@{self.list_length}": metric(lists, query.history) for name, metric in self.list_metrics.items()
        }
        self.top[rows], self.ranks[self.n_ranked : self.n_ranked + len(ranks)] = top, ranks
        self.n_ranked += len(ranks)
        for name, value in values.items():
            self.values[name][rows] = value

    def measurements(self) -> Measurements:
        """Return the metrics of all measured queries.

        If several processes evaluate together, every process must call this exactly once. The first process returns the
        metrics of all processes' queries, and every other process returns the metrics of only its own queries.
        """
        shard = self.holdout.known.shard
        if shard is not None:
            self.holdout, self.top, self.ranks = self.holdout.joined(), shard.joined(self.top), shard.joined(self.ranks)
            names = max(shard.of_each(list(self.values)), key=len)  # none where a process has no queries
            self.values = {name: shard.joined(self.values[name]) for name in names}
        per_query: pd.DataFrame = pd.DataFrame(self.values).add_suffix(self.suffix)
        parts = [per_query, by_history(per_query, self.holdout)]
        if self.holdout.separates_cold:
            parts.append(warm_only(per_query, self.holdout))
        per_query = pd.concat(parts, axis=1)
        summary: dict[str, float] = dict(zip(map(str, per_query), per_query.mean().tolist(), strict=True))
        summary |= _exposure_metrics(self.top[:, : self.list_length], self.holdout, self.suffix)
        return Measurements(per_query, _per_rating(self.ranks, self.ks).add_suffix(self.suffix), summary, self.top)


def _list_metrics(model: Recommender, dataset: Dataset) -> dict[str, ListMetric]:
    """Return functions that compute metrics beyond accuracy of each list in a batch, keyed by the name of the metric.

    Metrics for which the data lack genres, or the model lacks item embeddings, are left out.
    """
    counts, n_users = dataset.item_counts, dataset.n_raters
    metrics: dict[str, ListMetric] = {
        "novelty": lambda top, history: beyond_accuracy.novelty(top, counts, n_users),
        "mean_popularity": lambda top, history: beyond_accuracy.mean_popularity(top, counts),
    }
    genres = genre_indicators(dataset.item_frame)
    if genres.any():
        of_items = distributions(genres)
        metrics["diversity"] = lambda top, history: beyond_accuracy.jaccard_diversity(top, genres)
        metrics["miscalibration"] = lambda top, history: beyond_accuracy.miscalibration(
            top, history_distributions(history, of_items), of_items
        )
    if isinstance(model, HasEmbeddings):
        embeddings = model.item_embeddings()
        metrics["embedding_diversity"] = lambda top, history: beyond_accuracy.cosine_diversity(top, embeddings)
    return metrics


def _exposure_metrics(top: np.ndarray, holdout: Holdout, suffix: str) -> dict[str, float]:
    """Compute coverage and the Gini coefficient from all lists together, over the items that can be ranked."""
    exposure = np.bincount(top[top >= 0], minlength=holdout.known.n_items)
    if holdout.candidates is not None:
        exposure = exposure[holdout.candidates]
    k = top.shape[1]
    return {
        f"coverage@{k}{suffix}": beyond_accuracy.coverage(exposure),
        f"gini@{k}{suffix}": beyond_accuracy.gini(exposure),
    }


def _per_rating(ranks: np.ndarray, ks: Sequence[int]) -> pd.DataFrame:
    """Compute, for each held-out item and each k, whether it is in the top k (`recall@k`) and its gain (`dcg@k`).

    Args:
        ranks: int64 (n,) rank of each held-out item in its list, from 1; 0 if the item is not listed.
        ks: list lengths.
    """
    gains = discount(np.maximum(ranks, 1))
    listed = {k: (ranks > 0) & (ranks <= k) for k in ks}
    recall = {f"recall@{k}": listed[k].astype(np.float64) for k in ks}
    return pd.DataFrame(recall | {f"dcg@{k}": gains * listed[k] for k in ks})
