"""Two towers: one embeds items by their metadata and ids, the other embeds users by the items that they rated.

Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys 2019. The user tower
averages the rated items, as in Covington, Adams and Sargin, "Deep Neural Networks for YouTube Recommendations", RecSys
2016. Ids are masked at random during training, so that the model learns to embed an item without ratings by its
metadata: Volkovs, Yu and Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from scipy import sparse
from torch import Tensor, nn

from recsys.data.dataset import Dataset, Holdout
from recsys.data.features import features, vocabulary
from recsys.data.query import Query
from recsys.data.text import FIELDS
from recsys.errors import check_positive, check_shares, one_of
from recsys.files import as_arrays, from_arrays
from recsys.models.base import FitContext, FitReport, ScoresByProducts
from recsys.models.graphs import ScoreGraph
from recsys.models.item_content import ItemContent
from recsys.models.memory import COPIES_OF_LOGITS, COPIES_OF_WEIGHTS, check_memory
from recsys.models.neural import HistoryBatch, HistoryModule, HistoryRecommender, QueryBatch
from recsys.models.neural.content import FEATURES_WEIGHT, FeatureEmbedding, ReadsItemContent, masked_rows
from recsys.models.neural.embeddings import UserTable
from recsys.models.neural.graphs import HistoryGraph
from recsys.models.neural.objectives import ByUser, shared_softmax_loss, softmax_loss
from recsys.models.neural.sampling import Interactions, popularity_weights, shared_candidates
from recsys.models.recency import HalfLife, check_half_life

USER_FEATURES = ("age_group", "gender", "occupation")
COPIES_OF_ITEMS = 7  # outputs of the item tower, their inputs and gradients


class ItemTower(NamedTuple):
    """The output of the item tower for C items.

    Attributes:
        vectors: float32 (C, d) vectors v, by which the items are scored.
        history: float32 (C, d) vectors h, which represent the items in histories.
        popularity: float32 (C,) biases b of the items.
    """

    vectors: Tensor
    history: Tensor
    popularity: Tensor


class CatalogueSoftmax(ByUser):
    """Cross-entropy of a user's items over all items that have training ratings.

    Items without ratings are left out, since training would push their scores down.
    """

    def bind(self, train: Interactions) -> None:
        """See `Objective.bind`; stores which items have ratings."""
        self.candidates = train.item_counts.nonzero().squeeze(1)

    def loss(self, module: TwoTowerModule, batch: QueryBatch) -> Tensor:
        """See `Objective.loss`."""
        return softmax_loss(*module.logits_among(batch, self.candidates))


class SharedSampledSoftmax(ByUser):
    """Cross-entropy of a user's items over a set of items that all users of a batch share.

    The set consists of the items that these users rated and of sampled negatives.

    Args:
        n_negatives: number of negatives drawn for a batch.
        negative_power: exponent of popularity: negatives are drawn in proportion to popularity^negative_power. Items
            without ratings are never drawn.
    """

    scores_catalogue = False

    def __init__(self, n_negatives: int = 1000, negative_power: float = 0.0) -> None:
        self.n_negatives = n_negatives
        self.negative_power = negative_power

    def bind(self, train: Interactions) -> None:
        """See `Objective.bind`; computes the probability with which each item is drawn."""
        self.item_counts = train.item_counts
        weights = popularity_weights(self.item_counts, self.negative_power, rated_only=True)
        self.draw = (weights / weights.sum()).float()
        self.n_users = train.n_raters

    def loss(self, module: TwoTowerModule, batch: QueryBatch) -> Tensor:
        """See `Objective.loss`; for how the loss corrects for sampling, see `shared_softmax_loss`."""
        items, log_included = shared_candidates(batch, self.item_counts, self.draw, self.n_users, self.n_negatives)
        return shared_softmax_loss(*module.logits_among(batch, items), log_included)


class TwoTowerModule(HistoryModule):
    """Logit = u . v_i / T + b_i, with temperature T.

    Item tower: v_i, b_i and the vector h_i, which represents the item in histories, are a linear map of the item's
    sentence embedding and features, plus an embedding of the item's id. User tower: u is the mean h of the rated items
    plus the embedding of the user's features (`FeatureEmbedding`), scaled to unit length, plus an embedding of the
    user's id. The setting `normalized` determines whether only u, both u and v_i, or neither of them are scaled.

    In training, a user's history consists of the same items that the user's vector must match, as in an autoencoder,
    and `history_dropout` masks some of it. Covington et al. instead predict a later item from earlier items.

    Args:
        text: float32 (n_items, d_text) sentence embeddings of the items; they are not trained.
        features: CSR float32 (n_items, f) binary features of items.
        user_features: CSR float32 (n_users + 1, g) binary features of users; the last row is that of unknown users.
        settings: the recommender, whose hyperparameters the module uses.
        sparse_gradients: whether the embeddings of ids have sparse gradients, for training steps that use few ids.
        **training: see `NeuralModule`.
    """

    shards_users = True
    text: Tensor

    def __init__(
        self,
        text: np.ndarray,
        features: sparse.csr_matrix,
        user_features: sparse.csr_matrix,
        settings: TwoTower,
        sparse_gradients: bool = False,
        **training: Any,
    ) -> None:
        n_items, d = len(text), settings.embedding_dim
        super().__init__(user_features.shape[0] - 1, n_items, **training)
        self.normalized = settings.normalized
        self.text_dropout = settings.text_dropout
        self.history_dropout = settings.history_dropout
        self.dropout = settings.dropout
        self.id_dropout = settings.id_dropout
        self.user_id_dropout = settings.user_id_dropout
        self.register_buffer("text", torch.from_numpy(text), persistent=False)
        self.text_map = nn.Parameter(_random_map(text.shape[1], d))
        self.facts = FeatureEmbedding(features, _random_map(features.shape[1], d))
        self.user_facts = FeatureEmbedding(user_features, torch.zeros(user_features.shape[1], d))
        self.ids = nn.Embedding(n_items, 2 * d + 1, sparse=sparse_gradients)
        self.user_ids = UserTable(self.n_users, d, sparse=sparse_gradients)
        for own in (self.ids, self.user_ids):
            nn.init.zeros_(own.weight)
        self.log_scale = nn.Parameter(-torch.tensor(settings.temperature).log(), settings.learn_temperature)

    @torch.no_grad()
    def refresh(self) -> None:
        """See `NeuralModule.refresh`; also embeds all items."""
        super().refresh()
        self.catalogue = self.items(torch.arange(self.n_items, device=self.device))

    def items(self, items: Tensor) -> ItemTower:
        """Apply the item tower to items, int64 (C,) codes; in training, texts and ids are masked at random."""
        text = F.dropout(self.text[items], self.text_dropout, self.training)
        ids = masked_rows(self.ids(items), self.id_dropout, self.training)
        embedded = text @ self.text_map + FEATURES_WEIGHT * self.facts(items) + ids  # (C, 2 d + 1)
        d = self.user_ids.embedding_dim
        vectors, history, popularity = embedded.split([d, d, 1], dim=1)
        if self.normalized == "both":
            vectors = _unit(vectors)
        return ItemTower(vectors, history, popularity.squeeze(1))

    def users(self, queries: QueryBatch, history: Tensor) -> Tensor:
        """Apply the user tower, and return u, (B, d).

        Args:
            queries: B users; the items of their histories are given as row numbers of `history`, not as item codes.
            history: float32 (C, d) vectors h of items.
        """
        rated = queries.history
        weights = F.dropout(rated.mean_weights, self.history_dropout, self.training)
        own = masked_rows(self.user_ids(queries.users), self.user_id_dropout, self.training)
        users = rated.pooled(history, weights) + self.user_facts(queries.users)
        if self.normalized != "neither":
            users = _unit(users)
        return F.dropout(users, self.dropout, self.training) + own

    def logits(self, users: Tensor, items: ItemTower) -> Tensor:
        """Return the logits, (B, C), of C items for the users with the vectors `users`, (B, d)."""
        return self.log_scale.exp() * users @ items.vectors.T + items.popularity

    def logits_among(self, queries: QueryBatch, items: Tensor) -> tuple[Tensor, HistoryBatch]:
        """Score C items for the users of a batch; each item is embedded only once, for both towers.

        Args:
            queries: B users; all items of their histories must be among `items`.
            items: int64 (C,) item codes, ascending.

        Returns:
            The logits, (B, C), and the users' histories, whose items are given as columns of the logits.
        """
        tower = self.items(items)
        history = queries.history._replace(items=torch.searchsorted(items, queries.history.items))
        return self.logits(self.users(queries._replace(history=history), tower.history), tower), history

    def encode(self, queries: QueryBatch) -> Tensor:
        """See `HistoryModule.encode`; returns u, computed from the item vectors of the last `refresh`."""
        return self.users(queries, self.catalogue.history)

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """Return the logits of all items, (B, n_items), from the vectors of the last `refresh`; `items` is ignored."""
        return self.logits(self.encode(queries), self.catalogue)

    def item_embeddings(self) -> Tensor:
        """Return the item vectors v, (n_items, d)."""
        return self.catalogue.vectors


class TwoTower(ReadsItemContent, HistoryRecommender, ScoresByProducts):
    """Two-tower model on sentence embeddings, features, histories and ids; see `TwoTowerModule`.

    Args:
        encoder: settings of a text encoder that returns dense vectors, with its class in `_target_`.
        fields: metadata fields whose text is an item's document, in this order.
        min_count: number of rated items that must have a feature for the feature to be used.
        embedding_dim: length of the vectors of users and items, d.
        normalized: which vectors are scaled to unit length: those of `users` (before the embeddings of their ids are
            added), of `both` users and items, or of `neither`.
        temperature: initial value of the temperature T.
        learn_temperature: whether T is trained; weight decay then pulls it towards 1.
        text_dropout: share of the elements of a sentence embedding that is masked during training.
        history_dropout: share of the items of a history that is masked during training.
        dropout: share of the elements of u that is masked during training.
        id_dropout: share of the items whose ids are masked during training; with 1, item ids have no effect.
        user_id_dropout: share of the users whose ids are masked during training; with 1, user ids have no effect.
        loss: `softmax` over all items with ratings, or `sampled_softmax` over the items that a batch's users rated and
            `n_negatives` sampled items. `batch_size` counts users.
        n_negatives: number of negatives drawn for a batch, shared by its users.
        half_life: see `WeighsHistories`.
        **training: see `HistoryRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = {"softmax": CatalogueSoftmax, "sampled_softmax": SharedSampledSoftmax}
    module: TwoTowerModule
    id_table = "ids.weight"
    user_facts: sparse.csr_matrix  # (n_users + 1, g)

    def __init__(
        self,
        encoder: Mapping[str, Any],
        fields: Sequence[str] = FIELDS,
        min_count: int = 3,
        embedding_dim: int = 256,
        normalized: str = "users",
        temperature: float = 0.2,
        learn_temperature: bool = True,
        text_dropout: float = 0.3,
        history_dropout: float = 0.5,
        dropout: float = 0.4,
        id_dropout: float = 0.5,
        user_id_dropout: float = 1.0,
        loss: str = "softmax",
        n_negatives: int = 1000,
        half_life: HalfLife = None,
        **training: Any,
    ) -> None:
        super().__init__(loss=loss, n_negatives=n_negatives, **training)
        self.half_life = check_half_life(half_life)
        self.encoder = dict(encoder)
        self.fields = list(fields)
        self.min_count = min_count
        self.content = ItemContent(encoder, fields, min_count)
        self.embedding_dim = embedding_dim
        self.normalized = one_of("normalized", normalized, ("users", "both", "neither"))
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.text_dropout = text_dropout
        self.history_dropout = history_dropout
        self.dropout = dropout
        self.id_dropout = id_dropout
        self.user_id_dropout = user_id_dropout
        check_positive(temperature=temperature, embedding_dim=embedding_dim, min_count=min_count)
        check_shares(text_dropout=text_dropout, history_dropout=history_dropout, dropout=dropout)
        check_shares(id_dropout=id_dropout, user_id_dropout=user_id_dropout)

    def build(self, n_users: int, n_items: int, **training: Any) -> TwoTowerModule:
        """See `NeuralRecommender.build`."""
        sparse_gradients = self.loss == "sampled_softmax" and self.optimizer == "adam"  # a step needs few rows
        content = self.content
        return TwoTowerModule(content.text, content.facts, self.user_facts, self, sparse_gradients, **training)

    def user_vectors(self, query: Query) -> np.ndarray:
        """See `ScoresByProducts.user_vectors`; a vector is [u / T, 1]."""
        vectors = self.module.log_scale.exp().item() * self._encode(query)
        return np.pad(vectors, ((0, 0), (0, 1)), constant_values=1)

    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts.item_vectors`; a vector is [v_i, b_i]."""
        items = self.module.catalogue
        return np.column_stack([items.vectors.cpu().numpy(), items.popularity.cpu().numpy()])

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph.graph`; the graph stores the embedding of each user's features, already computed."""
        facts = self.module.user_facts(torch.arange(self.n_users + 1)).detach()
        module = copy(self.module)
        module._modules = {**module._modules, "user_facts": nn.Embedding.from_pretrained(facts)}
        return HistoryGraph(module, self.weights_graph(length), self.rating_mean)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; also returns the features of users."""
        return super().arrays() | as_arrays("user_facts", self.user_facts)

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`; also restores the features of users."""
        self.user_facts = cast(sparse.csr_matrix, from_arrays("user_facts", arrays))
        super().restore(arrays)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Encode the items' metadata and the users' features, and train the module.

        Raises:
            UserError: the encoder returns sparse vectors, or weights and logits do not fit in memory.
        """
        self._check_memory(train)  # here too, since encoding metadata can take minutes
        users = features(train.user_frame, vocabulary(train.user_frame, USER_FEATURES, min_count=1))
        self.user_facts = sparse.vstack([users, sparse.csr_matrix((1, users.shape[1]))], format="csr")
        return super()._fit(train, valid, context)

    def _check_memory(self, train: Dataset) -> None:
        """See `NeuralRecommender._check_memory`; counts weights and, with `loss=softmax`, logits."""
        per_item, per_user = 2 * self.embedding_dim + 1, self.embedding_dim
        numbers = COPIES_OF_WEIGHTS * (per_item * train.n_items + per_user * train.n_users)
        if self.loss == "softmax":  # every step embeds all items and scores them
            numbers += train.n_items * (COPIES_OF_ITEMS * per_item + COPIES_OF_LOGITS * self.batch_size)
        check_memory(
            4 * numbers,
            f"Training {per_item} numbers for each of {train.n_items:,} items, {per_user} for each of "
            f"{train.n_users:,} users",
            "lower model.embedding_dim, or choose model.loss=sampled_softmax",
        )


def _unit(vectors: Tensor) -> Tensor:
    """Return vectors (B, d) scaled to unit length; zero vectors remain zero, and their gradients are not scaled.

    `F.normalize` multiplies gradients at zero by 1e12. In the first steps of training, the vector of a user is zero if
    the whole history is masked. With such gradients, Adam's second moments for the embeddings of the user's features
    would be so large that these embeddings would not be trained any further.
    """
    lengths = vectors.norm(dim=1, keepdim=True)
    return vectors / lengths.where(lengths > 0, 1.0)


def _random_map(n_inputs: int, d: int) -> Tensor:
    """Draw initial weights of the linear map from an item's inputs to [v, h, b], (n_inputs, 2 d + 1).

    The map preserves inner products in expectation. With these weights, v = h and b = 0.
    """
    vectors = torch.randn(n_inputs, d) / d**0.5
    return torch.cat([vectors, vectors, torch.zeros(n_inputs, 1)], dim=1)
