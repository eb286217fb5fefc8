"""Causal self-attention over packed sequences, and dropout that costs little on a CPU."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.models.neural.batches import HistoryBatch, PaddedHistoryBatch, slices


class SimilarLengths:
    """Groups of sequences of similar length; sequences are padded on the right to the longest length in their group.

    Padding comes after the real positions, so under a causal mask no real position attends to it. Padding may therefore
    have any values, and needs no mask of its own.

    Args:
        lengths: int64 (B,) number of positions of each sequence, above zero; P in total. The sequences are packed: one
            after another, without padding.
        host_lengths: `lengths` as a NumPy array, from which shapes are computed without waiting for a GPU.

    Attributes:
        shapes: for each group, its number of sequences g and the length L to which they are padded. All groups together
            have Q padded positions, the sum of g L.
        positions: int64 (Q,) for each padded position, group after group, the packed position that fills it.
        places: int64 (P,) for each packed position, the padded position to which it moves.
    """

    sequences_per_group = 8

    def __init__(self, lengths: Tensor, host_lengths: np.ndarray) -> None:
        size, n_positions = self.sequences_per_group, int(host_lengths.sum())
        ascending = np.sort(host_lengths)
        groups = [ascending[start : start + size] for start in range(0, len(ascending), size)]
        self.shapes = [(len(group), int(group[-1])) for group in groups]
        ordered, order = lengths.sort()
        places = torch.arange(len(lengths), device=lengths.device)
        padded = ordered[(places // size * size + size - 1).clamp(max=len(lengths) - 1)]  # (B,), the longest of a group
        n_padded = sum(n * length for n, length in self.shapes)
        _, self.positions = slices((lengths.cumsum(0) - lengths)[order], padded, n_padded)
        self.positions.clamp_(max=n_positions - 1)
        starts = torch.empty_like(padded).index_copy_(0, order, padded.cumsum(0) - padded)
        _, self.places = slices(starts, lengths, n_positions)


class EqualLengths(SimilarLengths):
    """One group of sequences that are already padded to equal length.

    Args:
        history: the padded sequences.
    """

    def __init__(self, history: PaddedHistoryBatch) -> None:
        n_users, length = history.by_user(history.items).shape
        self.shapes = [(n_users, length)]
        self.positions = self.places = torch.arange(n_users * length)


def sequences_of(history: HistoryBatch) -> SimilarLengths:
    """Group the sequences of a batch for the computation of self-attention."""
    if isinstance(history, PaddedHistoryBatch):
        return EqualLengths(history)
    return SimilarLengths(history.lengths, history.host_lengths)


class CausalAttention(nn.Module):
    """Multi-head attention of each position of a sequence to itself and to earlier positions.

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.

    Args:
        dim: width d of the input and the output.
        n_heads: number of heads, a divisor of d.
    """

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Tensor, sequences: SimilarLengths) -> Tensor:
        """Return the output of attention (P, d) for packed positions x (P, d)."""
        projected = self.queries_keys_values(x)  # (P, 3 d)
        padded = F.embedding(sequences.positions, projected)  # (Q, 3 d)
        groups = padded.split([n * length for n, length in sequences.shapes])
        heads = [self._attend(group.unflatten(0, shape)) for group, shape in zip(groups, sequences.shapes, strict=True)]
        return self.output(F.embedding(sequences.places, torch.cat(heads)))

    def _attend(self, projected: Tensor) -> Tensor:
        """Return the output (g L, d) for g sequences of length L, given their queries, keys and values (g, L, 3 d)."""
        heads = projected.unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, g, H, L, d / H)
        queries, keys, values = heads.unbind()
        attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return attended.transpose(1, 2).flatten(2).flatten(0, 1)


class ByteDropout(nn.Module):
    """Dropout whose mask is drawn from random bytes; on a CPU, it is several times as fast as `nn.Dropout`.

    Args:
        share: share of the elements that are masked, rounded to a multiple of 1 / 256.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.masked = min(255, round(256 * share))

    def forward(self, x: Tensor) -> Tensor:
        """In training, mask random elements of x, and scale the others so that expected values do not change."""
        if not self.training or not self.masked:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        unmasked = (words.view(torch.uint8)[: x.numel()] >= self.masked).view(x.shape)
        return x * (unmasked.to(x.dtype) * (256 / (256 - self.masked)))


class AttentionBlock(nn.Module, ABC):
    """Base class of pre-norm blocks: attention and feed-forward layers, a norm before each, and dropout after each.

    Args:
        dim: width d.
        n_heads: number of attention heads.
        expansion: width of the inner feed-forward layer, in multiples of d.
        dropout: share of elements that are masked in the output of the attention and of the feed-forward layers.
    """

    def __init__(self, dim: int, n_heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = CausalAttention(dim, n_heads)
        self.feed_forward = self.layers(dim, expansion * dim)
        self.dropout = ByteDropout(dropout)

    @abstractmethod
    def layers(self, dim: int, inner_dim: int) -> nn.Module:
        """Return the feed-forward layers, of input and output width `dim` and inner width `inner_dim`."""

    @abstractmethod
    def forward(self, x: Tensor, sequences: SimilarLengths) -> Tensor:
        """Return the output (P, d) of the block for packed positions x (P, d)."""
