"""The leading singular vectors of interactions, which low-rank models project histories onto."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def leading_singular_vectors(matrix: sparse.csr_matrix, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest singular values of a matrix in ascending order, and their right vectors as columns.

    Args:
        matrix: float32 (n_users, n_items).
        n: number of singular vectors.
        seed: seed of the start vector of the iterative decomposition.

    Returns:
        Singular values, float32 (k,), and vectors, float32 (n_items, k), where k is n, but at most
        min(n_users, n_items) - 1.
    """
    from scipy.sparse.linalg import svds  # imported late, since scoring does not need it

    size = min(matrix.shape)
    k = min(n, size - 1)
    if k == 0:
        return np.empty(0, np.float32), np.empty((matrix.shape[1], 0), np.float32)
    start = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    _, values, vectors = svds(matrix, k=k, v0=start)
    return values, vectors.T
