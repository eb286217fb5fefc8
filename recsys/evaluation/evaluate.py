"""Evaluation of a fitted model on a holdout: per user, over all users, and on slices of users and items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recsys.data.dataset import Holdout
from recsys.data.query import Pairs
from recsys.errors import UserError, one_of
from recsys.evaluation.protocols import FULL_RANKING, AnyProtocol, single_protocols
from recsys.evaluation.ranking_task import BEYOND_ACCURACY, LIST_LENGTH, RankingTask
from recsys.evaluation.rating_task import calibration, measure_ratings
from recsys.evaluation.reranking import Reranker
from recsys.evaluation.slices import slice_averages
from recsys.metrics.accuracy import ACCURACY, KS
from recsys.models.base import Recommender

OF_RATINGS = {"rmse", "mae", "precision", "recall", "f1"}  # names of the metrics of predicted ratings


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The metrics of a model on a holdout.

    Attributes:
        per_user: a row for each user with held-out ratings: `user_id` and a column for each metric in `per_query`,
            averaged over the user's queries.
        summary: the value of every metric over all queries. Metrics of lists are means over queries, except coverage
            and the Gini coefficient, which are computed from all lists together; metrics of predicted ratings are
            pooled over ratings. A user has a single query or, if the holdout is a `StepHoldout`, a query for each
            held-out rating.
        top: int64 (n_queries, k) item codes of the list for each query, padded with -1; no columns if no items are
            ranked. With several protocols, these are the lists of the first protocol.
        calibration: predicted ratings in bins that are a quarter of a rating unit wide. A row for each bin: its centre
            `stars`, the number `n` of predictions in it, and the mean `predicted` and `actual` ratings, which are equal
            if predictions are calibrated; no rows if no ratings are predicted.
        per_query: a row of metrics for each query of the holdout.
        per_rating: a row of metrics for each held-out rating, in the holdout's order: `recall@k` is 1 if the rated
            item is in the top k, else 0; `dcg@k` is the discounted gain of this item, whose mean equals NDCG if every
            query has one held-out rating; `mse` and `mae` are the squared and absolute errors of predicted ratings.
        holdout: the evaluated holdout. If several processes evaluate together, the evaluation of the first process has
            the queries of all processes here; the evaluation of every other process has only its own queries.
    """

    per_user: pd.DataFrame
    summary: dict[str, float]
    top: np.ndarray
    calibration: pd.DataFrame
    per_query: pd.DataFrame
    per_rating: pd.DataFrame
    holdout: Holdout

    @cached_property
    def slices(self) -> pd.DataFrame:
        """Average the metrics in `per_query` over slices (groups) of users, and in `per_rating` over slices of items.

        See `slice_averages` for the columns.
        """
        return slice_averages(self.holdout, self.per_query, self.per_rating)


def check(
    model: Recommender,
    ks: Sequence[int],
    holdout: Holdout,
    protocol: AnyProtocol = FULL_RANKING,
    reranker: Reranker | None = None,
) -> None:
    """Check that `evaluate` can run with these arguments; the model need not be fitted.

    This can therefore be called before a long training. For the arguments, see `evaluate`.

    Raises:
        UserError: if the protocol ranks items: `ks` is empty, a k is below 1 or above the number of ranked items, all
            users have rated all items, metrics of several protocols have the same name, or `Reranker.check` fails. If
            the protocol is None, so that only predicted ratings are measured: the model predicts no ratings, the data
            have no ratings, or a reranker is given.
    """
    if reranker is not None:
        if protocol is None:
            raise UserError("protocol=ratings ranks no items, so a reranker has no effect: choose protocol=full.")
        reranker.check(model, holdout.known)
    if protocol is None:
        if not model.predicts_ratings:
            raise UserError(
                f"{type(model).__name__} predicts no ratings, and protocol=ratings measures nothing else: "
                "choose protocol=full, or a model such as bias or biased_mf."
            )
        if not _has_ratings(holdout):
            raise UserError(
                f"protocol=ratings must have data with ratings (got {holdout.known.name}): choose protocol=full."
            )
        return
    _check_any(ks)
    protocols = single_protocols(protocol)
    n = min(each.n_ranked(holdout) for each in protocols)
    for k in ks:
        if not 1 <= k <= n:
            possible = ",".join(str(each) for each in ks if 1 <= each <= n) or n
            raise UserError(
                f"ks must be between 1 and {n}, the number of items that are ranked (got {k}): set ks=[{possible}]."
            )
    if not _leaves_a_choice(holdout):
        raise UserError(
            f"A ranking must have items to choose from, but all users of {holdout.known.name} have rated all items: "
            "choose other data, or protocol=ratings."
        )
    if len({each.suffix(holdout) for each in protocols}) < len(protocols):
        raise UserError("Metrics of several protocols would have the same names: choose protocols that differ in n.")


