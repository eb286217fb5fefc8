"""Objectives: what the training samples are, how an epoch draws them, their loss, and the validation metrics.

To add a loss, write a subclass of `Objective`, in this or any other package. A model lists the objectives that it
accepts in `NeuralRecommender.objectives`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import Tensor

from recsys.errors import check_positive
from recsys.models.neural.batches import HistoryBatch, QueryBatch, RatingBatch, SampledBatch
from recsys.models.neural.monitors import Monitor, RankingMonitor, RatingMonitor
from recsys.models.neural.sampling import Draw, Interactions, NegativeSampler, RatingEpoch, SampledEpoch, UserEpoch


class Epoch(Protocol):
    """The batches of one epoch."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


class Objective(ABC):
    """A training objective, from which `NeuralModule.training_step` gets the loss.

    Each argument of the constructor is a hyperparameter of the recommender with the same name. A loss must be computed
    without waiting for the device: no `.item()`, no NumPy.

    Some models train their submodules in turn (such as `recsys.models.rec_vae.RecVAE`). The epoch of their objective
    yields separate batches for each submodule, and the loss of a batch gives gradients only to its submodule. Weights
    without a gradient do not change.
    """

    monitor: ClassVar[Monitor] = RankingMonitor()  # what validation measures
    predicts_ratings: ClassVar[bool] = False  # True: the module's output is a difference from the mean rating
    scores_catalogue: ClassVar[bool] = False  # True: a step scores all items, not only some for each user

    @property
    def samples_per_interaction(self) -> int:
        """Return the number of scores computed per training interaction, for reports of speed."""
        return 1

    def bind(self, train: Interactions) -> None:  # noqa: B027  not every objective needs it
        """Prepare to draw from training interactions on the training device; called before the first epoch."""

    @abstractmethod
    def epoch(self, train: Interactions, draw: Draw) -> Epoch:
        """Return this process's share of the batches of an epoch; they must depend only on `train` and `draw`."""

    @abstractmethod
    def loss(self, module: Any, batch: Any) -> Tensor:
        """Return the loss, a scalar tensor, of a module on one of the batches of `epoch`."""

    def after_epoch(self, module: Any) -> None:  # noqa: B027
        """Change the module at the end of an epoch, before validation; by default, do nothing."""


class Sampled(Objective):
    """Base class of objectives that compare positives with sampled negatives; see `NegativeSampler`.

    Args:
        n_negatives: number of negatives drawn for each positive in each epoch.
        negative_power: exponent p: negatives are drawn in proportion to popularity ** p, so 0 draws uniformly.

    Raises:
        UserError: `n_negatives` is not above zero.
    """

    def __init__(self, n_negatives: int = 4, negative_power: float = 0.0) -> None:
        check_positive(n_negatives=n_negatives)
        self.n_negatives = n_negatives
        self.negative_power = negative_power

    @property
    def samples_per_interaction(self) -> int:
        """Return the number of scores per interaction: one for the positive, and one for each of its negatives."""
        return 1 + self.n_negatives

    def bind(self, train: Interactions) -> None:
        """See `Objective.bind`."""
        self.sampler = NegativeSampler(train, self.negative_power)

    def epoch(self, train: Interactions, draw: Draw) -> SampledEpoch:
        """See `Objective.epoch`."""
        return SampledEpoch(train, self.sampler, self.n_negatives, draw)

    def loss(self, module: Any, batch: SampledBatch) -> Tensor:
        """See `Objective.loss`."""
        return self.cost(module(batch.queries, batch.items), batch)

    @abstractmethod
    def cost(self, logits: Tensor, batch: SampledBatch) -> Tensor:
        """Return the loss, a scalar, given logits (B, 1 + n_negatives) with the positives in the first column."""


class LogLoss(Sampled):
    """Binary cross-entropy, averaged over positives and sampled negatives.

    He, Liao, Zhang, Nie, Hu and Chua, "Neural Collaborative Filtering", WWW 2017, equation 7.
    """

    def cost(self, logits: Tensor, batch: SampledBatch) -> Tensor:
        """See `Sampled.cost`; -log(sigmoid(x)) is softplus(-x), and -log(1 - sigmoid(x)) is softplus(x)."""
        positive, negatives = logits[:, 0], logits[:, 1:]
        return (F.softplus(-positive).sum() + F.softplus(negatives).sum()) / logits.numel()


