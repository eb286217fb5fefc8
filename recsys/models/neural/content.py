"""Layers that embed items by their metadata."""

from __future__ import annotations

import torch
from scipy import sparse
from torch import Tensor, nn

from recsys.models.neural.batches import slices
from recsys.models.neural.embeddings import pooled

FEATURES_WEIGHT = 0.3  # beside the sentence embedding


class FeatureEmbedding(nn.Module):
    """Sums the vectors of a row's binary features, divided by the root of their number.

    Args:
        features: (n, f), not zero where a row has a feature.
        table: (f, d), a vector for each feature.
    """

    indptr: Tensor
    indices: Tensor

    def __init__(self, features: sparse.csr_matrix, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("indptr", torch.from_numpy(features.indptr).long(), persistent=False)
        self.register_buffer("indices", torch.from_numpy(features.indices).long(), persistent=False)
        self.table = nn.Parameter(table)

    def forward(self, chosen: Tensor) -> Tensor:
        """Embed some rows, int64 (B,) -> (B, d)."""
        lengths = self.indptr[chosen + 1] - self.indptr[chosen]
        rows, positions = slices(self.indptr[chosen], lengths)
        return pooled(self.table, self.indices[positions], lengths, lengths.rsqrt()[rows])


def masked_rows(own: Tensor, share: float, training: bool) -> Tensor:
    """Set a share of the rows (B, d) of ids to zero in training, as they are where nothing was learned."""
    return own * (torch.rand(len(own), 1, device=own.device) >= share) if training else own