def check_metric_name(name: str) -> None:
    """Check that a metric exists, that is, that an evaluation with suitable list lengths and protocol computes it.

    Args:
        name: name of the metric, such as `ndcg@10/sampled99`.

    Raises:
        UserError: no evaluation computes a metric of this name.
    """
    metric, at, k = name.partition("/")[0].partition("@")
    known = {*ACCURACY, *BEYOND_ACCURACY} if at and k.isdecimal() else OF_RATINGS | {"auc"}
    if metric not in known:
        raise UserError(f"optimized_metric must be a metric such as ndcg@10, auc or rmse (got {name!r}).")


def check_metric(name: str, ks: Sequence[int], protocol: AnyProtocol) -> None:
    """Check that an evaluation with the given list lengths and protocol computes a metric.

    Suffixes such as `/sampled99` are not checked, since they depend on the data.

    Args:
        name: name of the metric, such as `ndcg@10/sampled99`.
        ks: list lengths of the evaluation.
        protocol: protocol of the evaluation.

    Raises:
        UserError: the evaluation does not compute the metric, or `ks` is empty although items are ranked.
    """
    metric, _, suffix = name.partition("/")
    known = OF_RATINGS
    if protocol is not None and suffix != "relevant":
        _check_any(ks)
        known = {f"{metric}@{k}" for metric in ACCURACY for k in ks} | {"auc", "rmse", "mae"}
        known |= {f"{metric}@{min(LIST_LENGTH, max(ks))}" for metric in BEYOND_ACCURACY}
    one_of("optimized_metric", metric, sorted(known))


def _check_any(ks: Sequence[int]) -> None:
    if not len(ks):
        raise UserError("ks must have at least one list length: set ks=[10], for example (got none).")


def _has_ratings(holdout: Holdout) -> bool:
    """Return whether the data have ratings with values, and not only interactions."""
    lowest, highest = holdout.known.scale
    return lowest < highest


def _leaves_a_choice(holdout: Holdout) -> bool:
    """Return whether at least one user has an item left to rank, which is neither rated nor held out."""
    n_rated = holdout.unranked.user_counts + holdout.ratings.user_counts
    n_choices = np.count_nonzero(n_rated[holdout.query_users] < holdout.known.n_items)
    return holdout.known.total(np.array([n_choices])).item() > 0