class BPR(Sampled):
    """Bayesian personalised ranking: -log(sigmoid(x_i - x_j)), averaged over pairs of a positive i and a negative j.

    Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI
    2009, without the paper's regularisation, which `Optimization.weight_decay` can replace. An epoch has each positive
    once, whereas the paper draws positives with replacement.
    """

    def cost(self, logits: Tensor, batch: SampledBatch) -> Tensor:
        """See `Sampled.cost`; -log(sigmoid(x)) is softplus(-x)."""
        return F.softplus(logits[:, 1:] - logits[:, :1]).mean()


class SampledSoftmax(Sampled):
    """Cross-entropy over a positive and its negatives, with the logQ correction.

    From the logit of each item, the positive included, the log probability of drawing this item as a negative is
    subtracted. If negatives are drawn uniformly, the correction therefore changes nothing.

    Bengio and Senecal, "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model",
    IEEE TNN 2008; Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys
    2019.
    """

    def cost(self, logits: Tensor, batch: SampledBatch) -> Tensor:
        """See `Sampled.cost`."""
        corrected = logits - batch.log_q[batch.items]
        return (torch.logsumexp(corrected, dim=1) - corrected[:, 0]).mean()


class ByUser(Objective):
    """Base class of objectives in which a sample is a user with all of the user's interactions."""

    scores_catalogue = True

    def epoch(self, train: Interactions, draw: Draw) -> UserEpoch:
        """See `Objective.epoch`."""
        return UserEpoch(train, draw)


class Softmax(ByUser):
    """Cross-entropy of a user's items over the whole catalogue, averaged over the interactions of a batch.

    Liang, Krishnan, Hoffman and Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018, equation 2.
    """

    def loss(self, module: Any, batch: QueryBatch) -> Tensor:
        """See `Objective.loss`."""
        return softmax_loss(module(batch), batch.history)


class SquaredError(Objective):
    """Mean squared error of ratings.

    Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009, equation 5,
    without the paper's regularisation, which `Optimization.weight_decay` can replace. The module predicts the
    difference between a rating and the mean training rating.
    """

    monitor = RatingMonitor()
    predicts_ratings = True

    def bind(self, train: Interactions) -> None:
        """See `Objective.bind`."""
        self.mean_rating = train.mean_rating

    def epoch(self, train: Interactions, draw: Draw) -> RatingEpoch:
        """See `Objective.epoch`."""
        return RatingEpoch(train, draw)

    def loss(self, module: Any, batch: RatingBatch) -> Tensor:
        """See `Objective.loss`."""
        predicted = module(batch.queries, batch.items).squeeze(1)
        return (predicted - (batch.ratings - self.mean_rating)).square().mean()


def softmax_loss(logits: Tensor, positives: HistoryBatch) -> Tensor:
    """Return the softmax cross-entropy of the positives, averaged over all positives.

    Args:
        logits: float (B, C) logits of C items for each user.
        positives: the users' positives; `items` are column indices into `logits`.
    """
    normalisers = torch.logsumexp(logits, dim=1)  # (B,)
    return (normalisers[positives.rows] - logits[positives.rows, positives.items]).mean()


def multinomial_log_likelihood(logits: Tensor, positives: HistoryBatch) -> Tensor:
    """Return the log likelihood of all positives of a user, averaged over users; arguments as for `softmax_loss`."""
    return -len(positives.items) / len(logits) * softmax_loss(logits, positives)


def shared_softmax_loss(logits: Tensor, positives: HistoryBatch, log_included: Tensor) -> Tensor:
    """Return the softmax cross-entropy of the positives over a sample of items, which all users of a batch share.

    The loss is averaged over all positives. An item that is in the sample with probability p counts 1 / p times in the
    normaliser, as in the logQ correction of Yi et al. (see `SampledSoftmax`). A user's own positives are always in the
    sample and count once.

    Args:
        logits: float32 (B, C) logits of the C items of the sample for each user.
        positives: the users' positives; `items` are column indices into `logits`.
        log_included: float32 (C,) log p of each item of the sample.
    """
    own = (positives.rows, positives.items)
    return softmax_loss((logits - log_included.to(logits.dtype)).index_put(own, logits[own]), positives)


# The objectives of models that rank, and can score any selection of items for each user.
RANKING_OBJECTIVES: dict[str, type[Objective]] = {
    "log": LogLoss,
    "bpr": BPR,
    "sampled_softmax": SampledSoftmax,
    "softmax": Softmax,
}
OBJECTIVES: dict[str, type[Objective]] = {**RANKING_OBJECTIVES, "squared": SquaredError}
