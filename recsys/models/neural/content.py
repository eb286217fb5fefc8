"""The base class of deep models that embed items by their metadata, and the layers that these models share."""

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
    """A recommender whose module embeds items by their metadata, including items that are added after training.

    Among its base classes, a subclass lists this class before the recommender that it extends.

    Attributes:
        content: the metadata of items, from which the module is built.
        id_table: name in the module's `state_dict` of the vectors of item ids, which have a row per item.
    """

    content: ItemContent
    id_table: ClassVar[str]

    def add_items(self, items: pd.DataFrame) -> None:
        """See `HasOpenCatalogue.add_items`; new items are embedded by text and features, with zeros as id vectors."""
        weights = self.module.state_dict()
        self.content.add(items)
        weights[self.id_table] = F.pad(weights[self.id_table], (0, 0, 0, len(items)))
        self.add_unrated(len(items))
        self._build(self.n_users, self.n_items + len(items))
        self.module.load_state_dict(weights)
        self._use()

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; also returns the encoded metadata and the encoder, which new items need."""
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
    """Embeds a row by the sum of the vectors of its binary features, divided by the square root of their number.

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
        """Embed some rows, given by their numbers, int64 (B,) -> (B, d); zero for a row without features.

        Shorter rows are padded with features of weight zero, so that shapes are known without waiting for a GPU.
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
    """Set a random share of the rows (B, d) to zero in training, and leave the others as they are, without rescaling.

    The id vectors of items without ratings are zero too, so a model learns to embed such items by their metadata.
    """
    return own * (torch.rand(len(own), 1, device=own.device) >= share) if training else own
