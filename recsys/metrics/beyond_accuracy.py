"""Metrics of ranked lists beyond accuracy: novelty, popularity, diversity, calibration, coverage and exposure."""

from __future__ import annotations

import numpy as np

_SMOOTHING = 0.01  # alpha of `miscalibration`: keeps the divergence finite if the list lacks a genre


def novelty(top: np.ndarray, item_counts: np.ndarray, n_users: int) -> np.ndarray:
    """Compute the mean self-information of the listed items, in bits.

    The self-information of an item is log2(n_users / number of users who rated it); an item without ratings counts as
    rated by one user. An empty list has the value 0. Zhou et al., "Solving the apparent diversity-accuracy dilemma of
    recommender systems", PNAS 2010.

    Args:
        top: int (B, k) item codes in each list, padded with -1.
        item_counts: int (n_items,) number of training ratings of each item.
        n_users: number of users with training ratings.

    Returns:
        float64 (B,).
    """
    return _mean_over_list(np.log2(n_users / np.maximum(item_counts, 1)), top)


def mean_popularity(top: np.ndarray, item_counts: np.ndarray) -> np.ndarray:
    """Compute the mean number of training ratings of the listed items; see `novelty` for arguments and result.

    Yin et al., "Challenging the Long Tail Recommendation", VLDB 2012.
    """
    return _mean_over_list(item_counts, top)


def jaccard_diversity(top: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Compute intra-list diversity: 1 - Jaccard similarity, averaged over all pairs of items in a list.

    Ziegler et al., "Improving Recommendation Lists Through Topic Diversification", WWW 2005. An item without features
    has similarity 0 to all others; the diversity of a list with fewer than two items is 0.

    Args:
        top: int (B, k) item codes in each list, padded with -1.
        features: float32 (n_items, d) binary features, such as genres.

    Returns:
        float64 (B,).
    """
    listed = features[top]  # (B, k, d)
    shared = listed @ listed.transpose(0, 2, 1)  # (B, k, k)
    sizes = listed.sum(axis=2)
    joint = sizes[:, :, None] + sizes[:, None, :] - shared
    return _mean_over_pairs(1 - shared / np.maximum(joint, 1), top)


def cosine_diversity(top: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """Compute intra-list diversity as `jaccard_diversity` does, with the cosine of embeddings as similarity.

    Args:
        top: int (B, k) item codes in each list, padded with -1.
        embeddings: float32 (n_items, d) vectors of items; a zero vector has similarity 0 to all others.

    Returns:
        float (B,), from 0 to 2.
    """
    listed = embeddings[top]  # (B, k, d)
    listed = listed / np.maximum(np.linalg.norm(listed, axis=2, keepdims=True), 1e-12)
    return _mean_over_pairs(1 - listed @ listed.transpose(0, 2, 1), top)


def miscalibration(top: np.ndarray, user_distributions: np.ndarray, item_distributions: np.ndarray) -> np.ndarray:
    """Compute the divergence of the genres of a list from those of the user's history; 0 is best.

    Steck, "Calibrated Recommendations", RecSys 2018: the Kullback-Leibler divergence, in nats,

        sum over g of p(g|u) log(p(g|u) / q~(g|u)),  q~ = (1 - alpha) q + alpha p,  alpha = 0.01

    where p(g|item) is 1 / n for each of an item's n genres g. Its mean over the list is q; its mean over the history of
    user u is p(g|u), for short p. Items without genres do not count in the means. If the list has no genres, the value
    is log(1 / alpha); if the history has none, it is 0.

    Args:
        top: int (B, k) item codes in each list, padded with -1.
        user_distributions: float (B, g) p(g|u); see `recsys.metrics.genres.history_distributions`.
        item_distributions: float (n_items, g) p(g|item), zeros for an item without genres; see
            `recsys.metrics.genres.distributions`.

    Returns:
        float64 (B,).
    """
    listed = np.where((top >= 0)[:, :, None], item_distributions[top], 0).sum(axis=1, dtype=np.float64)
    mixed = listed / np.maximum(listed.sum(axis=1, keepdims=True), 1)
    return divergence(user_distributions.astype(np.float64), mixed[:, None])[:, 0]


def divergence(target: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """Return the divergence, as `miscalibration` defines it, of n lists for each of B users: float (B, n).

    Args:
        target: float (B, g) p, the distribution of each user's history.
        mixed: float (B, n, g) q, the distribution of each list, without smoothing.
    """
    tiny = np.finfo(mixed.dtype).tiny  # makes logarithms finite where p is 0 and the term does not count
    smoothed = (1 - _SMOOTHING) * mixed + _SMOOTHING * target[:, None]
    cross = np.log(np.maximum(smoothed, tiny)) @ target[:, :, None]
    own = (target * np.log(np.maximum(target, tiny))).sum(axis=1)
    return own[:, None] - cross[:, :, 0]


def coverage(exposure: np.ndarray) -> float:
    """Compute the share of the items that occur in at least one list.

    Ge et al., "Beyond Accuracy: Evaluating Recommender Systems by Coverage and Serendipity", RecSys 2010.

    Args:
        exposure: int (n_items,) for each item that can be listed, the number of lists that contain it, which may be 0.
    """
    return float((exposure > 0).mean())


def gini(exposure: np.ndarray) -> float:
    """Compute the Gini coefficient of exposure: 0 if all items are listed equally often, near 1 if only a few are.

    Fleder and Hosanagar, "Blockbuster Culture's Next Rise or Fall", Management Science 2009. The value is NaN if no
    item is listed.

    Args:
        exposure: int (n_items,) number of lists that contain each item; see `coverage`.
    """
    n = len(exposure)
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(exposure) / (n * exposure.sum()))


def _mean_over_list(values: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Average the items' values (n_items,) over each list (B, k); 0 for an empty list."""
    listed = top >= 0
    return np.where(listed, values[top], 0.0).sum(axis=1) / np.maximum(listed.sum(axis=1), 1)


def _mean_over_pairs(distances: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Average distances (B, k, k) over all pairs of two different positions that hold items; 0 if there is no pair."""
    listed = top >= 0
    pairs = listed[:, :, None] & listed[:, None, :] & ~np.eye(top.shape[1], dtype=bool)
    return np.where(pairs, distances, 0.0).sum(axis=(1, 2)) / np.maximum(pairs.sum(axis=(1, 2)), 1)
