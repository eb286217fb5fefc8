"""Truncated singular value decomposition (SVD) of sparse matrices; a matrix may have as few as one column."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def truncated_svd(matrix: sparse.csr_matrix, n_components: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest singular values of a matrix, in descending order, and their right singular vectors as rows.

    Args:
        matrix: float32 (n, m), CSR.
        n_components: number of singular values; at most min(n, m) are returned.
        seed: seed of the randomised decomposition.

    Returns:
        The values, float32 (k,), and the vectors, float32 (k, m), where k is the number of values returned.
    """
    if matrix.shape[1] == 1:  # scikit-learn decomposes no single column
        return np.array([np.linalg.norm(matrix.data)]), np.ones((1, 1), np.float32)
    from sklearn.decomposition import TruncatedSVD  # takes half a second

    svd = TruncatedSVD(min(n_components, *matrix.shape), random_state=seed).fit(matrix)
    return svd.singular_values_, svd.components_.astype(np.float32)
