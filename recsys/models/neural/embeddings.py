"""Embedding tables of users and items, with dot products and weighted sums of their rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn


class UserEmbedding(nn.Embedding):
    """One row per user and a last one for unknown users, (n_users + 1, d).

    Users without training interactions share the unknown user's row, the mean of the trained ones: see `refresh`.

    Args:
        n_users: number of user codes.
        embedding_dim: length of the rows, d.
        std: standard deviation of the initial values.
        sparse: whether gradients are sparse, see `recsys.models.neural.optimization.RowwiseAdamW`.
    """

    trained: Tensor | None

    def __init__(self, n_users: int, embedding_dim: int, std: float = 0.01, sparse: bool = False) -> None:
        super().__init__(n_users + 1, embedding_dim, sparse=sparse)
        nn.init.normal_(self.weight, std=std)
        self.register_buffer("trained", None, persistent=False)

    @property
    def known(self) -> Tensor:
        """Return the rows of users with a code, (n_users, d)."""
        return self.weight[:-1]

    def bind(self, trained: Tensor) -> None:
        """Store which users have training interactions, boolean (n_users,)."""
        self.trained = trained

    @torch.no_grad()
    def refresh(self) -> None:
        """Set the rows of unknown and untrained users to the mean of the trained users' rows.

        A table that was not bound to training data, as after loading, has these rows already.
        """
        if self.trained is not None:
            mean = self.known[self.trained].mean(dim=0)
            self.weight[-1] = mean
            self.known[~self.trained] = mean


def item_embedding(n_items: int, embedding_dim: int, std: float = 0.01, sparse: bool = False) -> nn.Embedding:
    """Return a table with one row per item, (n_items, d), initialised from a normal distribution."""
    table = nn.Embedding(n_items, embedding_dim, sparse=sparse)
    nn.init.normal_(table.weight, std=std)
    return table


def rows_of(table: nn.Embedding, items: Tensor | None) -> Tensor:
    """Return the rows of some items, (B, C, d) for items (B, C), or the whole table (n_items, d) for None."""
    return table.weight if items is None else table(items)


def dot(users: Tensor, items: Tensor) -> Tensor:
    """Return dot products of users (B, d) with their own items (B, C, d), or with all items (n_items, d)."""
    if items.dim() == 2:
        return users @ items.T
    return torch.linalg.vecdot(items, users.unsqueeze(1))  # for a few items each, bmm takes 3 times as long


def pooled(vectors: Tensor, chosen: Tensor, lengths: Tensor, weights: Tensor) -> Tensor:
    """Return weighted sums of rows of vectors (n, d).

    Args:
        vectors: the rows.
        chosen: int64 (P,) rows to sum, one sum after another.
        lengths: int64 (B,) number of rows in each sum.
        weights: float32 (P,) weights of the rows.

    Returns:
        (B, d); zero for a sum of no rows.
    """
    starts = lengths.cumsum(0) - lengths
    weights = weights.to(vectors.dtype)
    return F.embedding_bag(chosen, vectors, starts, per_sample_weights=weights, mode="sum")
