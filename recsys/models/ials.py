"""iALS: alternating least squares for implicit feedback, with a regularisation that grows with the number of ratings.

Rendle, Krichene, Zhang and Koren, "Revisiting the Performance of iALS on Item Recommendation Benchmarks", RecSys 2022,
after Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. Symbols and equation
numbers are those of Rendle et al.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError, check_finite, check_not_negative, check_positive, check_seed
from recsys.models.base import ExplainsByRemoval
from recsys.models.factors import Factorisation

NUMBERS_PER_BATCH = 1 << 20  # size of the vectors or the linear systems that are solved together


class IALS(Factorisation, ExplainsByRemoval):
    """Factorises interactions: fits rated pairs to 1 and, with the weight alpha_0, all pairs (also rated ones) to 0.

    The weight of fitting a rated pair to 1 is 1 or, with `play_weight`, its weight by plays.

    Args:
        embedding_dim: length of the vectors, the paper's d.
        unobserved_weight: weight of fitting each pair to 0, the paper's alpha_0.
        l2: penalty on the squared vectors, the paper's lambda.
        frequency_power: the paper's nu. The penalty on the vector of a user or item is l2 (n + alpha_0 m)^nu, where n
            is its number of ratings and m the number of ratings that it could have. 0 penalises all vectors equally.
        init_std: root mean square length of the items' initial vectors, the paper's sigma*.
        n_sweeps: number of sweeps; each solves for the vectors of all users, then for those of all items.
        seed: seed of the items' initial vectors.
        **history: arguments of `WeighsPlays`. With `half_life`, users' vectors are fitted to histories that are
            weighted by recency; the items' vectors do not depend on `half_life`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self,
        embedding_dim: int = 64,
        unobserved_weight: float = 0.3,
        l2: float = 0.007,
        frequency_power: float = 1.0,
        init_std: float = 0.1,
        n_sweeps: int = 8,
        seed: int = 0,
        **history: Any,
    ) -> None:
        super().__init__(**history)
        check_positive(embedding_dim=embedding_dim, n_sweeps=n_sweeps, init_std=init_std)
        check_not_negative(unobserved_weight=unobserved_weight, l2=l2)
        check_finite(frequency_power=frequency_power)
        check_seed(seed=seed)
        self.embedding_dim = embedding_dim
        self.unobserved_weight = unobserved_weight
        self.l2 = l2
        self.frequency_power = frequency_power
        self.init_std = init_std
        self.n_sweeps = n_sweeps
        self.seed = seed

    def factorise(self, train: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """See `Factorisation.factorise`; solves for the users' vectors last, as scoring a query does."""
        d = self.embedding_dim
        rated = self.training_matrix(train)  # (n_users, n_items)
        raters = rated.T.tocsr()
        generator = torch.Generator().manual_seed(self.seed)
        items = torch.randn(train.n_items, d, generator=generator) * self.init_std / d**0.5
        for _ in range(self.n_sweeps):
            users = self._solve(rated, *self._columns(items))
            items = self._solve(raters, *self._columns(users))
        users = self._solve(rated, *self._columns(items))
        return users.numpy(), items.numpy()

    def embed(self, history: History) -> np.ndarray:
        """See `EmbedsHistories`; solves for the users' vectors, given the items' vectors."""
        return self._solve(self.history_matrix(history, len(self.item_factors)), *self._item_columns).numpy()

    def removal_losses(self, history: History, positions: np.ndarray, items: np.ndarray) -> np.ndarray:
        """See `ExplainsByRemoval`; a single Cholesky factorisation serves for the removal of any interaction.

        Let A w = b be the system in `_solve` with all interactions, but with the penalty for one interaction fewer.
        Without interaction j, which has weight c and item vector h, the matrix is A - c h h', and the right-hand side
        is b - c h. By the Sherman-Morrison formula, the solution is y + z h'y / (1 - h'z), where A z = c h and
        A y = b - c h.
        """
        factors, common = self._item_columns
        weights = torch.from_numpy(self.history_weights(history))[:, None]
        rated = factors[torch.from_numpy(history.items).long()]  # (L, d)
        weighted = weights * rated
        l2 = self._l2(torch.tensor([len(rated) - 1, len(rated)]), len(self.item_factors))
        system = weighted.T @ rated + common
        one_fewer, all_of_them = torch.linalg.cholesky(system + l2[:, None, None] * torch.eye(len(system)))
        target = weighted.sum(dim=0)[:, None]  # (d, 1)
        h, ch = (of_all[torch.from_numpy(positions)].T for of_all in (rated, weighted))  # (d, m)
        z = torch.cholesky_solve(ch, one_fewer)
        y = torch.cholesky_solve(target, one_fewer) - z
        without = y + z * (h * y).sum(dim=0) / (1 - (h * z).sum(dim=0))
        losses = torch.cholesky_solve(target, all_of_them) - without  # (d, m)
        return (losses.T @ factors[torch.from_numpy(items)].T).numpy()

    @cached_property
    def _item_columns(self) -> tuple[Tensor, Tensor]:
        """Return `_columns` for the items' vectors; cached, since it takes longer than solving for one user."""
        return self._columns(torch.from_numpy(self.item_factors))

    def _columns(self, factors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the arguments of `_solve` that depend only on the vectors H, (m, d), of the columns of the ratings.

        Returns:
            H with a row of zeros appended, (m + 1, d), and alpha_0 H' H, (d, d).
        """
        common = self.unobserved_weight * factors.T @ factors
        return torch.cat([factors, torch.zeros(1, factors.shape[1])]), common

    def _solve(self, rated: sparse.csr_matrix, padded: Tensor, common: Tensor) -> Tensor:
        """Solve for the vectors of B rows, float32 (B, d), given the ratings (B, m) and the result of `_columns`.

        Rows are users and columns are items, or the reverse. The vector w of row u solves

            (H_u' C H_u + alpha_0 H' H + lambda_u I) w = H_u' C 1,

        where H_u contains the vectors of the columns that the row has ratings for. C is a diagonal matrix with the
        values of these ratings in `rated`: 1 (equation 8), or weights by plays and recency.

        Raises:
            UserError: the penalty is so small that the system of a row is singular.
        """
        m, d = rated.shape[1], padded.shape[1]
        counts = torch.from_numpy(np.diff(rated.indptr)).long()
        l2 = self._l2(counts, m)
        solved = torch.empty(len(counts), d)
        for rows, columns, values in _padded_batches(rated, counts, d):
            chosen = padded[columns]  # (b, L, d)
            weighted = values.unsqueeze(2) * chosen
            systems = weighted.mT @ chosen + common
            systems.diagonal(dim1=1, dim2=2).add_(l2[rows, None])
            targets = weighted.sum(dim=1).unsqueeze(2)  # (b, d, 1)
            try:
                solved[rows] = torch.cholesky_solve(targets, torch.linalg.cholesky(systems)).squeeze(2)
            except torch.linalg.LinAlgError as error:
                raise UserError(
                    f"l2 and unobserved_weight must be larger for these data (got {self.l2:g} and "
                    f"{self.unobserved_weight:g})."
                ) from error
        return solved

    def _l2(self, counts: Tensor, n_columns: int) -> Tensor:
        """Return each row's penalty lambda_u, float32 (B,), given its number of ratings and the number of columns."""
        return self.l2 * (counts + self.unobserved_weight * n_columns) ** self.frequency_power


def _padded_batches(rated: sparse.csr_matrix, counts: Tensor, d: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield batches of rows of similar length: the row numbers (b,), the columns (b, L) and the values (b, L).

    L is the length of the longest row of the batch. Shorter rows are padded with column m, whose vector is zero, so
    that the values at padded positions have no effect. `NUMBERS_PER_BATCH` limits the size of a batch.
    """
    indptr, indices = (torch.from_numpy(part).long() for part in (rated.indptr, rated.indices))
    values = torch.from_numpy(rated.data)
    order = counts.argsort(descending=True, stable=True)
    start = 0
    while start < len(order):
        longest = int(counts[order[start]])
        rows = order[start : start + max(1, NUMBERS_PER_BATCH // (d * max(longest, d)))]
        places = torch.arange(longest)
        positions = (indptr[rows, None] + places).clamp(max=len(indices) - 1)
        columns = indices[positions].masked_fill(places >= counts[rows, None], rated.shape[1])
        yield rows, columns, values[positions]
        start += len(rows)
