"""GRU4Rec: a recurrent network over a history in time order predicts the next item.

Hidasi and Karatzoglou, "Recurrent Neural Networks with Top-k Gains for Session-based Recommendations", CIKM 2018, with
its constrained embedding (items have the same vectors as input and as output) and the cross-entropy over the whole
catalogue. Unlike in the paper, a linear map leads from states to the space of the vectors, items have no biases, and a
step trains on whole sequences, through all of whose positions gradients flow, rather than on the next item of each of
several parallel sessions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recsys.data.dataset import Dataset
from recsys.errors import check_positive, check_shares
from recsys.models.memory import COPIES_OF_WEIGHTS, check_memory
from recsys.models.neural.attention import ByteDropout
from recsys.models.neural.batches import HistoryBatch, PaddedHistoryBatch, slices
from recsys.models.neural.embeddings import item_embedding
from recsys.models.neural.next_item import NEXT_ITEM_OBJECTIVES
from recsys.models.neural.sequences import SequenceModule, SequenceRecommender

COPIES_OF_LAYERS = 12  # numbers in memory for each element of a layer's state: gates, states and gradients


class GRU4RecModule(SequenceModule):
    """Logit of item i after position t = (W h_t + b) . e_i, where e_i is the vector of item i, of length d.

    h_t is the state of the last layer of a GRU after reading the vectors of the items up to position t, scaled by
    sqrt(d).
    """

    def __init__(self, n_users: int, n_items: int, settings: GRU4Rec, **training: Any) -> None:
        super().__init__(n_users, n_items, settings.max_length, **training)
        d, hidden_dim = settings.embedding_dim, settings.hidden_dim
        self.items = item_embedding(n_items, d, std=0.02)
        self.dropout = ByteDropout(settings.dropout)
        self.gru = PackedGRU(d, hidden_dim, settings.n_layers)
        self.output = nn.Linear(hidden_dim, d)

    def item_table(self) -> Tensor:
        """See `SequenceModule.item_table`; returns the vectors e."""
        return self.items.weight

    def states(self, history: HistoryBatch, table: Tensor) -> Tensor:
        """See `SequenceModule.states`; returns W h_t + b, with dropout on the inputs and on h_t."""
        if isinstance(history, PaddedHistoryBatch):
            return self.padded_states(history, table)
        order, batch_sizes = by_step(history.lengths, history.host_lengths)
        x = self.dropout(table.shape[1] ** 0.5 * F.embedding(history.items[order], table))
        states = self.gru(x, batch_sizes)
        places = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order), device=order.device))
        return self.output(self.dropout(F.embedding(places, states)))

    def padded_states(self, history: PaddedHistoryBatch, table: Tensor) -> Tensor:
        """Return the states of padded sequences as `states` does, (B L, d), computed by one call of `torch.nn.GRU`."""
        x = table.shape[1] ** 0.5 * F.embedding(history.by_user(history.items), table)
        return self.output(nn.GRU.forward(self.gru, x.transpose(0, 1))[0].transpose(0, 1)).flatten(0, 1)


class PackedGRU(nn.GRU):
    """A GRU on packed sequences that trains fast on a CPU.

    On a CPU, the backward pass of `torch.nn.GRU` clears a gradient of all positions at every step. Here the gradient of
    each step covers only its own positions, which is several times as fast on sequences of up to 200 items.
    """

    def forward(self, x: Tensor, batch_sizes: list[int]) -> Tensor:  # type: ignore[override]
        """Return the states of the last layer, in the order of the inputs.

        Args:
            x: float32 (P, d) inputs in the order of `by_step`.
            batch_sizes: number of sequences at each step.

        Returns:
            float32 (P, hidden_size).
        """
        if x.is_cuda:
            return super().forward(PackedSequence(x, torch.tensor(batch_sizes)))[0].data
        for weights in self.all_weights:
            x = gru_layer(x, batch_sizes, *weights)
        return x


def gru_layer(x: Tensor, batch_sizes: list[int], w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Return the states h_t = (1 - z) * n + z * h_(t-1) of one layer, with h_0 = 0, float32 (P, hidden_size).

    See `torch.nn.GRU` for the gates r and z, the candidate n and the weights, `PackedGRU` for x and `batch_sizes`.
    """
    h = x.new_zeros(batch_sizes[0], w_h.shape[1])
    states = []
    for inputs in F.linear(x, w_x, b_x).split(batch_sizes):
        h = h[: len(inputs)]
        r_x, z_x, n_x = inputs.chunk(3, dim=1)
        r_h, z_h, n_h = F.linear(h, w_h, b_h).chunk(3, dim=1)
        z = torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h)
        h = n + z * (h - n)
        states.append(h)
    return torch.cat(states)


class GRU4Rec(SequenceRecommender):
    """A recurrent network on histories in time order; see `GRU4RecModule`.

    Args:
        embedding_dim: length d of the items' vectors.
        hidden_dim: number of units of each layer.
        n_layers: number of recurrent layers.
        dropout: share of the elements of the input and of the last layer's states that is masked during training.
        loss: `softmax` over the catalogue, `sampled_softmax`, or `gbce`.
        **training: see `SequenceRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = NEXT_ITEM_OBJECTIVES
    module: GRU4RecModule

    def __init__(
        self,
        embedding_dim: int = 64,
        hidden_dim: int = 128,
        n_layers: int = 1,
        dropout: float = 0.2,
        loss: str = "softmax",
        **training: Any,
    ) -> None:
        super().__init__(loss=loss, **training)
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.n_layers = n_layers
        self.dropout = dropout
        check_positive(embedding_dim=embedding_dim, hidden_dim=hidden_dim, n_layers=n_layers)
        check_shares(dropout=dropout)

    def build(self, n_users: int, n_items: int, **training: Any) -> GRU4RecModule:
        """See `NeuralRecommender.build`."""
        return GRU4RecModule(n_users, n_items, self, **training)

    def _check_memory(self, train: Dataset) -> None:
        """See `NeuralRecommender._check_memory`; counts weights and states."""
        states = COPIES_OF_LAYERS * self.n_layers * self.hidden_dim * self.batch_size * self.max_length
        check_memory(
            4 * (COPIES_OF_WEIGHTS * self.embedding_dim * train.n_items + states),
            f"Training on {self.batch_size} sequences of {self.max_length} items, {self.hidden_dim} states each,",
            "lower model.batch_size, model.max_length or model.hidden_dim",
        )


def by_step(lengths: Tensor, host_lengths: np.ndarray) -> tuple[Tensor, list[int]]:
    """Return the positions of packed sequences in the order in which a recurrent network reads them.

    Args:
        lengths: int64 (B,) number of positions of each sequence, P in total.
        host_lengths: `lengths` as a NumPy array.

    Returns:
        int64 (P,) positions: the first of every sequence, longest sequence first, then the second of every sequence,
        and so on; and the number of sequences at each step, a list as long as the longest sequence.
    """
    rows, steps = slices(torch.zeros_like(lengths), lengths, int(host_lengths.sum()))
    ranks = lengths.argsort(descending=True).argsort()
    ended = np.cumsum(np.bincount(host_lengths))[:-1]  # sequences of at most s positions
    return (steps * len(lengths) + ranks[rows]).argsort(), (len(lengths) - ended).tolist()
