"""Embedding tables of users and items, with dot products and weighted sums of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.models.neural.processes import summed

_own: ContextVar[range | None] = ContextVar("own", default=None)
VALUES_PER_DRAW = 1 << 20  # numbers drawn at a time for a table with only some rows, a multiple of 16; see `_draw`


@contextmanager
def only_rows_of(own: range | None) -> Iterator[None]:
    """Build only the rows of some users in each `UserTable` that is constructed inside the `with` block.

    Each table also has the row of unknown users. The rows have the same initial values as in a table of all users that
    is built with the same state of the random number generator.

    Args:
        own: consecutive codes of the users, or None for all.
    """
    token = _own.set(own)
    try:
        yield
    finally:
        _own.reset(token)


class UserTable(nn.Embedding):
    """A table with a row per user and a last row for unknown users, (n_users + 1, d), initialised from N(0, 1).

    In a training sharded by user, each process holds the rows of its own users only, (m + 1, d): see `only_rows_of`
    and `hold`. Such a table can load the state of a table of all users, from which it takes its own rows.

    Args:
        n_users: number of user codes.
        embedding_dim: length of the rows, d.
        sparse: whether gradients are sparse; see `recsys.models.neural.optimization.RowwiseAdamW`.

    Attributes:
        own: codes of the m users of this process, or None if the table has the rows of all users.
    """

    weight: nn.Parameter
    own: range | None

    def __init__(self, n_users: int, embedding_dim: int, sparse: bool = False) -> None:
        own = _own.get()
        n_rows = (n_users if own is None else len(own)) + 1
        super().__init__(n_rows, embedding_dim, sparse=sparse, _weight=torch.empty(n_rows, embedding_dim))
        self.n_users, self.own = n_users, own
        self._draw(1.0)

    def forward(self, users: Tensor) -> Tensor:
        """Return the rows (B, d) of users with codes (B,); users of other processes get the row of unknown users."""
        if self.own is None:
            return super().forward(users)
        rows = users - self.own.start
        return super().forward(rows.where((rows >= 0) & (rows < len(self.own)), len(self.own)))

    def hold(self, own: range) -> None:
        """Keep only the rows of users with the given codes, and of unknown users; `weight` becomes a new parameter."""
        if self.own != own:
            self.weight, self.own = nn.Parameter(rows_of_users(self.weight.detach(), own)), own

    def restore(self, rows: Tensor) -> None:
        """Set the rows of all users and the unknown user, (n_users + 1, d); `weight` becomes a new parameter."""
        self.weight, self.own = nn.Parameter(rows), None

    @torch.no_grad()
    def _draw(self, std: float) -> None:
        """Draw the rows from a normal distribution; a row does not depend on which other rows the table holds."""
        if self.own is None or self.weight.is_meta:
            nn.init.normal_(self.weight, std=std)
            return
        d, held = self.embedding_dim, self.weight.view(-1)
        n_values = (self.n_users + 1) * d
        parts = ((self.own.start * d, self.own.stop * d, 0), (n_values - d, n_values, len(self.own) * d))
        # PyTorch draws numbers in groups of 16, and draws the last 16 again if their total is not a multiple of 16.
        # Several calls therefore draw the same numbers as one call if all but the last draw a multiple of 16, and
        # the last draws at least 16.
        starts = [*range(0, n_values - 15, VALUES_PER_DRAW)] or [0]
        for start, stop in pairwise([*starts, n_values]):
            drawn = torch.empty(stop - start).normal_(std=std)
            for first, last, place in parts:
                begin, end = max(start, first), min(stop, last)
                if begin < end:
                    held[place + begin - first : place + end - first] = drawn[begin - start : end - start]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        name = f"{prefix}weight"
        if self.own is not None and name in state_dict and len(state_dict[name]) == self.n_users + 1:
            state_dict = state_dict | {name: rows_of_users(state_dict[name], self.own)}
        super()._load_from_state_dict(state_dict, prefix, *arguments)


class UserEmbedding(UserTable):
    """A `UserTable` in which users without training interactions have the same row as unknown users.

    `refresh` sets these rows to the mean of the rows of the users with training interactions.

    Args:
        n_users: see `UserTable`.
        embedding_dim: see `UserTable`.
        std: standard deviation of the initial values.
        sparse: see `UserTable`.
    """

    trained: Tensor | None

    def __init__(self, n_users: int, embedding_dim: int, std: float = 0.01, sparse: bool = False) -> None:
        super().__init__(n_users, embedding_dim, sparse)
        self._draw(std)
        self.register_buffer("trained", None, persistent=False)

    @property
    def known(self) -> Tensor:
        """Return a view of all rows except the unknown user's, (n_users, d)."""
        return self.weight[:-1]

    def bind(self, trained: Tensor) -> None:
        """Store which users have training interactions, boolean (n_users,)."""
        self.trained = trained if self.own is None else trained[self.own.start : self.own.stop].clone()

    def hold(self, own: range) -> None:
        """See `UserTable.hold`."""
        if self.trained is not None and self.own != own:
            self.trained = self.trained[own.start : own.stop].clone()
        super().hold(own)

    def restore(self, rows: Tensor) -> None:
        """See `UserTable.restore`.

        The rows of unknown users, and of users without training interactions, must be the mean already. The table no
        longer stores which users have training interactions, so `refresh` does nothing afterwards.
        """
        super().restore(rows)
        self.trained = None

    @torch.no_grad()
    def refresh(self) -> None:
        """Set the rows of unknown users, and of users without training interactions, to the mean of all other rows.

        A table that was not bound to training data, as after loading, has these rows already.
        """
        if self.trained is not None:
            mean = self._mean(self.known[self.trained])
            self.weight[-1] = mean
            self.known[~self.trained] = mean

    def _mean(self, rows: Tensor) -> Tensor:
        """Return the mean, over all processes, of the rows (n, d) of users with training interactions."""
        if self.own is None:
            return rows.mean(dim=0)
        sums = summed(torch.cat([rows.sum(dim=0), rows.new_tensor([len(rows)])]).double())
        return (sums[:-1] / sums[-1]).to(rows.dtype)