def evaluate(
    model: Recommender,
    holdout: Holdout,
    protocol: AnyProtocol = FULL_RANKING,
    ks: Sequence[int] = KS,
    batch_bytes: int = 2**25,
    reranker: Reranker | None = None,
    shuffle_seed: int | None = None,
) -> Evaluation:
    """Evaluate a fitted model on a holdout.

    If each of several processes has only the queries of its own users (see `Dataset.shard`), all processes must call
    this together. The first process returns the evaluation of all queries. Each other process returns the evaluation
    of its own queries, but with the summary over all queries.

    Args:
        model: a fitted model.
        holdout: the held-out ratings and the users' histories.
        protocol: one or several protocols, which determine the items that are ranked. With None, no items are ranked,
            and only predicted ratings are measured.
        ks: list lengths of the accuracy metrics. Metrics beyond accuracy are computed at a single length: `LIST_LENGTH`
            or the largest k, whichever is smaller.
        batch_bytes: size of the scores of one batch of queries, in bytes; peak memory use is a few times that.
        reranker: reorders lists before they are measured, or None. AUC is computed from the scores, so a reranker does
            not affect it.
        shuffle_seed: seed with which each history is shuffled before the model scores items, or None to leave histories
            in time order. Predicted ratings are always computed from histories in time order.

    Raises:
        UserError: `check` fails, or a score is not finite.
    """
    check(model, ks, holdout, protocol, reranker)
    shard = holdout.known.shard
    batch_size = max(1, batch_bytes // (4 * holdout.known.n_items))
    rng = None if shuffle_seed is None else _numbers(shuffle_seed, holdout)
    tasks = [RankingTask(model, holdout, each, ks, reranker) for each in single_protocols(protocol)]
    if tasks:
        for rows in _batches(holdout, batch_size, "ranking"):
            query = holdout.query(rows)
            scores = model.score(query if rng is None else query.with_shuffled_histories(rng))
            _check_scores(model, scores, (len(query), holdout.known.n_items))
            for task in tasks:
                task.measure(rows, query, scores)
    measured = [task.measurements() for task in tasks]
    bins = calibration(np.empty(0), np.empty(0))
    if model.predicts_ratings and _has_ratings(holdout):
        predicted = _predict(model, holdout, batch_size)
        if shard is not None:
            predicted = shard.joined(predicted)
        measured.append(measure_ratings(predicted, holdout.joined()))
        bins = calibration(predicted, holdout.joined().ratings.ratings)
    per_query = pd.concat([part.per_query for part in measured], axis=1)
    per_rating = pd.concat([part.per_rating for part in measured], axis=1)
    summary = {name: value for part in measured for name, value in part.summary.items()}
    if shard is not None:
        holdout, summary = holdout.joined(), shard.of_each(summary)[0]
    return Evaluation(_per_user(per_query, holdout), summary, measured[0].top, bins, per_query, per_rating, holdout)


def _numbers(seed: int, holdout: Holdout) -> np.random.Generator:
    """Return a random generator with which several processes shuffle histories exactly as a single process would.

    In each process, the generator is advanced by the number of ratings in the histories of the processes before it.
    """
    rng, shard = np.random.default_rng(seed), holdout.known.shard
    if shard is not None:
        of_each = shard.of_each((shard.own.start, int(holdout.history_lengths.sum())))
        rng.bit_generator.advance(sum(n for start, n in of_each if start < shard.own.start))  # type: ignore[attr-defined]
    return rng


def _predict(model: Recommender, holdout: Holdout, batch_size: int) -> np.ndarray:
    """Predict each held-out rating, float32 (n,), in the holdout's order.

    Raises:
        UserError: a prediction is not finite.
    """

    def predict(rows: np.ndarray) -> np.ndarray:
        pairs = Pairs.of_history(holdout.query(rows), holdout.relevant(rows))
        return _check_scores(model, model.predict(pairs), (len(pairs),))

    batches = _batches(holdout, batch_size, "predicting")
    return np.concatenate([np.empty(0, np.float32), *(predict(rows) for rows in batches)])


def _per_user(per_query: pd.DataFrame, holdout: Holdout) -> pd.DataFrame:
    """Average the metrics over the queries of each user: a row per user, with `user_id` as the first column."""
    means = per_query
    if holdout.n_queries > len(holdout.users):
        means = per_query.groupby(holdout.query_users).mean().reset_index(drop=True)
    ids = holdout.known.user_frame["user_id"].to_numpy()[holdout.users]
    return pd.concat([pd.DataFrame({"user_id": ids}), means], axis=1)


def _batches(holdout: Holdout, size: int, description: str) -> Iterable[np.ndarray]:
    """Split the positions of a holdout's queries into batches; a loop over these shows a progress bar."""
    rows = np.arange(holdout.n_queries)
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    from recsys.progress_bar import ProgressBar  # imports tqdm, which delays the start

    return ProgressBar(batches, description, leave=False)


def _check_scores(model: Recommender, scores: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Check that scores are a NumPy array of finite numbers of the expected shape, and return them.

    Raises:
        UserError: the scores are not a NumPy array, have another shape, or include NaN or infinity.
    """
    name = type(model).__name__
    if not (isinstance(scores, np.ndarray) and scores.shape == shape):
        got = f"a {type(scores).__name__} of shape {getattr(scores, 'shape', 'unknown')}"
        raise UserError(f"The scores of {name} must be a NumPy array of shape {shape} (got {got}).")
    if not np.isfinite(scores).all():
        diverged = ", probably because training diverged): lower its learning rate or raise its regularisation."
        reason = diverged if hasattr(model, "max_epochs") else ")."
        raise UserError(f"The scores of {name} must be finite (got NaN or infinity{reason}")
    return scores
