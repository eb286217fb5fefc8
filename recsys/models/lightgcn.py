"""LightGCN: propagates embeddings along the edges of the graph of users and items, layer by layer.

He, Deng, Wang, Li, Zhang and Wang, "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
SIGIR 2020.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recsys.errors import check_not_negative
from recsys.models.neural import BPR, SampledBatch
from recsys.models.neural.embeddings import dot
from recsys.models.neural.interaction_graph import symmetric_product
from recsys.models.neural.propagation import PropagatingModule, PropagatingRecommender


class GraphBPR(BPR):
    """BPR on propagated embeddings, with a penalty on the embeddings of the batch before propagation.

    Args:
        n_negatives: see `BPR`.
        negative_power: see `BPR`.
        l2: weight of the penalty. The penalty is half the sum of the squared norms of the embeddings, before
            propagation, of all users and items in the batch, divided by the number of positives as in the authors'
            code.
    """

    def __init__(self, n_negatives: int = 1, negative_power: float = 0.0, l2: float = 1e-4) -> None:
        super().__init__(n_negatives, negative_power)
        check_not_negative(l2=l2)
        self.l2 = l2

    def loss(self, module: LightGCNModule, batch: SampledBatch) -> Tensor:
        """See `Objective.loss`; the embeddings are propagated once per batch."""
        return self.ranking_loss(module, module.propagate(module.training_graph()), batch)

    def ranking_loss(self, module: LightGCNModule, embeddings: Tensor, batch: SampledBatch) -> Tensor:
        """Return the loss of a batch, penalty included, given the propagated embeddings (n_users + n_items, d)."""
        users, items = batch.queries.users, batch.items
        loss = self.cost(dot(embeddings[users], embeddings[module.n_users + items]), batch)
        own = module.users(users).square().sum() + module.items(items).square().sum()
        return loss + self.l2 * own / (2 * len(users))


class LightGCNModule(PropagatingModule):
    """Logit = e_u . e_i, where e is the mean of a user's or item's embeddings in the layers 0, ..., K (section 3.1).

        e_u^(k+1) = sum_i a_ui e_i^(k),   e_i^(k+1) = sum_u a_ui e_u^(k)

    Here k is a layer, and a_ui = 1 / sqrt(n_u n_i) if user u rated item i, else 0; n_u and n_i are the numbers of
    ratings of the user and of the item.

    Args:
        n_users: number of user codes.
        n_items: number of item codes.
        embedding_dim: length of the embeddings.
        n_layers: number of propagation steps, K.
        **training: see `PropagatingModule`.
    """

    def __init__(self, n_users: int, n_items: int, embedding_dim: int, n_layers: int, **training: Any) -> None:
        super().__init__(n_users, n_items, embedding_dim, **training)
        self.n_layers = n_layers

    def layers(self, graph: Tensor) -> list[Tensor]:
        """Return the embeddings in the layers 0 to K, each (n_users + n_items, d) with users before items."""
        layers = [self.initial]
        for _ in range(self.n_layers):
            layers.append(symmetric_product(graph, layers[-1]))
        return layers

    def propagate(self, graph: Tensor) -> Tensor:
        """See `PropagatingModule.propagate`; returns the mean over the layers."""
        return torch.stack(self.layers(graph)).mean(dim=0)


class LightGCN(PropagatingRecommender):
    """Graph convolution without feature transformations or nonlinearities; see `LightGCNModule`.

    Args:
        l2: see `GraphBPR`.
        loss: `bpr`, the only choice.
        n_negatives: number of sampled negatives per positive.
        **model: see `PropagatingRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"bpr": GraphBPR}
    module: LightGCNModule

    def __init__(self, l2: float = 1e-4, loss: str = "bpr", n_negatives: int = 1, **model: Any) -> None:
        super().__init__(loss=loss, n_negatives=n_negatives, **model)
        self.l2 = l2
        self.objective()  # checks its values

    def build(self, n_users: int, n_items: int, **training: Any) -> LightGCNModule:
        """See `NeuralRecommender.build`."""
        return LightGCNModule(
            n_users, n_items, self.embedding_dim, self.n_layers, edges_per_step=self.edges_per_step, **training
        )
