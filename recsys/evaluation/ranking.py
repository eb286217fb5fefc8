"""From scores to lists of films, with one policy for ties.

Films with equal scores stand in random order, drawn anew for each user from a hash of (seed, user, film). A model that
gives all films one score thus ranks at chance, whatever the order of the catalogue, and a user's list is the same in
batches of any size, on any number of processes.
"""

from __future__ import annotations

import numpy as np
import torch

from recsys.data.dataset import History


def unseen(scores: np.ndarray, history: History, candidates: np.ndarray | None = None) -> np.ndarray:
    """A copy of the scores with -inf at films that are not ranked.

    Args:
        scores: float32 (B, n_items).
        history: B rows; films that a user has rated are not ranked for that user.
        candidates: int (m,) the only films that are ranked, or None for all.
    """
    if candidates is None:
        ranked = scores.copy()
    else:
        ranked = np.full_like(scores, -np.inf)
        ranked[:, candidates] = scores[:, candidates]
    ranked[history.rows, history.items] = -np.inf
    return ranked


def top_k(scores: np.ndarray, users: np.ndarray, k: int, seed: int = 0) -> np.ndarray:
    """The k best films of each user, best first, equal scores in random order.

    Args:
        scores: float32 (B, n_items); films at -inf are never listed.
        users: int64 (B,) user codes; with `seed` they decide the order of ties.
        k: length of the lists.
        seed: of the order of ties.

    Returns:
        int64 (B, k) film codes; -1 where a user has fewer than k films to list.
    """
    n_listed = min(k, scores.shape[1])
    found = torch.topk(torch.from_numpy(scores), min(k + 1, scores.shape[1]))
    values, items = found.values.numpy(), found.indices.numpy()
    top = np.full((len(scores), k), -1)
    top[:, :n_listed] = np.where(values > -np.inf, items, -1)[:, :n_listed]
    tied = np.flatnonzero(((values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -np.inf)).any(axis=1))
    if len(tied):
        last_listed = values[tied, n_listed - 1]
        top[tied, :n_listed] = _top_k_of_tied(scores[tied], last_listed, users[tied], n_listed, seed)
    return top


def _top_k_of_tied(scores: np.ndarray, last_listed: np.ndarray, users: np.ndarray, k: int, seed: int) -> np.ndarray:
    rows, items = np.nonzero((scores >= last_listed[:, None]) & (scores > -np.inf))
    values = scores[rows, items]
    # Double precision has room for the draw below the last bit of a float32, so it orders equal scores and no others.
    apart = np.full(scores.shape, -np.inf)
    apart[rows, items] = values + _draw(users[rows], items, seed) * np.abs(np.spacing(values)).astype(np.float64) / 2
    found = torch.topk(torch.from_numpy(apart), k)
    return np.where(found.values.numpy() > -np.inf, found.indices.numpy(), -1)


def _draw(users: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
    """float64 (n,) in [0, 1), a number for each (seed, user, film): splitmix64 (Steele et al., OOPSLA 2014)."""
    counter = (users.astype(np.uint64) << np.uint64(32)) + items.astype(np.uint64)
    bits = counter + np.array([seed + 1], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((bits ^ (bits >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
