"""ELSA: a linear autoencoder with low-rank item-to-item weights, for catalogues that are too large for EASE.

Vancura, Alves, Kasalicky and Kordik, "Scalable Linear Shallow Autoencoder for Collaborative Filtering", RecSys 2022.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor

from recsys.data.dataset import Dataset
from recsys.errors import check_positive
from recsys.models.memory import check_memory
from recsys.models.neural import ByUser, HistoryModule, HistoryRecommender, QueryBatch
from recsys.models.neural.embeddings import item_embedding
from recsys.models.recency import HalfLife, check_half_life

COPIES_OF_WEIGHTS = 6  # the vectors, the vectors scaled to unit length, gradients of both, and Adam's two moments
COPIES_OF_SCORES = 3  # with gradients


class NormalisedSquaredError(ByUser):
    """The squared distance between a user's interactions and scores, both scaled to unit length (equation 4).

    The loss is the mean over the users of a batch.
    """

    def loss(self, module: ELSAModule, batch: QueryBatch) -> Tensor:
        """See `Objective.loss`: |x / |x| - s / |s||^2 = 2 - 2 x . s / (|x| |s|), with interactions x and scores s."""
        scores, history = module(batch).float(), batch.history  # sums over many items need float32
        products = history.sums(scores[history.rows, history.items])
        lengths = scores.norm(dim=1) * history.lengths.sqrt()
        return (2 - 2 * products / lengths.clamp(min=torch.finfo(scores.dtype).tiny)).mean()


class ELSAModule(HistoryModule):
    """Scores = x (A A' - I), where x is the history as a binary vector and the rows of A have unit length.

    With a half-life, the elements of x are weighted by recency when users are scored.
    """

    def __init__(self, n_users: int, n_items: int, embedding_dim: int, **training: Any) -> None:
        super().__init__(n_users, n_items, **training)
        self.items = item_embedding(n_items, embedding_dim)
        torch.nn.init.xavier_normal_(self.items.weight)

    def item_embeddings(self) -> Tensor:
        """Return the items' vectors, the rows of A: (n_items, d)."""
        return F.normalize(self.items.weight)

    def encode(self, queries: QueryBatch) -> Tensor:
        """Return the users' vectors x A, (B, d)."""
        return self._encode(queries, self.item_embeddings())

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """Return the scores of all items, (B, n_items); `items` is ignored."""
        history, vectors = queries.history, self.item_embeddings()
        scores, own = self._encode(queries, vectors) @ vectors.T, (history.rows, history.items)
        return scores.index_put(own, -history.weights.to(scores.dtype), accumulate=True)

    def _encode(self, queries: QueryBatch, vectors: Tensor) -> Tensor:
        history = queries.history
        return history.pooled(vectors, history.weights)


class ELSA(HistoryRecommender):
    """Linear autoencoder of histories with low-rank weights; see `ELSAModule`.

    Args:
        embedding_dim: length of the items' vectors, which limits the rank of A A'.
        loss: `normalised_squared`, the only choice. `batch_size` counts users.
        half_life: see `WeighsHistories`.
        **training: arguments of `HistoryRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"normalised_squared": NormalisedSquaredError}
    module: ELSAModule

    def __init__(
        self,
        embedding_dim: int = 256,
        loss: str = "normalised_squared",
        half_life: HalfLife = None,
        **training: Any,
    ) -> None:
        super().__init__(loss=loss, **training)
        check_positive(embedding_dim=embedding_dim)
        self.embedding_dim = embedding_dim
        self.half_life = check_half_life(half_life)

    def build(self, n_users: int, n_items: int, **training: Any) -> ELSAModule:
        """See `NeuralRecommender.build`."""
        return ELSAModule(n_users, n_items, self.embedding_dim, **training)

    def _check_memory(self, train: Dataset) -> None:
        """See `NeuralRecommender._check_memory`; counts the memory for vectors and scores."""
        check_memory(
            4 * train.n_items * (COPIES_OF_WEIGHTS * self.embedding_dim + COPIES_OF_SCORES * self.batch_size),
            f"{self.embedding_dim} numbers for each of {train.n_items:,} items",
            "lower model.embedding_dim or model.batch_size",
        )
