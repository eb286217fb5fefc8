import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from recsys.models.losses import bpr_loss, log_loss, sampled_softmax_loss
from recsys.models.sampling import UserBatch

from recsys.models.neural.batches import SampledBatch
from recsys.models.neural.objectives import shared_softmax_loss, softmax_loss

UNIFORM = torch.full((4,), math.log(0.25))


def sampled(items: list[list[int]], log_q: torch.Tensor = UNIFORM) -> SampledBatch:
    return SampledBatch(torch.zeros(len(items), dtype=torch.long), torch.tensor(items), log_q)


def test_log_loss_is_binary_cross_entropy_of_positives_and_negatives():
    logits = torch.tensor([[2.0, -1.0, 0.5], [-0.3, 0.0, 4.0]])
    labels = torch.tensor([[1.0, 0, 0], [1, 0, 0]])
    expected = F.binary_cross_entropy_with_logits(logits, labels)
    assert torch.isclose(log_loss(logits, sampled([[0, 1, 2], [1, 2, 3]])), expected)


def test_bpr_loss_is_minus_the_log_of_the_chance_to_rank_right():
    logits = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    expected = -(math.log(1 / (1 + math.exp(-3))) + math.log(1 / (1 + math.exp(3)))) / 2
    assert bpr_loss(logits, sampled([[0, 1], [1, 2]])).item() == pytest.approx(expected, abs=1e-6)


def test_uniform_sampled_softmax_is_cross_entropy_among_the_drawn():
    logits = torch.tensor([[2.0, -1.0, 0.5], [-0.3, 0.0, 4.0]])
    expected = F.cross_entropy(logits, torch.zeros(2, dtype=torch.long))
    assert torch.isclose(sampled_softmax_loss(logits, sampled([[0, 1, 2], [1, 2, 3]])), expected)


def test_the_correction_makes_a_popular_sample_stand_for_the_whole_catalogue():
    """Averaged over draws, the corrected gradient tends to that of the full softmax; the uncorrected does not."""
    torch.manual_seed(0)
    scores = torch.tensor([1.0, 0.0, -1.0, 0.5], requires_grad=True)
    q = torch.tensor([0.55, 0.3, 0.1, 0.05])
    positives = torch.zeros(400, 1, dtype=torch.long)
    items = torch.cat([positives, torch.multinomial(q, 400 * 2000, replacement=True).view(400, 2000)], dim=1)
    full = F.cross_entropy(scores.unsqueeze(0), torch.tensor([0]))
    gradient = torch.autograd.grad(full, scores)[0]
    corrected = torch.autograd.grad(sampled_softmax_loss(scores[items], sampled(items.tolist(), q.log())), scores)[0]
    uncorrected = torch.autograd.grad(sampled_softmax_loss(scores[items], sampled(items.tolist())), scores)[0]
    assert torch.allclose(corrected, gradient, atol=0.01)
    assert (uncorrected - gradient).abs().max() > 0.1


def test_softmax_loss_is_cross_entropy_over_all_films():
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    rows, items = torch.tensor([0, 0, 2]), torch.tensor([4, 1, 0])
    expected = F.cross_entropy(logits[rows], items)
    assert torch.isclose(
        softmax_loss(logits, UserBatch(torch.arange(3), rows, items, torch.ones(len(items)))), expected
    )


def test_shared_softmax_counts_each_film_for_those_left_out_and_own_positives_once():
    logits = torch.tensor([[1.0, 0.5, -2.0], [0.3, 0.1, 2.0]])
    batch = UserBatch(torch.arange(2), torch.tensor([0, 1, 1]), torch.tensor([0, 1, 2]), torch.ones(3))
    included = torch.tensor([0.5, 0.25, 0.1])
    weights = torch.tensor([[1.0, 4.0, 10.0], [2.0, 1.0, 1.0]])
    normalisers = (weights * logits.exp()).sum(dim=1).log()
    expected = (normalisers[0] - 1.0 + normalisers[1] - 0.1 + normalisers[1] - 2.0) / 3
    assert torch.isclose(shared_softmax_loss(logits, batch, included.log()), expected)
