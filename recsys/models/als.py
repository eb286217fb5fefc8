"""ALS: matrix factorisation of implicit feedback by alternating least squares, computed by the `implicit` library.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; solved by conjugate
gradients as in Takacs, Pilaszy and Tikk, "Applications of the Conjugate Gradient Method for Implicit Feedback
Collaborative Filtering", RecSys 2011.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import check_not_negative, check_positive, check_seed
from recsys.models.factors import Factorisation

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares


class ALS(Factorisation):
    """Factorises the matrix of interactions, in which rated pairs of user and item are 1 and all other pairs 0.

    The vectors p_u of users and q_i of items minimise

        sum over all pairs of c_ui (t_ui - p_u . q_i)^2 + l2 (sum_u |p_u|^2 + sum_i |q_i|^2)

    with target t (1 or 0) and weight c. The penalty l2 is the same for all users and items; in `IALS` it depends on
    their numbers of ratings.

    Args:
        embedding_dim: length of the vectors.
        l2: penalty on the squared vectors, the paper's lambda.
        confidence: the weight c of a rated pair is this number times the pair's weight by plays (see `WeighsPlays`).
            The weight c of an unrated pair is 1.
        n_sweeps: number of sweeps; each solves for the vectors of all users, then for those of all items.
        seed: seed of the initial vectors.
        **history: arguments of `WeighsPlays`. With `half_life`, users' vectors are fitted to histories that are
            weighted by recency; the items' vectors do not depend on `half_life`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self,
        embedding_dim: int = 64,
        l2: float = 0.01,
        confidence: float = 1.0,
        n_sweeps: int = 15,
        seed: int = 0,
        **history: Any,
    ) -> None:
        super().__init__(**history)
        check_positive(embedding_dim=embedding_dim, confidence=confidence, n_sweeps=n_sweeps)
        check_not_negative(l2=l2)
        check_seed(seed=seed)
        self.embedding_dim = embedding_dim
        self.l2 = l2
        self.confidence = confidence
        self.n_sweeps = n_sweeps
        self.seed = seed

    def factorise(self, train: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """See `Factorisation.factorise`; solves approximately, with as many threads as torch uses."""
        with threadpool_limits(1, "blas"):  # else each of the library's threads would start as many BLAS threads
            model = self._library_model()
            model.fit(self.training_matrix(train), show_progress=False)
        return model.user_factors, model.item_factors

    def embed(self, history: History) -> np.ndarray:
        """See `EmbedsHistories`; solves exactly for the users' vectors, given the items' vectors."""
        with threadpool_limits(1, "blas"):
            model = self._library_model()
            model.item_factors = self.item_factors
            return model.recalculate_user(np.arange(len(history)), self.history_matrix(history, len(self.item_factors)))

    def _library_model(self) -> AlternatingLeastSquares:
        import torch  # takes seconds, and only its number of threads is needed
        from implicit.cpu.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self.embedding_dim,
            regularization=self.l2,
            alpha=self.confidence,
            iterations=self.n_sweeps,
            num_threads=torch.get_num_threads(),
            random_state=self.seed,
        )
