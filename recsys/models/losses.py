"""Losses: what it costs to score a film that was not watched above one that was, or to be wrong about stars.

Each takes a module's logits for a training batch, and the batch. Logits of a `SampledBatch` are (B, 1 + n): the first
column is the positive, the others are its negatives. Those of a `RatedBatch` are (B, 1), of a `UserBatch` (B, n_items).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor

from recsys.models.sampling import RatedBatch, SampledBatch, UserBatch


def log_loss(logits: Tensor, batch: SampledBatch) -> Tensor:
    """Binary cross-entropy, positives against sampled negatives: He et al., WWW 2017, equation 7."""
    positive, negatives = logits[:, 0], logits[:, 1:]
    return (F.softplus(-positive).sum() + F.softplus(negatives).sum()) / logits.numel()


def bpr_loss(logits: Tensor, batch: SampledBatch) -> Tensor:
    """Bayesian personalised ranking: Rendle et al., UAI 2009."""
    return F.softplus(logits[:, 1:] - logits[:, :1]).mean()


def sampled_softmax_loss(logits: Tensor, batch: SampledBatch) -> Tensor:
    """Cross-entropy among a positive and its negatives, corrected for how often a film is drawn (logQ).

    Bengio and Senecal, IEEE TNN 2008; Yi et al., RecSys 2019.
    """
    corrected = logits - batch.log_q[batch.items]
    return (torch.logsumexp(corrected, dim=1) - corrected[:, 0]).mean()


def softmax_loss(logits: Tensor, batch: UserBatch) -> Tensor:
    """Cross-entropy over the whole catalogue, the mean over positives: Liang et al., WWW 2018, equation 2."""
    normalisers = torch.logsumexp(logits, dim=1)  # (B,)
    return (normalisers[batch.rows] - logits[batch.rows, batch.items]).mean()


def squared_loss(logits: Tensor, batch: RatedBatch) -> Tensor:
    """Mean squared error of stars: Koren, Bell and Volinsky, IEEE Computer 2009, equation 5."""
    return (logits.squeeze(1) - batch.ratings).square().mean()


def shared_softmax_loss(logits: Tensor, batch: UserBatch, log_included: Tensor) -> Tensor:
    """Cross-entropy over films of which the batch has some: each stands for those left out.

    A film that is in the batch with probability p counts 1 / p times in the normaliser, as the logQ correction of Yi et
    al., RecSys 2019; a user's own positives are there for certain, and count once.

    Args:
        logits: (B, C).
        batch: its items are columns.
        log_included: float32 (C,) log p.
    """
    own = (batch.rows, batch.items)
    return softmax_loss((logits - log_included.to(logits.dtype)).index_put(own, logits[own]), batch)
