"""SASRec whose items are embedded by their metadata, in addition to or in place of their ids.

Items without ratings can therefore occur in sequences and be scored as soon as they are added. Items are embedded as in
`recsys.models.two_tower`. During training, the id vectors of randomly chosen items are masked (Volkovs, Yu and
Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.data.text import FIELDS
from recsys.errors import check_positive, check_shares
from recsys.models.item_content import ItemContent
from recsys.models.neural.content import FEATURES_WEIGHT, FeatureEmbedding, ReadsItemContent, masked_rows
from recsys.models.sasrec import SASRec, SASRecModule


class ContentSASRecModule(SASRecModule):
    """A `SASRecModule` whose item vectors are e_i = W t_i + 0.3 f_i + an id vector.

    The vector e_i represents item i both in sequences and as the item to predict. t_i is the item's sentence embedding,
    W a trained matrix, and f_i the embedding of the item's binary features (see `FeatureEmbedding`).
    """

    text: Tensor

    def __init__(self, n_users: int, n_items: int, settings: ContentSASRec, **training: Any) -> None:
        super().__init__(n_users, n_items, settings, **training)
        content, d = settings.content, settings.embedding_dim
        nn.init.zeros_(self.items.weight)  # items without ratings retain a zero vector
        self.register_buffer("text", torch.from_numpy(content.text), persistent=False)
        self.text_map = nn.Parameter(0.02 * torch.randn(content.text.shape[1], d))
        self.facts = FeatureEmbedding(content.facts, 0.02 * torch.randn(content.facts.shape[1], d))
        self.text_dropout = settings.text_dropout
        self.id_dropout = settings.id_dropout

    def item_table(self) -> Tensor:
        """See `SequenceModule.item_table`; in training, elements of t_i and whole id vectors are masked at random."""
        text = F.dropout(self.text, self.text_dropout, self.training)
        facts = FEATURES_WEIGHT * self.facts(torch.arange(self.n_items, device=self.device))
        return text @ self.text_map + facts + masked_rows(self.items.weight, self.id_dropout, self.training)

    @torch.no_grad()
    def refresh(self) -> None:
        """See `NeuralModule.refresh`; also computes the vectors of all items for scoring."""
        super().refresh()
        self.catalogue = self.item_table()

    def item_embeddings(self) -> Tensor:
        """See `SequenceModule.item_embeddings`; returns the vectors that `refresh` computed."""
        return self.catalogue


class ContentSASRec(ReadsItemContent, SASRec):
    """SASRec, self-attention over histories, with items embedded by metadata; see `ContentSASRecModule`.

    Args:
        encoder: settings of a text encoder that returns dense vectors, with its class in `_target_`.
        fields: metadata fields that make up an item's document, in this order.
        min_count: a binary feature is used only if at least this many rated items have it.
        text_dropout: share of a sentence embedding's elements that is masked during training.
        id_dropout: share of the items whose id vectors are masked during training; with 1, no id vectors are learned,
            and items are embedded by metadata only.
        **model: arguments of `SASRec`.

    Raises:
        UserError: a value is not allowed.
    """

    rated_only = True
    id_table = "items.weight"
    module: ContentSASRecModule

    def __init__(
        self,
        encoder: Mapping[str, Any],
        fields: Sequence[str] = FIELDS,
        min_count: int = 3,
        text_dropout: float = 0.3,
        id_dropout: float = 0.2,
        **model: Any,
    ) -> None:
        super().__init__(**model)
        self.encoder = dict(encoder)
        self.fields = list(fields)
        self.min_count = min_count
        self.content = ItemContent(encoder, fields, min_count)
        self.text_dropout = text_dropout
        self.id_dropout = id_dropout
        check_positive(min_count=min_count)
        check_shares(text_dropout=text_dropout, id_dropout=id_dropout)

    def build(self, n_users: int, n_items: int, **training: Any) -> ContentSASRecModule:
        """See `NeuralRecommender.build`."""
        return ContentSASRecModule(n_users, n_items, self, **training)
