"""Selects the largest weights in each row of a matrix; neighbourhood models and random walks store only these."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recsys.models.memory import check_memory

VALUES_PER_BLOCK = 1 << 24  # number of weights or scores that are computed at a time, whatever the size of the data
BYTES_PER_NEIGHBOUR = 24  # while neighbours are collected: index and value of each, twice


def largest(values: np.ndarray, k: int) -> sparse.csr_matrix:
    """Return the k largest values of each row, leaving out values that are not above zero.

    Args:
        values: float32 (B, n).
        k: largest number of values per row. The choice among equal values is arbitrary.

    Returns:
        CSR float32 (B, n).
    """
    n_rows, n = values.shape
    k = min(k, n)
    columns = np.argpartition(values, n - k, axis=1)[:, n - k :]  # (B, k)
    chosen = np.maximum(np.take_along_axis(values, columns, axis=1), 0)
    sparse_values = sparse.csr_matrix((chosen.ravel(), columns.ravel(), np.arange(n_rows + 1) * k), shape=(n_rows, n))
    sparse_values.eliminate_zeros()
    return sparse_values


def check_neighbours(n: int, k: int, subject: str) -> None:
    """Check that k neighbours for each of n users or items fit in memory.

    Args:
        n: number of users or items.
        k: number of neighbours of each user or item.
        subject: what needs the memory, as the subject of the error message.

    Raises:
        UserError: the neighbours do not fit.
    """
    check_memory(BYTES_PER_NEIGHBOUR * n * min(k, n), subject, "lower model.k")
