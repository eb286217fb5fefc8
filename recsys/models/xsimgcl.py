"""XSimGCL: LightGCN with a contrastive loss between one noisy layer and the mean over all layers.

Yu, Xia, Chen, Cui, Hung and Yin, "XSimGCL: Towards Extremely Simple Graph Contrastive Learning for Recommendation",
TKDE 2023.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor

from recsys.errors import UserError, check_not_negative, check_positive
from recsys.models.lightgcn import GraphBPR, LightGCN, LightGCNModule
from recsys.models.neural import SampledBatch
from recsys.models.neural.interaction_graph import symmetric_product


class ContrastiveGraphBPR(GraphBPR):
    """The loss of LightGCN plus InfoNCE between two views of the users and items of a batch (the paper's equation 10).

    Args:
        contrast_weight: weight of the contrastive loss (the paper's lambda).
        temperature: temperature of the contrastive loss (the paper's tau).
        **loss: see `GraphBPR`.
    """

    def __init__(self, contrast_weight: float = 0.2, temperature: float = 0.2, **loss: Any) -> None:
        super().__init__(**loss)
        check_positive(contrast_weight=contrast_weight, temperature=temperature)
        self.contrast_weight = contrast_weight
        self.temperature = temperature

    def loss(self, module: XSimGCLModule, batch: SampledBatch) -> Tensor:  # type: ignore[override]
        """See `Objective.loss`; contrasts the mean over the layers with one layer, both from the same propagation."""
        layers = module.layers(module.training_graph(), module.noise)
        mean, contrasted = torch.stack(layers).mean(dim=0), layers[module.contrasted_layer - 1]
        loss = self.ranking_loss(module, mean, batch)
        nodes = (batch.queries.users.unique(), module.n_users + batch.items[:, 0].unique())
        return loss + self.contrast_weight * sum(self._contrast(mean[own], contrasted[own]) for own in nodes)

    def _contrast(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the InfoNCE loss between two views, (n, d) each, of n nodes.

        The two views of the same node are a positive pair.
        """
        similarities = F.normalize(one) @ F.normalize(other).T
        return F.cross_entropy(similarities / self.temperature, torch.arange(len(one), device=one.device))


class XSimGCLModule(LightGCNModule):
    """LightGCN, except that the mean over layers leaves out layer 0, and that noise is added in each layer in training.

        e^(k+1) = A e^(k) + Delta,   Delta = noise * sign(A e^(k)) * u / |u|,   u ~ U(0, 1)^d

    A is the normalised adjacency matrix, and u is drawn separately for each embedding.

    Args:
        n_users: number of user codes.
        n_items: number of item codes.
        embedding_dim: length of the embeddings.
        n_layers: number of propagation steps, K.
        noise: L2 norm of the noise Delta (the paper's epsilon).
        contrasted_layer: number of the layer, counted from 1, that is contrasted with the mean over all layers (the
            paper's l*).
        **training: see `PropagatingModule`.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        embedding_dim: int,
        n_layers: int,
        noise: float = 0.1,
        contrasted_layer: int = 1,
        **training: Any,
    ) -> None:
        super().__init__(n_users, n_items, embedding_dim, n_layers, **training)
        self.noise, self.contrasted_layer = noise, contrasted_layer

    def layers(self, graph: Tensor, noise: float = 0.0) -> list[Tensor]:
        """Return the embeddings in the layers 1 to K, each (n_users + n_items, d) with users before items.

        Args:
            graph: the normalised adjacency matrix A.
            noise: L2 norm of the noise that is added to each embedding; 0 adds none.
        """
        layers, layer = [], self.initial
        for _ in range(self.n_layers):
            layer = symmetric_product(graph, layer)
            if noise:
                layer = layer + layer.sign() * F.normalize(torch.rand_like(layer)) * noise
            layers.append(layer)
        return layers


class XSimGCL(LightGCN):
    """LightGCN with noise in each layer and a contrastive loss; see `XSimGCLModule` and `ContrastiveGraphBPR`.

    Args:
        contrast_weight: see `ContrastiveGraphBPR`. The default suits sparse data; dense data need a smaller weight.
        temperature: see `ContrastiveGraphBPR`.
        noise: L2 norm of the noise that is added to each embedding in each layer during training.
        contrasted_layer: number of the layer, counted from 1, that is contrasted with the mean over all layers.
        **model: see `LightGCN`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"bpr": ContrastiveGraphBPR}
    module: XSimGCLModule

    def __init__(
        self,
        contrast_weight: float = 0.2,
        temperature: float = 0.2,
        noise: float = 0.1,
        contrasted_layer: int = 1,
        **model: Any,
    ) -> None:
        self.contrast_weight = contrast_weight
        self.temperature = temperature
        super().__init__(**model)
        check_not_negative(noise=noise)
        check_positive(contrasted_layer=contrasted_layer)
        if contrasted_layer > self.n_layers:
            raise UserError(f"contrasted_layer must be one of the {self.n_layers} layers (got {contrasted_layer}).")
        self.noise = noise
        self.contrasted_layer = contrasted_layer

    def build(self, n_users: int, n_items: int, **training: Any) -> XSimGCLModule:
        """See `NeuralRecommender.build`."""
        return XSimGCLModule(
            n_users,
            n_items,
            self.embedding_dim,
            self.n_layers,
            self.noise,
            self.contrasted_layer,
            edges_per_step=self.edges_per_step,
            **training,
        )
