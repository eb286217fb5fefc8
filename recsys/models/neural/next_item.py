"""Objectives of sequence models: each position of a sequence learns to score the next item above others."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from recsys.errors import check_positive
from recsys.models.neural.objectives import Objective
from recsys.models.neural.sampling import Draw, Interactions
from recsys.models.neural.sequences import ItemSampler, SequenceBatch, SequenceEpoch, SequenceModule

# Number of logits that are computed together: as many as fit in a CPU's cache, or enough to keep other devices busy.
LOGITS_PER_PASS = {"cpu": 1 << 18}
LOGITS_PER_PASS_ELSEWHERE = 1 << 26


class NextItem(Objective):
    """Base class of objectives whose samples are users' sequences of items; each position predicts the next item.

    Args:
        max_length: maximum number of positions in a sequence; the latest ones are used.
        rated_only: whether items without training interactions are excluded from the negatives. A model that embeds
            items from their metadata would otherwise learn that these items are unpopular.
    """

    sampler: ItemSampler | None = None

    def __init__(self, max_length: int = 200, rated_only: bool = False) -> None:
        self.max_length = max_length
        self.rated_only = rated_only

    def epoch(self, train: Interactions, draw: Draw) -> SequenceEpoch:
        """See `Objective.epoch`."""
        return SequenceEpoch(train, draw, self.max_length, self.sampler)


class NextItemSoftmax(NextItem):
    """Cross-entropy of the next item over the whole catalogue, averaged over positions.

    Klenitskiy and Vasilev, "Turning Dross Into Gold Loss: Is BERT4Rec Really Better than SASRec?", RecSys 2023.
    """

    scores_catalogue = True

    def bind(self, train: Interactions) -> None:
        """See `Objective.bind`."""
        self.candidates = train.item_counts.nonzero().squeeze(1)

    def loss(self, module: SequenceModule, batch: SequenceBatch) -> Tensor:
        """See `Objective.loss`."""
        table, targets = module.item_table(), batch.targets
        states = module.states(batch.queries.history, table)
        if self.rated_only:
            table, targets = table[self.candidates], torch.searchsorted(self.candidates, targets)
        return product_softmax_loss(states, table, targets)


class SampledNextItem(NextItem):
    """Base class of next-item objectives with sampled negatives, which groups of consecutive positions share.

    Args:
        max_length: see `NextItem`.
        n_negatives: number n of negatives that the positions of a group share; see `ItemSampler`.
        negative_power: exponent p: negatives are drawn in proportion to popularity ** p, so 0 draws uniformly.
        rated_only: see `NextItem`.

    Raises:
        UserError: `n_negatives` is not above zero.
    """

    sampler: ItemSampler

    def __init__(
        self,
        max_length: int = 200,
        n_negatives: int = 256,
        negative_power: float = 0.0,
        rated_only: bool = False,
    ) -> None:
        super().__init__(max_length, rated_only)
        check_positive(n_negatives=n_negatives)
        self.n_negatives = n_negatives
        self.negative_power = negative_power

    @property
    def samples_per_interaction(self) -> int:
        """Return the number of scores per interaction: one for the next item, and one for each negative."""
        return 1 + self.n_negatives

    def bind(self, train: Interactions) -> None:
        """See `Objective.bind`."""
        self.sampler = ItemSampler(train, self.n_negatives, self.negative_power, self.rated_only)

    def logits(self, module: SequenceModule, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Return the logits of the next item, (P,), and of the negatives, (P, n), at each of P positions.

        Where a negative is the next item, its logit is -inf, so that it does not count.
        """
        items = module.item_table()
        states = module.states(batch.queries.history, items)
        n_groups, size = len(batch.negatives), self.sampler.positions_per_draw
        padding = n_groups * size - len(states)  # the last group may be smaller
        drawn = F.embedding(batch.negatives, items)  # (G, n, h)
        grouped = F.pad(states, (0, 0, 0, padding)).view(n_groups, size, -1) @ drawn.transpose(1, 2)  # (G, s, n)
        targets = F.pad(batch.targets, (0, padding)).view(n_groups, size, 1)
        negative = grouped.masked_fill(targets == batch.negatives.unsqueeze(1), -math.inf)
        positive = torch.linalg.vecdot(states, F.embedding(batch.targets, items))
        return positive, negative.flatten(0, 1)[: len(states)]


