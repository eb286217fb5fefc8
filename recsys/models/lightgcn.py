"""LightGCN: embeddings that are averaged over the neighbours in the graph of users and items, layer by layer.

He, Deng, Wang, Li, Zhang and Wang, "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
SIGIR 2020; with contrastive noise as in Yu, Xia, Chen, Cui, Hung and Yin, "XSimGCL: Towards Extremely Simple Graph
Contrastive Learning for Recommendation", TKDE 2023.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from scipy import sparse
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.errors import UserError, check_not_negative, check_positive
from recsys.models.base import FitContext, FitReport, ScoresByProducts
from recsys.models.memory import check_memory
from recsys.models.neural import BPR, EmbeddingModule, EmbeddingRecommender, QueryBatch, SampledBatch
from recsys.models.neural.embeddings import UserEmbedding, dot, item_embedding

COPIES_OF_TABLES = 12  # weights, gradients and moments, layers and their gradients, and the propagated tables
BYTES_PER_EDGE = 48  # for the graph and its transpose, an index and a value each, and the matrices they are built from


class Layers(NamedTuple):
    """Embeddings after propagation, users before items, (n_users + n_items, d).

    Attributes:
        mean: mean over the layers.
        contrasted: the layer that contrastive training compares with the mean, or None without noise.
    """

    mean: Tensor
    contrasted: Tensor | None


class GraphBPR(BPR):
    """BPR on propagated embeddings, with a penalty on the embeddings of the batch before propagation.

    Args:
        n_negatives: see `BPR`.
        negative_power: see `BPR`.
        l2: weight of half the squared norms of the batch's embeddings, averaged over samples as in the authors' code.
        contrast_weight: weight of the contrastive loss (XSimGCL's equation 10), or 0 for LightGCN.
        temperature: temperature of the contrastive loss.
    """

    def __init__(
        self,
        n_negatives: int = 1,
        negative_power: float = 0.0,
        l2: float = 1e-4,
        contrast_weight: float = 0.0,
        temperature: float = 0.2,
    ) -> None:
        super().__init__(n_negatives, negative_power)
        check_not_negative(l2=l2, contrast_weight=contrast_weight)
        check_positive(temperature=temperature)
        self.l2 = l2
        self.contrast_weight = contrast_weight
        self.temperature = temperature

    def loss(self, module: LightGCNModule, batch: SampledBatch) -> Tensor:
        """See `Objective.loss`."""
        layers = module.propagate(module.training_graph(), with_noise=self.contrast_weight > 0)
        users, items = batch.queries.users, batch.items
        loss = self.cost(dot(layers.mean[users], layers.mean[module.n_users + items]), batch)
        own = module.users(users).square().sum() + module.items(items).square().sum()
        loss = loss + self.l2 * own / (2 * len(users))
        if layers.contrasted is not None:
            nodes = (users.unique(), module.n_users + items[:, 0].unique())
            views = ((layers.mean[chosen], layers.contrasted[chosen]) for chosen in nodes)
            loss = loss + self.contrast_weight * sum(self._contrast(*view) for view in views)
        return loss

    def _contrast(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the InfoNCE loss of two views of n nodes, (n, d) each, whose positive pairs are the same node."""
        similarities = F.normalize(one) @ F.normalize(other).T
        return F.cross_entropy(similarities / self.temperature, torch.arange(len(one), device=one.device))


class LightGCNModule(EmbeddingModule):
    """Logit = e_u . e_i with e the mean over layers k = 0, ..., K of the propagated embeddings (equations 4 to 6).

        e_u^(k+1) = sum_i a_ui e_i^(k),   e_i^(k+1) = sum_u a_ui e_u^(k),   a_ui = 1 / sqrt(n_u n_i) for rated items.

    With noise, a random vector of length `noise` with the signs of the embedding is added to it in each layer.

    Args:
        n_users: number of user codes.
        n_items: number of item codes.
        embedding_dim: length of the vectors.
        n_layers: number of propagations, K.
        first_layer: first layer of the mean, in training and in scoring: 0, or 1 as in XSimGCL.
        noise: L2 norm of the noise that is added to each embedding in each layer.
        contrasted_layer: number, from 1, of the layer that is contrasted with the mean over layers.
        edges_per_step: number of training interactions in the graph of a step, or None for all.
        **training: see `NeuralModule`.

    Attributes:
        propagated_users: float32 (n_users + 1, d) vectors of users and, last, of the unknown user, for scoring.
        propagated_items: float32 (n_items, d) vectors of items, for scoring.
    """

    propagated_users: Tensor
    propagated_items: Tensor
    graph: Tensor | None

    def __init__(
        self,
        n_users: int,
        n_items: int,
        embedding_dim: int,
        n_layers: int,
        first_layer: int = 0,
        noise: float = 0.1,
        contrasted_layer: int = 1,
        edges_per_step: int | None = None,
        **training: Any,
    ) -> None:
        super().__init__(n_users, n_items, **training)
        self.users = UserEmbedding(n_users, embedding_dim, std=0.1)
        self.items = item_embedding(n_items, embedding_dim, std=0.1)
        self.n_layers, self.first_layer = n_layers, first_layer
        self.noise, self.contrasted_layer = noise, contrasted_layer
        self.edges_per_step = edges_per_step
        self.register_buffer("propagated_users", torch.zeros(n_users + 1, embedding_dim))
        self.register_buffer("propagated_items", torch.zeros(n_items, embedding_dim))
        self.register_buffer("graph", None, persistent=False)

    def bind(self, train: Dataset) -> None:
        """Store the normalised adjacency matrix of users and items."""
        super().bind(train)
        interactions = train.matrix()
        to_power = [
            sparse.diags(np.power(counts, -0.5, where=counts > 0, out=np.zeros(len(counts))))
            for counts in (train.user_counts.astype(np.float64), train.item_counts.astype(np.float64))
        ]
        normalised = (to_power[0] @ interactions @ to_power[1]).astype(np.float32)
        symmetric = sparse.block_array([[None, normalised], [normalised.T, None]], format="csr")
        indptr, indices, values = map(torch.from_numpy, (symmetric.indptr, symmetric.indices, symmetric.data))
        self.graph = torch.sparse_csr_tensor(indptr, indices, values, symmetric.shape).to(self.device)

    def training_graph(self) -> Tensor | None:
        """Return the graph of a step: all of it, or an unbiased estimate from interactions drawn with replacement."""
        if self.graph is None or self.edges_per_step is None:
            return self.graph
        starts = self.graph.crow_indices()[: self.n_users + 1]  # users are the first rows, with each interaction once
        n_edges = self.graph.values().numel() // 2
        chosen = torch.randint(n_edges, (self.edges_per_step,), device=self.device)
        users = torch.searchsorted(starts, chosen.to(starts.dtype), right=True) - 1
        edges = torch.stack([users, self.graph.col_indices()[chosen].long()])
        weights = self.graph.values()[chosen].repeat(2) * (n_edges / self.edges_per_step)
        return torch.sparse_coo_tensor(torch.hstack([edges, edges.flip(0)]), weights, self.graph.shape).to_sparse_csr()

    def propagate(self, graph: Tensor | None, with_noise: bool = False) -> Layers:
        """Return the embeddings of all users and items after propagation in a graph."""
        layers = [torch.cat([self.users.known, self.items.weight])]
        for _ in range(self.n_layers):
            layer = _SymmetricProduct.apply(graph, layers[-1])
            if with_noise:
                layer = layer + layer.sign() * F.normalize(torch.rand_like(layer)) * self.noise
            layers.append(layer)
        contrasted = layers[self.contrasted_layer] if with_noise else None
        return Layers(torch.stack(layers[self.first_layer :]).mean(dim=0), contrasted)

    @torch.no_grad()
    def refresh(self) -> None:
        """Propagate the embeddings; without a graph, as after loading, use the stored propagated ones."""
        super().refresh()
        if self.graph is None:
            return
        users, items = self.propagate(self.graph).mean.split([self.n_users, self.n_items])
        trained = cast(Tensor, self.users.trained)
        mean = users[trained].mean(dim=0)
        self.propagated_users.copy_(torch.vstack([users.where(trained[:, None], mean), mean]))
        self.propagated_items.copy_(items)

    def user_tables(self) -> set[str]:
        """See `NeuralModule.user_tables`."""
        return super().user_tables() | {"propagated_users"}

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """See `NeuralModule.forward`; uses the embeddings that the last `refresh` propagated."""
        vectors = self.propagated_items
        return dot(self.propagated_users[queries.users], vectors if items is None else vectors[items])

    def user_embeddings(self) -> Tensor:
        """Return e_u, (n_users, d)."""
        return self.propagated_users[:-1]

    def item_embeddings(self) -> Tensor:
        """Return e_i, (n_items, d)."""
        return self.propagated_items


class _SymmetricProduct(Function):
    """The product of a symmetric sparse matrix and a dense one; PyTorch's own backward pass would copy the former."""

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
    """Return the product with a sparse matrix in float32, which sparse products need."""
    with torch.autocast(dense.device.type, enabled=False):
        return matrix @ dense.float()


class LightGCN(EmbeddingRecommender, ScoresByProducts):
    """Graph convolution without feature transformations and nonlinearities; see `LightGCNModule`.

    Args:
        embedding_dim: dimension of the embeddings.
        n_layers: number of propagations.
        l2: see `GraphBPR`.
        contrast_weight: see `GraphBPR`; above 0 the model is XSimGCL.
        temperature: see `GraphBPR`.
        noise: L2 norm of the noise that is added to each embedding in each layer; for contrastive training only.
        contrasted_layer: number, from 1, of the layer whose embeddings are contrasted with the mean over layers.
        edges_per_step: number of training interactions that a step draws for its graph, for data sets whose whole graph
            takes seconds to propagate; None takes all. Scoring always takes all.
        loss: `bpr`.
        n_negatives: number of negatives per positive.
        **training: see `NeuralRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"bpr": GraphBPR}
    module: LightGCNModule

    def __init__(
        self,
        embedding_dim: int = 64,
        n_layers: int = 3,
        l2: float = 1e-4,
        contrast_weight: float = 0.0,
        temperature: float = 0.2,
        noise: float = 0.1,
        contrasted_layer: int = 1,
        edges_per_step: int | None = None,
        loss: str = "bpr",
        n_negatives: int = 1,
        **training: Any,
    ) -> None:
        self.l2 = l2
        self.contrast_weight = contrast_weight
        self.temperature = temperature
        super().__init__(loss, n_negatives=n_negatives, **training)
        check_positive(embedding_dim=embedding_dim, n_layers=n_layers, contrasted_layer=contrasted_layer)
        check_not_negative(noise=noise)
        if edges_per_step is not None:
            check_positive(edges_per_step=edges_per_step)
        self.objective()  # checks its values
        if contrasted_layer > n_layers:
            raise UserError(f"contrasted_layer must be one of the {n_layers} layers (got {contrasted_layer}).")
        self.embedding_dim = embedding_dim
        self.n_layers = n_layers
        self.noise = noise
        self.contrasted_layer = contrasted_layer
        self.edges_per_step = edges_per_step

    def build(self, n_users: int, n_items: int, **training: Any) -> LightGCNModule:
        """See `NeuralRecommender.build`."""
        return LightGCNModule(
            n_users,
            n_items,
            self.embedding_dim,
            self.n_layers,
            first_layer=int(self.contrast_weight > 0),
            noise=self.noise,
            contrasted_layer=self.contrasted_layer,
            edges_per_step=self.edges_per_step,
            **training,
        )

    def user_vectors(self, query: Query) -> np.ndarray:
        """See `ScoresByProducts`."""
        return self.module.propagated_users[self.module.batch(query).users].cpu().numpy()

    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts`."""
        return self.item_embeddings()

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Check that tables and graph fit in memory, and train."""
        n_nodes = train.n_users + train.n_items
        n_tables = COPIES_OF_TABLES + 2 * self.n_layers
        check_memory(
            4 * n_tables * n_nodes * self.embedding_dim + BYTES_PER_EDGE * len(train),
            f"{self.n_layers} layers of {self.embedding_dim} numbers for each of {n_nodes:,} users and items",
            "lower model.embedding_dim or model.n_layers",
        )
        return super()._fit(train, valid, context)
