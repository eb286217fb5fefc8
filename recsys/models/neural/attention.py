"""Causal self-attention over packed sequences, and dropout that costs little on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn


class SimilarLengths:
    """Groups of sequences of similar length, each padded on the right to the longest of its group.

    Under a causal mask no real position attends to padding, which is later, so padding may have any values and needs no
    mask of its own. The lengths are read from the device once for all layers.

    Args:
        lengths: int64 (B,) positions of each sequence, above zero; P together.

    Attributes:
        groups: int64 (g, L) position in the packed layout of each padded position, by group.
        places: int64 (P,) place of each packed position among the padded ones, group after group.
    """

    sequences_per_group = 8

    def __init__(self, lengths: Tensor) -> None:
        ends = lengths.cumsum(0)
        starts = ends - lengths
        self.groups: list[Tensor] = []
        self.places = lengths.new_empty(int(ends[-1]))
        n_padded = 0
        ordered, order = lengths.sort()
        for group, longest in zip(
            order.split(self.sequences_per_group), self._longest(ordered), strict=True
        ):
            within = torch.arange(longest, device=lengths.device)
            positions = starts[group, None] + within
            padded = torch.arange(n_padded, n_padded + positions.numel(), device=lengths.device)
            real = (within < lengths[group, None]).flatten()
            self.places[positions.flatten()[real]] = padded[real]
            self.groups.append(positions.clamp(max=len(self.places) - 1))
            n_padded += positions.numel()

    def _longest(self, ordered: Tensor) -> list[int]:
        return [int(part[-1]) for part in ordered.cpu().split(self.sequences_per_group)]


class CausalAttention(nn.Module):
    """Multi-head attention of each position to itself and earlier ones: Vaswani et al., NeurIPS 2017, section 3.2.

    Args:
        dim: width d of the input and the output.
        n_heads: heads, each of width d / n_heads.
    """

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Tensor, sequences: SimilarLengths) -> Tensor:
        """Return (P, d) of packed positions x (P, d)."""
        projected = self.queries_keys_values(x)  # (P, 3 d)
        attended = torch.cat([self._attend(F.embedding(group, projected)) for group in sequences.groups])
        return self.output(F.embedding(sequences.places, attended))

    def _attend(self, projected: Tensor) -> Tensor:
        """Return (g L, d) of g sequences, (g, L, 3 d)."""
        heads = projected.unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, g, H, L, d / H)
        attended = F.scaled_dot_product_attention(*heads.unbind(), is_causal=True)
        return attended.transpose(1, 2).flatten(2).flatten(0, 1)


class ByteDropout(nn.Module):
    """Dropout whose mask is drawn from random bytes, several times as fast on a CPU as `nn.Dropout`.

    Args:
        share: of the elements that is masked, in steps of 1 / 256.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.masked = min(255, round(256 * share))

    def forward(self, x: Tensor) -> Tensor:
        """Mask elements of x in training, and scale the others so that expectations stay."""
        if not self.training or not self.masked:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        unmasked = (words.view(torch.uint8)[: x.numel()] >= self.masked).view(x.shape)
        return x * (unmasked.to(x.dtype) * (256 / (256 - self.masked)))