class SampledNextItemSoftmax(SampledNextItem):
    """Estimate of the cross-entropy over the whole catalogue, from the next item and sampled negatives.

    In the normaliser, a negative with probability q in each of n draws counts 1 / (n q) times, and the next item once.
    This is the logQ correction (Bengio and Senecal, "Adaptive Importance Sampling to Accelerate Training of a Neural
    Probabilistic Language Model", IEEE TNN 2008) for a positive that is always included (Khrylchenko et al.,
    "Correcting the LogQ Correction: Revisiting Sampled Softmax for Large-Scale Retrieval", RecSys 2025).
    """

    def loss(self, module: SequenceModule, batch: SequenceBatch) -> Tensor:
        """See `Objective.loss`."""
        positive, negative = self.logits(module, batch)
        log_q = self.sampler.log_q[batch.negatives] + math.log(self.n_negatives)  # (G, n)
        by_position = log_q.repeat_interleave(self.sampler.positions_per_draw, dim=0)[: len(positive)]
        others = torch.logsumexp(negative - by_position, dim=1)
        return F.softplus(others - positive).mean()


class GBCE(SampledNextItem):
    """Generalised binary cross-entropy of gSASRec.

    Petrov and Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
    Sampling", RecSys 2023, equations 13 to 16. sigmoid(s) of the next item is raised to the power
    b = a (t (1 - 1 / a) + 1 / a), where a is the number of negatives divided by the number of items that can be drawn,
    not counting the next item. This corrects the overconfidence caused by a small number of negatives.

    Unlike in the paper, s is the logit plus log(b / n), the log-odds of an average item. Without this constant, the
    vectors first learn it as a component that all of them have in common. This component masks the differences between
    items, so that the model is no more accurate than popularity for many epochs. Lin et al., "Focal Loss for Dense
    Object Detection", ICCV 2017, initialise a bias in the same way.

    Args:
        max_length: see `NextItem`.
        n_negatives: see `SampledNextItem`.
        negative_power: see `SampledNextItem`.
        calibration: the paper's t: 0 is the log loss, 1 calibrates the scores fully.
        rated_only: see `NextItem`.

    Raises:
        UserError: `n_negatives` is not above zero.
    """

    def __init__(
        self,
        max_length: int = 200,
        n_negatives: int = 256,
        negative_power: float = 0.0,
        calibration: float = 0.75,
        rated_only: bool = False,
    ) -> None:
        super().__init__(max_length, n_negatives, negative_power, rated_only)
        self.calibration = calibration

    def loss(self, module: SequenceModule, batch: SequenceBatch) -> Tensor:
        """See `Objective.loss`."""
        positive, negative = self.logits(module, batch)
        drawn = min(1.0, self.n_negatives / max(1, self.sampler.n_items - 1))
        power = drawn * (self.calibration * (1 - 1 / drawn) + 1 / drawn)
        prior = math.log(power / self.n_negatives)
        n_scores = len(positive) * (1 + self.n_negatives)
        return (power * F.softplus(-positive - prior).sum() + F.softplus(negative + prior).sum()) / n_scores


def product_softmax_loss(states: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of the logits `states @ items.T`, (P, n_items), without storing all of them.

    Args:
        states: (P, h) states of the positions.
        items: (n_items, h) vectors of the items.
        targets: int64 (P,) next item of each position.
    """
    with torch.autocast(states.device.type, enabled=False):  # sums over many positions need float32
        return _ProductSoftmax.apply(states.float(), items.float(), targets)


class _ProductSoftmax(Function):
    """Computes the loss together with its gradients, a few rows of logits at a time, which fit in a CPU's cache.

    Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", ICLR 2025, do the same to save memory.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        state_gradient, item_gradient = torch.empty_like(states), torch.zeros_like(items)
        losses = states.new_empty(len(states))
        size = max(1, LOGITS_PER_PASS.get(states.device.type, LOGITS_PER_PASS_ELSEWHERE) // len(items))
        for start in range(0, len(states), size):
            part = slice(start, start + size)
            rows = torch.arange(len(targets[part]), device=states.device)
            gradient = (states[part] @ items.T).softmax(dim=1)
            losses[part] = -gradient[rows, targets[part]].clamp(min=torch.finfo(torch.float32).tiny).log()
            gradient[rows, targets[part]] -= 1
            torch.mm(gradient, items, out=state_gradient[part])
            item_gradient.addmm_(gradient.T, states[part])
        ctx.save_for_backward(state_gradient, item_gradient)
        return losses.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        state_gradient, item_gradient = ctx.saved_tensors
        scale = gradient / len(state_gradient)
        return state_gradient * scale, item_gradient * scale, None


NEXT_ITEM_OBJECTIVES: dict[str, type[Objective]] = {
    "softmax": NextItemSoftmax,
    "sampled_softmax": SampledNextItemSoftmax,
    "gbce": GBCE,
}
