"""Every metric, vectorised.

Accuracy: one value a user, from where the films held out stand in the user's list. Every held-out rating counts as
relevant, whatever its stars. Beyond accuracy: what the lists are made of. Ratings: how far predicted stars are off.

The metrics of a list follow Herlocker et al., "Evaluating Collaborative Filtering Recommender Systems", TOIS 2004, and
Manning et al., "Introduction to Information Retrieval", 2008, chapter 8, unless a docstring names another source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from recsys.data.dataset import History, Holdout
from recsys.evaluation.ranking import top_k, unseen

KS = (1, 5, 10, 20, 50)
RELEVANT_STARS = 4.0
_SMOOTHING = 0.01  # of a list's genres, so that one that is missing costs no infinity
_PAIRS_AT_ONCE = 256  # rows of scores that stay in the processor's cache


def ranking_metrics(
    scores: np.ndarray, users: np.ndarray, holdout: Holdout, ks: Sequence[int] = KS
) -> dict[str, np.ndarray]:
    """Rank all films that the users have not rated, and measure the lists.

    Args:
        scores: float32 (B, n_items); not changed.
        users: int64 (B,) user codes, each with something held out.
        holdout: what to find, what is known, and the films that are ranked.
        ks: list lengths.

    Returns:
        `hr@10`, `ndcg@10` and so on, for each k of `ks`: float64 (B,).
    """
    ranked = unseen(scores, holdout.unranked.history(users), holdout.candidates)
    top = top_k(ranked, users, max(ks))
    relevant = holdout.ratings.history(users)
    return accuracy(ranks(top, relevant), relevant, ks)


def ranks(top: np.ndarray, relevant: History) -> np.ndarray:
    """Where each relevant film stands in its user's list: int64 (n,) from 1, or 0 where it does not."""
    found = top[relevant.rows] == relevant.items[:, None]  # (n, k)
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0)


