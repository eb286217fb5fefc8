"""SASRec: causal self-attention over a history in time order predicts the next item.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018. The model is trained on the cross-entropy over
the catalogue (Klenitskiy and Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys
2023) or on gBCE (Petrov and Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with
Negative Sampling", RecSys 2023). Blocks normalise their input (pre-norm); the gated blocks of
`recsys.models.neural.ligr`, from another paper, can be used instead.

Unlike in the paper, dropout is applied neither to the attention weights nor inside the feed-forward layers.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor, nn

from recsys.data.dataset import Dataset
from recsys.errors import UserError, check_positive, check_shares, one_of
from recsys.models.memory import COPIES_OF_WEIGHTS, check_memory
from recsys.models.neural.attention import AttentionBlock, ByteDropout, SimilarLengths, sequences_of
from recsys.models.neural.batches import HistoryBatch
from recsys.models.neural.embeddings import item_embedding
from recsys.models.neural.ligr import LiGRBlock
from recsys.models.neural.next_item import NEXT_ITEM_OBJECTIVES
from recsys.models.neural.sequences import SequenceModule, SequenceRecommender

COPIES_OF_LAYERS = 24  # numbers in memory for each element of a block's input: inputs, masks and gradients of layers


class PreNormBlock(AttentionBlock):
    """x' = x + attention(norm(x)), and x'' = x' + W_2 relu(W_1 norm(x') + b_1) + b_2; see `AttentionBlock`."""

    def layers(self, dim: int, inner_dim: int) -> nn.Module:
        """See `AttentionBlock.layers`."""
        return nn.Sequential(nn.Linear(dim, inner_dim), nn.ReLU(), nn.Linear(inner_dim, dim))

    def forward(self, x: Tensor, sequences: SimilarLengths) -> Tensor:
        """See `AttentionBlock.forward`."""
        x = x + self.dropout(self.attention(self.attention_norm(x), sequences))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


BLOCKS = {"pre_norm": PreNormBlock, "ligr": LiGRBlock}


class SASRecModule(SequenceModule):
    """The logit of item i as the next item after position t is norm(x_t) . e_i.

    The attention blocks compute the vectors x of all positions from their inputs sqrt(d) e + p, where e is the vector
    of the item at a position, of length d, and p the vector of the position. Positions are counted from the end of the
    sequence.
    """

    def __init__(self, n_users: int, n_items: int, settings: SASRec, **training: Any) -> None:
        super().__init__(n_users, n_items, settings.max_length, **training)
        d = settings.embedding_dim
        self.items = item_embedding(n_items, d, std=0.02)
        self.positions = item_embedding(settings.max_length, d, std=0.02)
        self.dropout = ByteDropout(settings.dropout)
        self.blocks = nn.ModuleList(
            BLOCKS[settings.block](d, settings.n_heads, settings.expansion, settings.dropout)
            for _ in range(settings.n_blocks)
        )
        self.norm = nn.LayerNorm(d)

    def item_table(self) -> Tensor:
        """See `SequenceModule.item_table`; returns the item vectors e."""
        return self.items.weight

    def states(self, history: HistoryBatch, table: Tensor) -> Tensor:
        """See `SequenceModule.states`; returns norm(x_t)."""
        places = history.places_from_the_end()
        x = table.shape[1] ** 0.5 * F.embedding(history.items, table) + self.positions(places)
        x, sequences = self.dropout(x), sequences_of(history)
        for block in self.blocks:
            x = block(x, sequences)
        return self.norm(x)


class SASRec(SequenceRecommender):
    """Self-attention over histories in time order; see `SASRecModule`.

    Args:
        embedding_dim: length d of the item vectors and of the outputs of the blocks.
        n_blocks: number of blocks, each with an attention layer and feed-forward layers.
        n_heads: number of attention heads, a divisor of d.
        expansion: width of the inner feed-forward layer, in multiples of d.
        dropout: share of the elements that is masked during training, in the input of the first block and in the
            outputs of the attention and the feed-forward layers of every block.
        block: `pre_norm` (`PreNormBlock`), or `ligr` (`LiGRBlock`, with gates).
        loss: `softmax` over the catalogue, `sampled_softmax`, or `gbce`.
        **training: see `SequenceRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    objectives = NEXT_ITEM_OBJECTIVES
    module: SASRecModule

    def __init__(
        self,
        embedding_dim: int = 64,
        n_blocks: int = 2,
        n_heads: int = 1,
        expansion: int = 1,
        dropout: float = 0.2,
        block: str = "pre_norm",
        loss: str = "softmax",
        **training: Any,
    ) -> None:
        super().__init__(loss=loss, **training)
        self.embedding_dim = embedding_dim
        self.n_blocks = n_blocks
        self.n_heads = n_heads
        self.expansion = expansion
        self.dropout = dropout
        self.block = one_of("block", block, BLOCKS)
        check_positive(embedding_dim=embedding_dim, n_blocks=n_blocks, n_heads=n_heads, expansion=expansion)
        check_shares(dropout=dropout)
        if embedding_dim % n_heads:
            raise UserError(f"n_heads must divide embedding_dim (got {n_heads} and {embedding_dim}).")

    def build(self, n_users: int, n_items: int, **training: Any) -> SASRecModule:
        """See `NeuralRecommender.build`."""
        return SASRecModule(n_users, n_items, self, **training)

    def _check_memory(self, train: Dataset) -> None:
        """See `NeuralRecommender._check_memory`; counts the weights and the outputs of the layers."""
        layers = COPIES_OF_LAYERS * self.n_blocks * self.batch_size * self.max_length * self.expansion
        check_memory(
            4 * self.embedding_dim * (COPIES_OF_WEIGHTS * train.n_items + layers),
            f"Training on {self.batch_size} sequences of {self.max_length} items, {self.embedding_dim} numbers each,",
            "lower model.batch_size, model.max_length or model.embedding_dim",
        )