def user_tables(module: nn.Module) -> dict[str, UserTable]:
    """Return a module's tables of users, by the `state_dict` names of their weights."""
    return {f"{name}.weight": part for name, part in module.named_modules() if isinstance(part, UserTable)}


def rows_of_users(rows: Tensor, own: range) -> Tensor:
    """From the rows of all users, (n_users + 1, ...), select those of m users and of the unknown user, (m + 1, ...)."""
    return torch.cat([rows[own.start : own.stop], rows[-1:]])


def item_embedding(n_items: int, embedding_dim: int, std: float = 0.01, sparse: bool = False) -> nn.Embedding:
    """Return a table with one row per item, (n_items, d), drawn from a normal distribution with mean 0."""
    table = nn.Embedding(n_items, embedding_dim, sparse=sparse)
    nn.init.normal_(table.weight, std=std)
    return table


def rows_of(table: nn.Embedding, items: Tensor | None) -> Tensor:
    """Return the rows (B, C, d) of items (B, C) or, if `items` is None, the whole table (n_items, d)."""
    return table.weight if items is None else table(items)


def dot(users: Tensor, items: Tensor) -> Tensor:
    """Return the dot products of user vectors and item vectors.

    Args:
        users: (B, d) user vectors.
        items: (B, C, d) vectors of the items to score for each user, or (n, d) vectors that are scored for all users.

    Returns:
        (B, C) or (B, n).
    """
    if items.dim() == 2:
        return users @ items.T
    return torch.linalg.vecdot(items, users.unsqueeze(1))  # for a few items each, bmm takes 3 times as long


def pooled(vectors: Tensor, chosen: Tensor, lengths: Tensor, weights: Tensor) -> Tensor:
    """Return B weighted sums of vectors.

    Args:
        vectors: (n, d) a vector in each row.
        chosen: int64 (P,) rows of `vectors` to sum: those of the first sum, then those of the second, and so on.
        lengths: int64 (B,) number of rows in each sum.
        weights: float32 (P,) weights of the chosen rows.

    Returns:
        (B, d); zero for a sum of length 0.
    """
    starts = lengths.cumsum(0) - lengths
    weights = weights.to(vectors.dtype)
    return F.embedding_bag(chosen, vectors, starts, per_sample_weights=weights, mode="sum")
