"""Transformer blocks with gated attention and feed-forward layers (LiGR).

Borisyuk et al., "From Features to Transformers: Redefining Ranking for Scalable Impact", arXiv 2025. Tikhonovich et
al., "eSASRec: Enhancing Transformer-based Recommendations in a Modular Fashion", RecSys 2025, use such blocks
to predict the next item.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.models.neural.attention import AttentionBlock, SimilarLengths


class SwiGLU(nn.Module):
    """Feed-forward layers W_3 (silu(W_1 x) * W_2 x): Shazeer, "GLU Variants Improve Transformer", arXiv 2020.

    Args:
        dim: width d of the input and the output.
        inner_dim: width of W_1 x and W_2 x.
    """

    def __init__(self, dim: int, inner_dim: int) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, 2 * inner_dim, bias=False)
        self.outer = nn.Linear(inner_dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output (P, d) of the layers for x (P, d)."""
        gate, value = self.inner(x).chunk(2, dim=1)
        return self.outer(F.silu(gate) * value)


class LiGRBlock(AttentionBlock):
    """A block in which gates weight the outputs of attention and of the feed-forward layers.

    For the input x, it computes x' = x + attention(norm(x)) * sigmoid(G_1 x), and returns
    x' + swiglu(norm(x')) * sigmoid(G_2 x'); see `SwiGLU`. G_1 and G_2 are linear layers with biases. Dropout follows
    attention and `SwiGLU`.

    Args:
        dim: width d.
        n_heads: see `AttentionBlock`.
        expansion: see `AttentionBlock`.
        dropout: see `AttentionBlock`.
    """

    def __init__(self, dim: int, n_heads: int, expansion: int, dropout: float) -> None:
        super().__init__(dim, n_heads, expansion, dropout)
        self.attention_gate, self.feed_forward_gate = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def layers(self, dim: int, inner_dim: int) -> nn.Module:
        """See `AttentionBlock.layers`."""
        return SwiGLU(dim, inner_dim)

    def forward(self, x: Tensor, sequences: SimilarLengths) -> Tensor:
        """See `AttentionBlock.forward`."""
        attended = self.dropout(self.attention(self.attention_norm(x), sequences))
        x = x + attended * torch.sigmoid(self.attention_gate(x))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x))) * torch.sigmoid(self.feed_forward_gate(x))
