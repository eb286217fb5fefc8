"""Embedding tables of users and items, with dot products and weighted sums of their rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.models.neural.processes import summed


class UserTable(nn.Embedding):
    """One row per user and a last one for unknown users, (n_users + 1, d).

    In a training sharded by user, each process holds the rows of its own users only, (m + 1, d): see `hold`.

    Args:
        n_users: number of user codes.
        embedding_dim: length of the rows, d.
        sparse: whether gradients are sparse, see `recsys.models.neural.optimization.RowwiseAdamW`.

    Attributes:
        own: codes of the m users of this process, or None if the table has the rows of all users.
    """

    weight: nn.Parameter
    own: range | None = None

    def __init__(self, n_users: int, embedding_dim: int, sparse: bool = False) -> None:
        super().__init__(n_users + 1, embedding_dim, sparse=sparse)

    def forward(self, users: Tensor) -> Tensor:
        """Look up users by their codes; all users of other processes are unknown here."""
        if self.own is None:
            return super().forward(users)
        rows = users - self.own.start
        return super().forward(rows.where((rows >= 0) & (rows < len(self.own)), len(self.own)))

    def hold(self, own: range) -> None:
        """Drop the rows of all users but some consecutive ones."""
        rows = torch.cat([self.weight[own.start : own.stop], self.weight[-1:]])
        self.weight, self.own = nn.Parameter(rows.detach()), own

    def restore(self, rows: Tensor) -> None:
        """Set the rows of all users and the unknown one, (n_users + 1, d)."""
        self.weight, self.own = nn.Parameter(rows), None


class UserEmbedding(UserTable):
    """A table whose users without training interactions share the unknown user's row, the mean of the trained ones.

    Args:
        n_users: number of user codes.
        embedding_dim: length of the rows, d.
        std: standard deviation of the initial values.
        sparse: whether gradients are sparse, see `recsys.models.neural.optimization.RowwiseAdamW`.
    """

    trained: Tensor | None

    def __init__(self, n_users: int, embedding_dim: int, std: float = 0.01, sparse: bool = False) -> None:
        super().__init__(n_users, embedding_dim, sparse)
        nn.init.normal_(self.weight, std=std)
        self.register_buffer("trained", None, persistent=False)

    @property
    def known(self) -> Tensor:
        """Return the rows of users with a code, (n_users, d)."""
        return self.weight[:-1]

    def bind(self, trained: Tensor) -> None:
        """Store which users have training interactions, boolean (n_users,)."""
        self.trained = trained

    def hold(self, own: range) -> None:
        """See `UserTable.hold`."""
        super().hold(own)
        if self.trained is not None:
            self.trained = self.trained[own.start : own.stop].clone()

    @torch.no_grad()
    def refresh(self) -> None:
        """Set the rows of unknown and untrained users to the mean of the trained users' rows.

        A table that was not bound to training data, as after loading, has these rows already.
        """
        if self.trained is not None:
            mean = self._mean(self.known[self.trained])
            self.weight[-1] = mean
            self.known[~self.trained] = mean

    def _mean(self, rows: Tensor) -> Tensor:
        """Return the mean of the trained users' rows (n, d), in all processes together."""
        if self.own is None:
            return rows.mean(dim=0)
        sums = summed(torch.cat([rows.sum(dim=0), rows.new_tensor([len(rows)])]).double())
        return (sums[:-1] / sums[-1]).to(rows.dtype)


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
