"""Neural collaborative filtering: GMF, MLP and their fusion, NeuMF.

He, Liao, Zhang, Nie, Hu and Chua, "Neural Collaborative Filtering", WWW 2017. Equations are numbered as in the paper.
Modules return logits; the paper's sigmoid is applied in the log loss. Logits rank items in the same order as their
sigmoids.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Pairs, Query
from recsys.errors import UserError, check_positive, check_shares
from recsys.models.base import load
from recsys.models.neural import EmbeddingModule, NeuralModule, NeuralRecommender, QueryBatch
from recsys.models.neural.callbacks import TrainingFingerprint
from recsys.models.neural.embeddings import UserEmbedding, dot, item_embedding, rows_of
from recsys.models.neural.fold_in import FoldsIn
from recsys.models.neural.validation import batches, summary

ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # weights of the GMF part that validation compares

log = logging.getLogger(__name__)


class GMFModule(EmbeddingModule):
    """Generalised matrix factorisation: phi = p_u * q_i, elementwise, and logit = h . phi + c (equations 8 and 9).

    The bias c is not in the paper, but in the code that the authors released.
    """

    shards_users = True

    def __init__(self, n_users: int, n_items: int, embedding_dim: int, dropout: float = 0.0, **training: Any) -> None:
        super().__init__(n_users, n_items, **training)
        self.users = UserEmbedding(n_users, embedding_dim)
        self.items = item_embedding(n_items, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(embedding_dim, 1)
        _init_output(self.output, fan_in=embedding_dim)

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """See `NeuralModule.forward`."""
        weighted = self.dropout(self.users(queries.users)) * self.output.weight  # h * p_u, (B, d)
        return dot(weighted, rows_of(self.items, items)) + self.output.bias

    def user_embeddings(self) -> Tensor:
        """Return the user embeddings p_u, (n_users, d)."""
        return self.users.known

    def item_embeddings(self) -> Tensor:
        """Return h * q_i, (n_items, d); the inner product of such a vector with p_u is the logit minus the bias c."""
        return self.items.weight * self.output.weight


class MLPModule(EmbeddingModule):
    """A multi-layer perceptron with ReLU on the concatenated embeddings p_u and q_i (equation 10)."""

    shards_users = True

    def __init__(
        self, n_users: int, n_items: int, hidden_dims: Sequence[int], dropout: float = 0.0, **training: Any
    ) -> None:
        super().__init__(n_users, n_items, **training)
        self.users = UserEmbedding(n_users, hidden_dims[0] // 2)
        self.items = item_embedding(n_items, hidden_dims[0] // 2)
        self.first = _hidden_layer(hidden_dims[0], hidden_dims[1])
        self.others = nn.ModuleList(_hidden_layer(m, n) for m, n in pairwise(hidden_dims[1:]))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dims[-1], 1)
        _init_output(self.output, fan_in=hidden_dims[-1])

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """See `NeuralModule.forward`.

        The first layer is linear in [p_u; q_i], so its product with p_u is computed once per user for all items.
        """
        user_weight, item_weight = self.first.weight.chunk(2, dim=1)
        user_half = F.linear(self.users(queries.users), user_weight, self.first.bias)  # (B, h)
        item_half = F.linear(rows_of(self.items, items), item_weight)  # (B, C, h) or (n_items, h)
        z = F.relu(user_half.unsqueeze(1) + item_half)  # (B, C, h)
        for layer in self.others:
            z = F.relu(layer(self.dropout(z)))
        return self.output(self.dropout(z)).squeeze(-1)

    def user_embeddings(self) -> Tensor:
        """Return the user embeddings p_u, (n_users, d)."""
        return self.users.known

    def item_embeddings(self) -> Tensor:
        """Return the item embeddings q_i, (n_items, d)."""
        return self.items.weight


class NeuMFModule(EmbeddingModule):
    """GMF and MLP, each with its own embeddings, share one output layer (equation 12).

    The output layer is linear in [phi_GMF; phi_MLP], so its logit is the sum of the logits of the two parts, GMF and
    MLP.
    """

    shards_users = True

    def __init__(
        self,
        n_users: int,
        n_items: int,
        embedding_dim: int,
        hidden_dims: Sequence[int],
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(n_users, n_items, **training)
        self.gmf = GMFModule(n_users, n_items, embedding_dim, embedding_dropout)
        self.mlp = MLPModule(n_users, n_items, hidden_dims, dropout)
        for part in (self.gmf, self.mlp):
            _init_output(part.output, fan_in=embedding_dim + hidden_dims[-1])

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """See `NeuralModule.forward`; a logit is the sum of the logits of GMF and MLP."""
        return self.gmf(queries, items) + self.mlp(queries, items)

    def user_embeddings(self) -> Tensor:
        """Return the user embeddings of GMF and MLP side by side, (n_users, d)."""
        return torch.cat([self.gmf.user_embeddings(), self.mlp.user_embeddings()], dim=1)

    def item_embeddings(self) -> Tensor:
        """Return the item embeddings of GMF and MLP side by side, (n_items, d)."""
        return torch.cat([self.gmf.item_embeddings(), self.mlp.item_embeddings()], dim=1)

    @torch.no_grad()
    def start_from(self, gmf: NeuralModule, mlp: NeuralModule, alpha: float) -> None:
        """Copy the weights of a trained GMF and a trained MLP into this module.

        The weights of the output layer become [alpha h_GMF; (1 - alpha) h_MLP] (equation 13). The biases of the two
        output layers are multiplied by the same factors, alpha and 1 - alpha.

        Args:
            gmf: trained `GMFModule` with layers of the same sizes as in this module.
            mlp: trained `MLPModule` with layers of the same sizes as in this module.
            alpha: weight of the GMF part, from 0 to 1.

        Raises:
            RuntimeError: the layers of `gmf` or `mlp` have other sizes.
        """
        for part, trained, weight in ((self.gmf, gmf, alpha), (self.mlp, mlp, 1 - alpha)):
            part.load_state_dict(trained.state_dict())
            part.output.weight.mul_(weight)
            part.output.bias.mul_(weight)


class GMF(FoldsIn):
    """Generalised matrix factorisation; see `GMFModule`.

    Args:
        embedding_dim: length of the embeddings, which the paper calls the number of predictive factors.
        dropout: dropout rate of the user embeddings; the paper uses no dropout.
        **training: see `FoldsIn`.

    Raises:
        UserError: a value is not allowed.
    """

    module: GMFModule

    def __init__(self, embedding_dim: int = 8, dropout: float = 0.0, **training: Any) -> None:
        super().__init__(**training)
        check_positive(embedding_dim=embedding_dim)
        check_shares(dropout=dropout)
        self.embedding_dim = embedding_dim
        self.dropout = dropout

    def build(self, n_users: int, n_items: int, **training: Any) -> GMFModule:
        """See `NeuralRecommender.build`."""
        return GMFModule(n_users, n_items, self.embedding_dim, self.dropout, **training)


class MLP(FoldsIn):
    """Multi-layer perceptron on the embeddings of the user and the item; see `MLPModule`.

    Args:
        hidden_dims: widths of the layers (the paper's tower). The first is the width of the concatenated embeddings,
            the last that of the layer before the output.
        dropout: dropout rate of the hidden layers; the paper uses no dropout.
        **training: see `FoldsIn`.

    Raises:
        UserError: a value is not allowed.
    """

    module: MLPModule

    def __init__(self, hidden_dims: Sequence[int] = (64, 32, 16, 8), dropout: float = 0.0, **training: Any) -> None:
        super().__init__(**training)
        check_shares(dropout=dropout)
        self.hidden_dims = list(hidden_dims)
        self.dropout = dropout
        _check_tower(self.hidden_dims)

    def build(self, n_users: int, n_items: int, **training: Any) -> MLPModule:
        """See `NeuralRecommender.build`."""
        return MLPModule(n_users, n_items, self.hidden_dims, self.dropout, **training)


class NeuMF(FoldsIn):
    """Neural matrix factorisation, which the command line calls `model=ncf`; see `NeuMFModule`.

    Args:
        embedding_dim: length of the embeddings of the GMF part, which the paper calls the number of predictive factors.
        hidden_dims: widths of the layers of the MLP part; see `MLP`.
        embedding_dropout: dropout rate of the user embeddings of the GMF part.
        dropout: dropout rate of the hidden layers of the MLP part.
        pretrained_gmf: directory of a run that trained a `GMF` on the same split. Its weights initialise the GMF part.
            Requires `pretrained_mlp`.
        pretrained_mlp: directory of a run that trained an `MLP` on the same split. Its weights initialise the MLP part.
            Requires `pretrained_gmf`.
        alpha: weight of the pretrained GMF part in the output layer; the paper uses 0.5. With None, the best of
            `ALPHAS` on validation is chosen, or 0.5 if there is no validation set. It has no effect without
            `pretrained_gmf` and `pretrained_mlp`.
        **training: see `FoldsIn`.

    Raises:
        UserError: a value is not allowed, only one of the pretrained runs is given, `hidden_dims` has fewer than two
            widths, or the first width is odd.

    Attributes:
        chosen_alpha: `alpha` or, if that is None, the weight that validation chose. None if the model was not
            initialised from pretrained runs, or if 0.5 was used because there was no validation set.
    """

    module: NeuMFModule
    chosen_alpha: float | None = None

    def __init__(
        self,
        embedding_dim: int = 8,
        hidden_dims: Sequence[int] = (64, 32, 16, 8),
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        pretrained_gmf: str | None = None,
        pretrained_mlp: str | None = None,
        alpha: float | None = None,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        check_positive(embedding_dim=embedding_dim)
        check_shares(embedding_dropout=embedding_dropout, dropout=dropout, alpha=0.5 if alpha is None else alpha)
        self.embedding_dim = embedding_dim
        self.hidden_dims = list(hidden_dims)
        self.embedding_dropout = embedding_dropout
        self.dropout = dropout
        self.pretrained_gmf = pretrained_gmf
        self.pretrained_mlp = pretrained_mlp
        self.alpha = alpha
        _check_tower(self.hidden_dims)
        if (pretrained_gmf is None) != (pretrained_mlp is None):
            raise UserError(
                "NeuMF must start from both trained parts or from neither: give model.pretrained_gmf and "
                "model.pretrained_mlp."
            )

    def build(self, n_users: int, n_items: int, **training: Any) -> NeuMFModule:
        """See `NeuralRecommender.build`."""
        return NeuMFModule(
            n_users, n_items, self.embedding_dim, self.hidden_dims, self.embedding_dropout, self.dropout, **training
        )

    def initialise(self, train: Dataset, valid: Holdout | None) -> None:
        """Start from the pretrained GMF and MLP if both are given, unless training continues from an earlier NeuMF.

        Raises:
            UserError: a pretrained run has no saved model, or its model is of another class, was trained on other data
                or another split, or has layers of other sizes.
        """
        if self.pretrained_gmf is None or self.pretrained_mlp is None or self.earlier is not None:
            return
        gmf, mlp = (_pretrained(run, train) for run in (self.pretrained_gmf, self.pretrained_mlp))
        if self.alpha is not None:
            self.chosen_alpha = self.alpha
        elif valid is not None:
            self.chosen_alpha = self._best_alpha(gmf, mlp, valid)
        try:
            self.module.start_from(gmf, mlp, 0.5 if self.chosen_alpha is None else self.chosen_alpha)
        except RuntimeError as error:
            raise UserError(
                "embedding_dim and hidden_dims of NeuMF must be those of the pretrained runs (got other sizes)."
            ) from error

    def for_refit(self) -> Self:
        """See `NeuralRecommender.for_refit`; the refit uses the alpha that this model chose."""
        model = super().for_refit()
        model.chosen_alpha = self.chosen_alpha
        return model

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; also returns `chosen_alpha`, unless it is None."""
        chosen = {} if self.chosen_alpha is None else {"chosen_alpha": np.array(self.chosen_alpha)}
        return super().arrays() | chosen

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`; also restores `chosen_alpha`."""
        super().restore(arrays)
        if "chosen_alpha" in arrays:
            self.chosen_alpha = float(arrays["chosen_alpha"])

    def _best_alpha(self, gmf: NeuralModule, mlp: NeuralModule, valid: Holdout) -> float:
        """Return the value in `ALPHAS` with which GMF and MLP together have the best monitored metric on validation."""
        monitor = self.objective().monitor
        measured: dict[float, list[tuple[np.ndarray, np.ndarray]]] = {alpha: [] for alpha in ALPHAS}
        for rows in batches(valid, np.arange(valid.n_queries)):
            fused = _Fused(gmf, mlp, self.rating_mean)
            for alpha in ALPHAS:
                fused.alpha = alpha
                measured[alpha].append(monitor.measure(fused, rows, valid))
        if (shard := valid.known.shard) is not None:
            measured = {a: [part for own in shard.of_each(of_own) for part in own] for a, of_own in measured.items()}
        metrics = {alpha: summary(of_alpha, monitor)[monitor.metric] for alpha, of_alpha in measured.items()}
        best = (max if monitor.mode == "max" else min)(metrics, key=metrics.__getitem__)
        log.info("weight of the pretrained GMF: %.1f, with %.4f valid/%s", best, metrics[best], monitor.metric)
        return best


class _Fused:
    """Scores by alpha * GMF + (1 - alpha) * MLP + constant.

    Each module scores only once, and its scores are stored for a caller that repeats the same query with other values
    of `alpha`. `score` and `predict` share the stored scores, so a caller must use only one of the two methods.
    """

    alpha: float

    def __init__(self, gmf: NeuralModule, mlp: NeuralModule, constant: float) -> None:
        self.modules, self.constant = (gmf, mlp), constant
        self.scores: list[np.ndarray] = []

    def score(self, query: Query) -> np.ndarray:
        self.scores = self.scores or [module.score(query) for module in self.modules]
        return self._sum()

    def predict(self, pairs: Pairs) -> np.ndarray:
        self.scores = self.scores or [module.predict(pairs) for module in self.modules]
        return self._sum()

    def _sum(self) -> np.ndarray:
        gmf, mlp = self.scores
        return self.alpha * gmf + (1 - self.alpha) * mlp + self.constant


def _hidden_layer(width_in: int, width_out: int) -> nn.Linear:
    layer = nn.Linear(width_in, width_out)
    nn.init.xavier_uniform_(layer.weight)  # as the authors' release does
    nn.init.zeros_(layer.bias)
    return layer


def _init_output(output: nn.Linear, fan_in: int) -> None:
    """Initialise an output layer as the authors' release does (lecun_uniform).

    Weights are drawn with a variance of 1 / `fan_in`, and the bias is 0.
    """
    limit = (3 / fan_in) ** 0.5
    nn.init.uniform_(output.weight, -limit, limit)
    nn.init.zeros_(output.bias)


def _check_tower(hidden_dims: list[int]) -> None:
    if len(hidden_dims) < 2 or hidden_dims[0] % 2:
        raise UserError(f"hidden_dims must have at least two widths, the first even (got {hidden_dims}).")
    for width in hidden_dims:
        check_positive(hidden_dims=width)


def _pretrained(run: str, train: Dataset) -> NeuralModule:
    """Return the module of a run, with weights that were trained on exactly the interactions in `train`.

    A run holds two sets of weights: those selected by validation, and those of the refit. The refit was trained on the
    validation ratings too, so a training that started from its weights would have validation metrics that are too good.

    Raises:
        UserError: the run has no saved model, its model is not a deep model, or neither set of weights was trained on
            exactly these interactions.
    """
    model = load(Path(run) / "model")
    if not isinstance(model, NeuralRecommender):
        raise UserError(f"NeuMF must start from runs of GMF and MLP (got a run of {type(model).__name__}, {run}).")
    selected = Path(run) / "checkpoints" / "selection" / "best.ckpt"
    if model.trained_on != train.fingerprint and selected.is_file():
        checkpoint = torch.load(selected, weights_only=True)
        model.trained_on = checkpoint[TrainingFingerprint.KEY]
        model.module.load_state_dict(checkpoint["state_dict"])
        model.module.eval().refresh()
    if model.trained_on != train.fingerprint:
        raise UserError(f"{run} must be trained on the same data and split as the NeuMF that starts from it.")
    return model.module
