"""GRU4Rec: a recurrent network that reads a history in time order and predicts the next item.

Hidasi and Karatzoglou, "Recurrent Neural Networks with Top-k Gains for Session-based Recommendations", CIKM 2018, with
its constrained embedding (items have the same vectors as input and as output) and the cross-entropy over the whole
catalogue. There are three differences from the paper. A linear map leads from states to the space of the item vectors.
Items have no biases. A training step covers whole sequences, and gradients flow through all of their positions; in the
paper, it covers only the next item in each of several parallel sessions.
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
    """The logit of item i after position t is (W h_t + b) . e_i, where e_i is the vector of item i, of length d.

    h_t is the state of a GRU's last layer after it has read the items up to position t. The GRU reads item vectors that
    are multiplied by sqrt(d).
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
        """Compute `states` for padded sequences, (B L, d), by one call of `torch.nn.GRU`."""
        x = table.shape[1] ** 0.5 * F.embedding(history.by_user(history.items), table)
        return self.output(nn.GRU.forward(self.gru, x.transpose(0, 1))[0].transpose(0, 1)).flatten(0, 1)


class PackedGRU(nn.GRU):
    """A GRU on packed sequences that trains fast on a CPU.

    At every step of its backward pass, `torch.nn.GRU` on a CPU fills a gradient tensor for all positions with zeros.
    This class uses a gradient for the positions of the step only, which makes training several times as fast on
    sequences of up to 200 items.
    """

    def forward(self, x: Tensor, batch_sizes: list[int]) -> Tensor:  # type: ignore[override]
        """Return the states of the last layer, float32 (P, hidden_size), in the order of the inputs.

        Args:
            x: float32 (P, d) inputs in the order that `by_step` returns.
            batch_sizes: number of sequences that have an item at each step.
        """
        if x.is_cuda:
            return super().forward(PackedSequence(x, torch.tensor(batch_sizes)))[0].data
        for weights in self.all_weights:
            x = gru_layer(x, batch_sizes, *weights)
        return x


def gru_layer(x: Tensor, batch_sizes: list[int], w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Return the states h_t = (1 - z) * n + z * h_(t-1) of one layer, with h_0 = 0, float32 (P, hidden_size).

    The gates r and z, the candidate n and the weights are those of `torch.nn.GRU`; for x and `batch_sizes`, see
    `PackedGRU.forward`.
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
    """A recurrent network that reads histories in time order; see `GRU4RecModule`.

    Args:
        embedding_dim: length d of the items' vectors.
        hidden_dim: number of units of each layer.
        n_layers: number of recurrent layers.
        dropout: share of the elements of the input and of the last layer's states that is masked during training.
        loss: `softmax` over the catalogue, `sampled_softmax`, or `gbce`.
        **training: arguments of `SequenceRecommender`.

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
        """See `NeuralRecommender._check_memory`; counts the memory for weights and states."""
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
        The positions, int64 (P,), and a list with the number of sequences that have an item at each step. Step 1 reads
        the first position of every sequence, longest sequence first, step 2 the second position of every sequence that
        has two, and so on.
    """
    rows, steps = slices(torch.zeros_like(lengths), lengths, int(host_lengths.sum()))
    ranks = lengths.argsort(descending=True).argsort()
    ended = np.cumsum(np.bincount(host_lengths))[:-1]  # sequences of at most s positions
    return (steps * len(lengths) + ranks[rows]).argsort(), (len(lengths) - ended).tolist()
