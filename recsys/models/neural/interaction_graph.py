"""The graph of users and items whose edges are training interactions, as a sparse matrix, and products with it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from recsys.data.dataset import Dataset


def normalised_adjacency(train: Dataset) -> Tensor:
    """Return the symmetrically normalised adjacency matrix of the graph of users and items, users first.

    Returns:
        sparse CSR float32 (n_users + n_items, n_users + n_items), with 1 / sqrt(n_u n_i) where user u rated item i in
        training. Here n_u is the number of items that the user rated, and n_i the number of users who rated the item.
    """
    to_power = [
        sparse.diags(np.power(counts, -0.5, where=counts > 0, out=np.zeros(len(counts))))
        for counts in (train.user_counts.astype(np.float64), train.item_counts.astype(np.float64))
    ]
    normalised = (to_power[0] @ train.matrix() @ to_power[1]).astype(np.float32)
    symmetric = sparse.block_array([[None, normalised], [normalised.T, None]], format="csr")
    indptr, indices, values = map(torch.from_numpy, (symmetric.indptr, symmetric.indices, symmetric.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(indptr, indices, values, symmetric.shape, check_invariants=True)


def sampled_adjacency(graph: Tensor, n_users: int, n_edges: int) -> Tensor:
    """Return an unbiased estimate of an adjacency matrix, from interactions drawn uniformly with replacement.

    The interactions are drawn with PyTorch's global random number generator.

    Args:
        graph: the adjacency matrix, as `normalised_adjacency` returns it.
        n_users: number of users, which have the first rows of `graph`.
        n_edges: number of interactions to draw.

    Returns:
        sparse CSR float32, of the shape of `graph`.
    """
    starts = graph.crow_indices()[: n_users + 1]  # the rows of users have each interaction once
    n_all = graph.values().numel() // 2
    chosen = torch.randint(n_all, (n_edges,), device=graph.device)
    users = torch.searchsorted(starts, chosen.to(starts.dtype), right=True) - 1
    edges = torch.stack([users, graph.col_indices()[chosen].long()])
    weights = graph.values()[chosen].repeat(2) * (n_all / n_edges)
    both_ways = torch.hstack([edges, edges.flip(0)])
    return torch.sparse_coo_tensor(both_ways, weights, graph.shape, check_invariants=False).to_sparse_csr()


def symmetric_product(matrix: Tensor, dense: Tensor) -> Tensor:
    """Return the product of a symmetric sparse matrix (n, n) and a dense matrix (n, d), float32 (n, d).

    Gradients flow to the dense matrix only. PyTorch's own backward pass would copy the sparse matrix to transpose it.
    """
    return _SymmetricProduct.apply(matrix, dense)


class _SymmetricProduct(Function):
    """See `symmetric_product`."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, dense: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        return _product(matrix, dense)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        (matrix,) = ctx.saved_tensors
        return None, _product(matrix, gradient)


def _product(matrix: Tensor, dense: Tensor) -> Tensor:
    """Multiply a sparse and a dense matrix in float32, even under autocast, because sparse products require it."""
    with torch.autocast(dense.device.type, enabled=False):
        return matrix @ dense.float()
