"""Conversion of scores into ranked lists, with one rule for ties.

Items with equal scores are ranked in random order, which a hash of (seed, user, item) determines. A model that gives
all items the same score therefore has the accuracy of random lists, whatever the order of the catalogue, and a user's
list does not depend on the other users in a batch.
"""

from __future__ import annotations

import numpy as np

from recsys.data.query import History

_BLOCK_SIZE = 2**20  # number of scores that are ranked at a time, which limits memory for intermediate results
_LOWEST = np.finfo(np.float32).min


def mask_seen(scores: np.ndarray, history: History, candidates: np.ndarray | None = None) -> np.ndarray:
    """Return a copy of the scores with -inf for the items that are not to be ranked.

    Args:
        scores: float32 (B, n_items).
        history: histories of the B users; the items in a user's history are not ranked for that user.
        candidates: int (m,) codes of the items that may be ranked; None allows all items.

    Returns:
        float32 (B, n_items).
    """
    if candidates is None:
        ranked = scores.copy()
    else:
        ranked = np.full_like(scores, -np.inf)
        ranked[:, candidates] = scores[:, candidates]
    ranked[history.rows, history.items] = -np.inf
    return ranked


def top_k(scores: np.ndarray, users: np.ndarray, k: int, seed: int = 0) -> np.ndarray:
    """Return the k best items of each user, best first, with ties in random order.

    Args:
        scores: float32 (B, n_items); items with the score -inf are never listed.
        users: int64 (B,) user codes, which determine the order of ties together with `seed`.
        k: length of the lists.
        seed: seed of the random order of ties.

    Returns:
        int64 (B, k) item codes, padded with -1 where a user has fewer than k ranked items.
    """
    top = np.full((len(scores), k), -1)
    n_listed = min(k, scores.shape[1])
    block = max(1, _BLOCK_SIZE // scores.shape[1])
    for start in range(0, len(scores), block):
        rows = slice(start, start + block)
        top[rows, :n_listed] = _top_k_of_block(scores[rows], users[rows], n_listed, seed)
    return top


def _top_k_of_block(scores: np.ndarray, users: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the k best items of each row, int64 (B, k), padded with -1.

    Only a few of the largest scores of a row are sorted.

    Args:
        scores: see `top_k`.
        users: see `top_k`.
        k: length of the lists, at most n_items.
        seed: see `top_k`.
    """
    rows, items = np.divmod(np.flatnonzero(scores >= _lower_bound(scores, k)), scores.shape[1])
    values = scores[rows, items]
    # Double precision has room for a random number below the last bit of a float32, so adding it breaks ties only.
    noise = _tie_breakers(users[rows], items, seed) * np.abs(np.spacing(values)).astype(np.float64) / 2
    counts = np.bincount(rows, minlength=len(scores))
    places = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
    shape = len(scores), max(k, counts.max(initial=0))
    negated, candidates = np.full(shape, np.inf), np.full(shape, -1)
    negated[rows, places], candidates[rows, places] = -(values + noise), items
    return np.take_along_axis(candidates, negated.argsort(axis=1)[:, :k], axis=1)


def _lower_bound(scores: np.ndarray, k: int) -> np.ndarray:
    """Return a finite lower bound of the k best finite scores of each row, float32 (B, 1).

    Few other scores reach the bound. It is the k-th largest of the maxima of disjoint groups of items, which is cheaper
    to find than the k-th largest of all scores.
    """
    n_items = scores.shape[1]
    n_groups = max(256, 4 * k, n_items // 64)  # many groups, so that the best items seldom share one
    maxima = scores[:, :n_groups].copy()
    for start in range(n_groups, n_items, n_groups):
        part = scores[:, start : start + n_groups]
        np.maximum(maxima[:, : part.shape[1]], part, out=maxima[:, : part.shape[1]])
    place = maxima.shape[1] - k
    maxima.partition(place, axis=1)
    return np.maximum(maxima[:, place, None], _LOWEST)


def _tie_breakers(users: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
    """Hash each (seed, user, item) to float64 (n,) in [0, 1) with splitmix64 (Steele et al., OOPSLA 2014)."""
    counter = (users.astype(np.uint64) << np.uint64(32)) + items.astype(np.uint64)
    bits = counter + np.array([seed + 1], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((bits ^ (bits >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