def accuracy(ranks: np.ndarray, relevant: History, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """All accuracy metrics of lists at each k, by name (`ndcg@10`); float64, a value for each row of `relevant`."""
    hits = np.zeros((len(relevant), max(ks)))
    listed = ranks > 0
    hits[relevant.rows[listed], ranks[listed] - 1] = 1.0
    n_relevant = np.diff(relevant.indptr)
    return {f"{name}@{k}": metric(hits[:, :k], n_relevant) for name, metric in ACCURACY.items() for k in ks}


def hit_rate(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """1 where any relevant film is listed. Like its siblings: hits 0 or 1 (B, k), n_relevant (B,) -> (B,)."""
    return hits.max(axis=1)


def precision(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Share of the k places that hold a relevant film."""
    return hits.mean(axis=1)


def recall(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Share of the relevant films that are listed."""
    return hits.sum(axis=1) / n_relevant


def f1(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall, 0 without hits; equal to 2 hits / (k + relevant films)."""
    return 2 * hits.sum(axis=1) / (hits.shape[1] + n_relevant)


def ndcg(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Sum of 1 / log2(1 + rank) over hits, relative to the best possible list.

    Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", TOIS 2002, with gains of 0 and 1.
    """
    gains = discount(np.arange(1, hits.shape[1] + 1))
    best = np.cumsum(gains)[np.minimum(n_relevant, len(gains)) - 1]
    return hits @ gains / best


def discount(ranks: np.ndarray) -> np.ndarray:
    """What a hit at a rank (from 1) adds to the discounted cumulative gain."""
    return 1 / np.log2(1 + ranks)


def reciprocal_rank(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """1 / rank of the first hit, 0 without one. Voorhees, "The TREC-8 Question Answering Track Report", 1999."""
    return (hits / np.arange(1, hits.shape[1] + 1)).max(axis=1)


def average_precision(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Sum of the precision at each hit's rank over the hits that the best possible list has: min(relevant films, k)."""
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
    """How often a relevant film scores above another, ties counting half; 0.5 where no other film is ranked.

    Hanley and McNeil, "The Meaning and Use of the Area under a ROC Curve", Radiology 1982.

    Args:
        ranked: float32 (B, n_items), -inf at films that are not ranked.
        relevant: B rows of films that are.

    Returns:
        float64 (B,).
    """
    scores = torch.from_numpy(ranked)
    lead = np.empty(len(relevant.items))  # films below less films above, those at -inf being below
    for start in range(0, len(lead), _PAIRS_AT_ONCE):
        pairs = slice(start, start + _PAIRS_AT_ONCE)
        others = scores[relevant.rows[pairs]]
        own = others.gather(1, torch.from_numpy(relevant.items[pairs, None].astype(np.int64)))
        lead[pairs] = (own - others).sign_().sum(dim=1)
    n_relevant = np.diff(relevant.indptr)
    n_unranked = (ranked == -np.inf).sum(axis=1, dtype=np.int32)
    n_others = ranked.shape[1] - n_unranked - n_relevant
    # Of two relevant films one leads the other, so that in the sum over a user they cancel out.
    total = np.bincount(relevant.rows, lead, minlength=len(relevant)) - n_relevant * n_unranked
    return 0.5 + 0.5 * total / np.maximum(n_relevant * n_others, 1)


def novelty(top: np.ndarray, item_counts: np.ndarray, n_users: int) -> np.ndarray:
    """Mean self-information of the films listed, in bits: log2(users / users who rated the film).

    Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010. A film that nobody
    rated counts as rated by one user.

    Args:
        top: int (B, k) lists, filled with -1.
        item_counts: int (n_items,) known ratings of each film.
        n_users: users with known ratings.

    Returns:
        float64 (B,).
    """
    return _mean_of_list(np.log2(n_users / np.maximum(item_counts, 1)), top)


def mean_popularity(top: np.ndarray, item_counts: np.ndarray) -> np.ndarray:
    """Mean number of known ratings of the films listed; shapes as in `novelty`.

    Yin et al., "Challenging the Long Tail Recommendation", VLDB 2012.
    """
    return _mean_of_list(item_counts, top)


def jaccard_diversity(top: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Intra-list diversity: mean of 1 - shared / joint features over all pairs of films in a list.

    Ziegler et al., "Improving Recommendation Lists Through Topic Diversification", WWW 2005. Films without features
    share none; a list of less than two films has diversity 0.

    Args:
        top: int (B, k) lists, filled with -1.
        features: float32 (n_items, d) of 0 and 1, genres say.

    Returns:
        float64 (B,).
    """
    listed = features[top]  # (B, k, d)
    shared = listed @ listed.transpose(0, 2, 1)  # (B, k, k)
    sizes = listed.sum(axis=2)
    joint = sizes[:, :, None] + sizes[:, None, :] - shared
    return _mean_of_pairs(1 - shared / np.maximum(joint, 1), top)


def cosine_diversity(top: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """Intra-list diversity: mean of 1 - cosine over all pairs of films in a list; otherwise as `jaccard_diversity`."""
    listed = embeddings[top]  # (B, k, d)
    listed = listed / np.maximum(np.linalg.norm(listed, axis=2, keepdims=True), 1e-12)
    return _mean_of_pairs(1 - listed @ listed.transpose(0, 2, 1), top)


def miscalibration(top: np.ndarray, tastes: np.ndarray, of_films: np.ndarray) -> np.ndarray:
    """How far the genres of a list are from those of the user's history: a divergence, 0 at best.

    Steck, "Calibrated Recommendations", RecSys 2018: the Kullback-Leibler divergence, in nats,

        sum over g of p(g|u) log(p(g|u) / q~(g|u)),  q~ = (1 - alpha) q + alpha p,  alpha = 0.01

    of p, the mean p(g|film) over the films of the history, from q, that over the list; p(g|film) is 1 / n for each of a
    film's n genres. Films without genres do not count; a list of them alone has log(1 / alpha), a history has 0.

    Args:
        top: int (B, k) lists, filled with -1.
        tastes: float (B, g) p.
        of_films: float (n_items, g) p(g|film), zeros for a film without genres.

    Returns:
        float64 (B,).
    """
    listed = np.where((top >= 0)[:, :, None], of_films[top], 0).sum(axis=1, dtype=np.float64)
    mixed = listed / np.maximum(listed.sum(axis=1, keepdims=True), 1)
    return divergence(tastes.astype(np.float64), mixed[:, None])[:, 0]


def divergence(tastes: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """What `miscalibration` defines, of tastes p (B, g) from several q each, (B, n, g): (B, n)."""
    tiny = np.finfo(mixed.dtype).tiny  # for the logarithms of what p does not count
    smoothed = (1 - _SMOOTHING) * mixed + _SMOOTHING * tastes[:, None]
    cross = np.log(np.maximum(smoothed, tiny)) @ tastes[:, :, None]
    own = (tastes * np.log(np.maximum(tastes, tiny))).sum(axis=1)
    return own[:, None] - cross[:, :, 0]


def coverage(exposure: np.ndarray) -> float:
    """Share of the films that stand in anybody's list.

    Ge et al., "Beyond Accuracy: Evaluating Recommender Systems by Coverage and Serendipity", RecSys 2010.

    Args:
        exposure: int (n,) lists that each film stands in.
    """
    return float((exposure > 0).mean())


def gini(exposure: np.ndarray) -> float:
    """Inequality of the films' exposure: 0 where all stand in as many lists, towards 1 where few films fill them all.

    Fleder and Hosanagar, "Blockbuster Culture's Next Rise or Fall", Management Science 2009.

    Args:
        exposure: int (n,) lists that each film stands in.
    """
    n = len(exposure)
    places = 2 * np.arange(1, n + 1) - n - 1
    return float(places @ np.sort(exposure) / (n * exposure.sum()))


def rating_metrics(predicted: np.ndarray, actual: np.ndarray, groups: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """How far predicted stars are off, pooled over the ratings of each group.

    Root mean squared and mean absolute error in stars; precision, recall and F1 of calling a film relevant, which is to
    say rated `RELEVANT_STARS` or higher. What is undefined, as precision where nothing is called relevant, is 0.

    Args:
        predicted: float (p,) stars.
        actual: float (p,) stars.
        groups: int (p,) from 0 to n - 1, each with a rating.
        n: number of groups.

    Returns:
        `rmse`, `mae`, `precision/relevant`, `recall/relevant`, `f1/relevant`: float64 (n,).
    """

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(groups, values, minlength=n)

    error = predicted.astype(np.float64) - actual
    size = total(np.ones(len(groups)))
    relevant, called = actual >= RELEVANT_STARS, predicted >= RELEVANT_STARS
    n_relevant, n_called, n_right = total(relevant), total(called), total(relevant & called)
    return {
        "rmse": np.sqrt(total(error**2) / size),
        "mae": total(np.abs(error)) / size,
        "precision/relevant": n_right / np.maximum(n_called, 1),
        "recall/relevant": n_right / np.maximum(n_relevant, 1),
        "f1/relevant": 2 * n_right / np.maximum(n_called + n_relevant, 1),
    }


def _mean_of_list(values: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Mean of films' values (n_items,) over each list (B, k); 0 for an empty one."""
    listed = top >= 0
    return np.where(listed, values[top], 0.0).sum(axis=1) / np.maximum(listed.sum(axis=1), 1)


def _mean_of_pairs(distances: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Mean of (B, k, k) over all pairs of different places that are filled."""
    listed = top >= 0
    pairs = listed[:, :, None] & listed[:, None, :] & ~np.eye(top.shape[1], dtype=bool)
    return np.where(pairs, distances, 0.0).sum(axis=(1, 2)) / np.maximum(pairs.sum(axis=(1, 2)), 1)
