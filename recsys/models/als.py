"""ALS: matrix factorisation of implicit feedback by alternating least squares, as the `implicit` library has it.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; solved by conjugate
gradients as in Takacs, Pilaszy and Tikk, "Applications of the Conjugate Gradient Method for Implicit Feedback
Collaborative Filtering", RecSys 2011.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from recsys.data.dataset import Dataset, History, Holdout
from recsys.models.base import FitContext
from recsys.models.factors import Factorisation


class ALS(Factorisation):
    """Score a film by the dot product of its vector with the one that fits the history at hand best.

    Rated pairs are fitted to 1, all others to 0; see `IALS` for a regularisation that knows who rated how much.

    Args:
        embedding_dim: length of the vectors.
        l2: weight of the squared vectors, the paper's lambda, the same for all users and films.
        confidence: weight of a rated pair; one that is not rated has 1.
        n_sweeps: times that all users and then all films are solved for.
        seed: of the initial vectors.
    """

    def __init__(
        self,
        embedding_dim: int = 64,
        l2: float = 0.01,
        confidence: float = 1.0,
        n_sweeps: int = 15,
        seed: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.l2 = l2
        self.confidence = confidence
        self.n_sweeps = n_sweeps
        self.seed = seed

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Alternate on as many threads as torch has.

        Raises:
            UserError: the vectors do not fit in memory.
        """
        self.check_memory(train)
        with threadpool_limits(1, "blas"):  # the library's threads would each start as many again
            model = self._library()
            model.fit(train.matrix(), show_progress=False)
        self.user_factors, self.item_factors = model.user_factors, model.item_factors  # (n_users, d), (n_items, d)
        return self

    def embed(self, history: History) -> np.ndarray:
        """See `Factorisation.embed`."""
        with threadpool_limits(1, "blas"):
            model = self._library()
            model.item_factors = self.item_factors
            return model.recalculate_user(np.arange(len(history)), history.matrix(len(self.item_factors)))

    def _library(self) -> AlternatingLeastSquares:
        return AlternatingLeastSquares(
            factors=self.embedding_dim,
            regularization=self.l2,
            alpha=self.confidence,
            iterations=self.n_sweeps,
            num_threads=torch.get_num_threads(),
            random_state=self.seed,
        )
