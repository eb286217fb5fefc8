"""The base class of deep models that embed items from their metadata, and layers that these models share."""

from __future__ import annotations

from typing import ClassVar, cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from scipy import sparse
from torch import Tensor, nn

from recsys.data.dataset import Dataset, Holdout
from recsys.models.base import FitContext, FitReport, HasOpenCatalogue
from recsys.models.item_content import ItemContent
from recsys.models.neural.recommender import HistoryRecommender

FEATURES_WEIGHT = 0.3  # of an item's binary features, relative to its sentence embedding


class ReadsItemContent(HistoryRecommender, HasOpenCatalogue):
    """A recommender whose module embeds items from their metadata, including items that are added after training.

    A subclass must list this class before the recommender that it extends: `class New(ReadsItemContent, Existing)`.

    Attributes:
        content: the metadata of items, from which the module is built.
        id_table: `state_dict` name of the module's table of id vectors: a learned vector for each item, in
            addition to its metadata.
    """

    content: ItemContent
    id_table: ClassVar[str]

    def add_items(self, items: pd.DataFrame) -> None:
        """See `HasOpenCatalogue.add_items`; new items get zeros as id vectors, and are embedded from metadata alone."""
        weights = self.module.state_dict()
        self.content.add(items)
        weights[self.id_table] = F.pad(weights[self.id_table], (0, 0, 0, len(items)))
        self.add_unrated(len(items))
        self._build(self.n_users, self.n_items + len(items))
        self.module.load_state_dict(weights)
        self._use()

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; also returns the encoded metadata, and the encoder for new items."""
        return super().arrays() | self.content.arrays()

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`."""
        self.content.restore(arrays)
        super().restore(arrays)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Encode the items' metadata and train.

        Raises:
            UserError: the encoder's vectors are sparse.
        """
        earlier = cast(ReadsItemContent, self.earlier[0]).content if self.earlier else None
        self.content.fit(train, context.cache_dir, earlier)
        return super()._fit(train, valid, context)


class FeatureEmbedding(nn.Module):
    """Embeds the rows of a binary matrix, in which each row is nonzero at its features.

    An embedding is the sum of the vectors of the row's features, divided by the square root of their number.

    Args:
        features: CSR (n, f), nonzero where a row has a feature.
        table: float32 (f, d) initial vectors of the features, which are trained.
    """

    indptr: Tensor
    indices: Tensor

    def __init__(self, features: sparse.csr_matrix, table: Tensor) -> None:
        super().__init__()
        self.max_features = int(np.diff(features.indptr).max(initial=0))  # of a row
        self.register_buffer("indptr", torch.from_numpy(features.indptr).long(), persistent=False)
        self.register_buffer("indices", torch.from_numpy(features.indices).long(), persistent=False)
        self.table = nn.Parameter(table)

    def forward(self, chosen: Tensor) -> Tensor:
        """Return the embeddings (B, d) of rows of the matrix, given their numbers, int64 (B,).

        The embedding of a row without features is zero.

        Rows with few features are padded with features of weight zero, so that shapes are known without waiting for a
        GPU.
        """
        if not self.max_features:  # sums of nothing, which are still functions of the table, as DDP requires
            return F.embedding_bag(self.indices, self.table, torch.zeros_like(chosen), mode="sum")
        starts, lengths = self.indptr[chosen], self.indptr[chosen + 1] - self.indptr[chosen]
        columns = torch.arange(self.max_features, device=chosen.device)
        positions = (starts[:, None] + columns).clamp(max=len(self.indices) - 1)
        weights = torch.where(columns < lengths[:, None], lengths.clamp(min=1).rsqrt()[:, None], 0.0)
        return F.embedding_bag(
            self.indices[positions], self.table, per_sample_weights=weights.to(self.table.dtype), mode="sum"
        )


def masked_rows(own: Tensor, share: float, training: bool) -> Tensor:
    """In training, set a random share of the id vectors (B, d) to zero; the others are not rescaled.

    Items without ratings also have zeros as id vectors, so a model learns to embed such items from their metadata.
    """
    return own * (torch.rand(len(own), 1, device=own.device) >= share) if training else own
