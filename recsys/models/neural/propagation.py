"""Base classes of models that propagate embeddings through the graph of users and items, and score by the results."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from recsys.data.dataset import Dataset
from recsys.data.query import Query
from recsys.errors import check_positive
from recsys.models.base import ScoresByProducts
from recsys.models.memory import check_memory
from recsys.models.neural.batches import QueryBatch
from recsys.models.neural.embeddings import UserEmbedding, dot, item_embedding
from recsys.models.neural.interaction_graph import normalised_adjacency, sampled_adjacency
from recsys.models.neural.module import EmbeddingModule
from recsys.models.neural.recommender import EmbeddingRecommender

# Copies of the tables of users and items in memory: weights, gradients and moments, layers and their gradients, and the
# propagated tables. Each layer adds two.
COPIES_OF_TABLES = 12
BYTES_PER_EDGE = 48  # for the graph and its transpose, an index and a value each, and the matrices they are built from


class PropagatingModule(EmbeddingModule):
    """Logit = e_u . e_i, where e are the embeddings after propagation through the graph; they are stored for scoring.

    Args:
        n_users: number of user codes.
        n_items: number of item codes.
        embedding_dim: length d of the vectors.
        edges_per_step: number of training interactions in the graph that a training step uses; None uses all.
        **training: see `NeuralModule`.

    Attributes:
        propagated_users: float32 (n_users + 1, d) stored e_u of each user; the last row is that of the unknown user.
        propagated_items: float32 (n_items, d) stored e_i of each item.
        graph: matrix of the graph, see `normalised_adjacency`; None until `bind` is called, as after loading.
    """

    propagated_users: Tensor
    propagated_items: Tensor
    graph: Tensor | None

    def __init__(
        self, n_users: int, n_items: int, embedding_dim: int, edges_per_step: int | None = None, **training: Any
    ) -> None:
        super().__init__(n_users, n_items, **training)
        self.users = UserEmbedding(n_users, embedding_dim, std=0.1)
        self.items = item_embedding(n_items, embedding_dim, std=0.1)
        self.edges_per_step = edges_per_step
        self.register_buffer("propagated_users", torch.zeros(n_users + 1, embedding_dim))
        self.register_buffer("propagated_items", torch.zeros(n_items, embedding_dim))
        self.register_buffer("graph", None, persistent=False)

    @abstractmethod
    def propagate(self, graph: Tensor) -> Tensor:
        """Propagate the embeddings `initial` through a graph: return e, float32 (n_users + n_items, d), users first.

        Args:
            graph: matrix of the graph, see `normalised_adjacency`; in training, the result of `training_graph`.
        """

    @property
    def initial(self) -> Tensor:
        """Return the embeddings before propagation, (n_users + n_items, d), users first."""
        return torch.cat([self.users.known, self.items.weight])

    def bind(self, train: Dataset) -> None:
        """See `NeuralModule.bind`; also stores the graph of the training interactions."""
        super().bind(train)
        self.graph = normalised_adjacency(train).to(self.device)

    def training_graph(self) -> Tensor:
        """Return the graph for a training step: the whole graph, or an estimate from `edges_per_step` interactions."""
        graph = cast(Tensor, self.graph)
        return graph if self.edges_per_step is None else sampled_adjacency(graph, self.n_users, self.edges_per_step)

    @torch.no_grad()
    def refresh(self) -> None:
        """Propagate through the whole graph, and store the result; without a graph, the stored result does not change.

        Users without training interactions and the unknown user get the mean vector of all other users.
        """
        super().refresh()
        if self.graph is None:
            return
        users, items = self.propagate(self.graph).split([self.n_users, self.n_items])
        trained = cast(Tensor, self.users.trained)
        mean = users[trained].mean(dim=0)
        self.propagated_users.copy_(torch.vstack([users.where(trained[:, None], mean), mean]))
        self.propagated_items.copy_(items)

    def user_tables(self) -> set[str]:
        """See `NeuralModule.user_tables`."""
        return super().user_tables() | {"propagated_users"}

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """See `NeuralModule.forward`; uses what the last `refresh` stored, whereas losses call `propagate`."""
        vectors = self.propagated_items
        return dot(self.propagated_users[queries.users], vectors if items is None else vectors[items])

    def user_embeddings(self) -> Tensor:
        """Return the stored embeddings of users after propagation, e_u: (n_users, d)."""
        return self.propagated_users[:-1]

    def item_embeddings(self) -> Tensor:
        """Return the stored embeddings of items after propagation, e_i: (n_items, d)."""
        return self.propagated_items


class PropagatingRecommender(EmbeddingRecommender, ScoresByProducts):
    """A deep model that propagates embeddings through the graph of users and items; see `PropagatingModule`.

    Args:
        embedding_dim: dimension of the embeddings.
        n_layers: number of propagation layers.
        edges_per_step: number of training interactions that are drawn for the graph of each training step, for data
            sets where propagation through the whole graph takes seconds; None uses all. Scoring always uses all.
        **training: see `NeuralRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    module: PropagatingModule

    def __init__(
        self, embedding_dim: int = 64, n_layers: int = 3, edges_per_step: int | None = None, **training: Any
    ) -> None:
        super().__init__(**training)
        check_positive(embedding_dim=embedding_dim, n_layers=n_layers)
        if edges_per_step is not None:
            check_positive(edges_per_step=edges_per_step)
        self.embedding_dim = embedding_dim
        self.n_layers = n_layers
        self.edges_per_step = edges_per_step

    def user_vectors(self, query: Query) -> np.ndarray:
        """See `ScoresByProducts`."""
        return self.module.propagated_users[self.module.batch(query).users].cpu().numpy()

    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts`."""
        return self.item_embeddings()

    def _check_memory(self, train: Dataset) -> None:
        """See `NeuralRecommender._check_memory`; counts the embedding tables and the graph."""
        n_nodes = train.n_users + train.n_items
        n_tables = COPIES_OF_TABLES + 2 * self.n_layers
        check_memory(
            4 * n_tables * n_nodes * self.embedding_dim + BYTES_PER_EDGE * len(train),
            f"{self.n_layers} layers of {self.embedding_dim} numbers for each of {n_nodes:,} users and items",
            "lower model.embedding_dim or model.n_layers",
        )
