"""SASRec against a slow loop over positions, and the parts of its layers."""

import pytest
import torch
from torch import nn

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.neural import HistoryBatch
from recsys.models.neural.attention import ByteDropout, SimilarLengths
from recsys.models.sasrec import SASRec, SASRecModule

ROWS = [[3, 1, 4, 1], [5], [9, 2, 6]]


def slow_states(module: SASRecModule, items: list[int]) -> torch.Tensor:
    """The states of one sequence, position by position and head by head, (L, d)."""
    d, n_heads = module.items.embedding_dim, module.blocks[0].attention.n_heads
    size = d // n_heads
    x = torch.stack(
        [d**0.5 * module.items.weight[item] + module.positions.weight[-place] for place, item in places(items)]
    )
    for block in module.blocks:
        normed = block.attention_norm(x)
        q, k, v = block.attention.queries_keys_values(normed).split(d, dim=1)
        rows = []
        for t in range(len(items)):
            heads = []
            for h in range(n_heads):
                part = slice(h * size, (h + 1) * size)
                weights = torch.stack([q[t, part] @ k[s, part] / size**0.5 for s in range(t + 1)]).softmax(0)
                heads.append(sum(weights[s] * v[s, part] for s in range(t + 1)))
            rows.append(torch.cat(heads))
        added = block.attention.output(torch.stack(rows))
        gate = torch.sigmoid(block.attention_gate(x)) if hasattr(block, "attention_gate") else 1.0
        x = x + added * gate
        gate = torch.sigmoid(block.feed_forward_gate(x)) if hasattr(block, "feed_forward_gate") else 1.0
        x = x + block.feed_forward(block.feed_forward_norm(x)) * gate
    return module.norm(x)


def places(items: list[int]) -> list[tuple[int, int]]:
    """Each item, with minus its place from the end as an index of positions."""
    return [(t - len(items) + 1, item) for t, item in enumerate(items)]


@pytest.mark.parametrize("block", ["pre_norm", "ligr"])
def test_states_are_those_of_a_slow_loop_over_positions_and_heads(block: str):
    torch.manual_seed(0)
    module = SASRec(embedding_dim=8, n_heads=2, expansion=2, block=block, max_length=5).build(3, 10).eval()
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    history = HistoryBatch.from_history(History.of_items(ROWS), torch.device("cpu"))
    states = module.states(history, module.item_table())
    torch.testing.assert_close(states, torch.cat([slow_states(module, row) for row in ROWS]), rtol=1e-4, atol=1e-4)


def test_groups_of_similar_lengths_pad_each_sequence_to_the_longest_of_its_group(monkeypatch):
    monkeypatch.setattr(SimilarLengths, "sequences_per_group", 2)
    lengths = torch.tensor([4, 1, 3, 2, 5])
    groups = SimilarLengths(lengths, lengths.numpy())
    assert groups.shapes == [(2, 2), (2, 4), (1, 5)]
    packed = torch.arange(int(lengths.sum()))
    assert torch.equal(groups.positions[groups.places], packed)
    assert groups.places.unique().numel() == len(packed)
    assert len(groups.positions) == 4 + 8 + 5


def test_dropout_masks_its_share_and_preserves_the_expectation():
    torch.manual_seed(0)
    x = torch.ones(300, 101)
    dropped = ByteDropout(0.25)(x)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(ByteDropout(0.25).eval()(x), x)
    assert torch.equal(ByteDropout(0.0)(x), x)


def test_layers_that_do_not_fit_in_memory_are_refused(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 1000)
    with pytest.raises(UserError, match=r"Training on 128 sequences of 200 items, 64 numbers each, would take"):
        SASRec().fit(timed)
