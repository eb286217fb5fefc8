"""The leading singular vectors of the interaction matrix, onto which low-rank models project histories."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def leading_singular_vectors(matrix: sparse.csr_matrix, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest singular values of a matrix in ascending order, and their right singular vectors.

    Args:
        matrix: float32 (n_users, n_items).
        n: number of singular values.
        seed: seed of the start vector of the iterative decomposition.

    Returns:
        The singular values, float32 (k,), and their right singular vectors as columns, float32 (n_items, k). k is the
        smaller of n and min(n_users, n_items) - 1.
    """
    from scipy.sparse.linalg import svds  # imported late, since scoring does not need it

    size = min(matrix.shape)
    k = min(n, size - 1)
    if k == 0:
        return np.empty(0, np.float32), np.empty((matrix.shape[1], 0), np.float32)
    start = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    _, values, vectors = svds(matrix, k=k, v0=start)
    return values, vectors.T
