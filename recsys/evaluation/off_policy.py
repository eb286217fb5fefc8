"""Off-policy estimates: the rewards of an evaluated model's lists, estimated from the lists of a logging model.

An item that was shown with a known probability, its propensity, represents 1 / propensity opportunities to show it.
Inverse propensity scoring (IPS) therefore sums, over the logged items that the evaluated model also lists, the rewards
weighted by 1 / propensity, and divides the sum by the number of logged lists. The estimates are sums over items, since
two models rarely have a whole list in common: a click is assumed to depend on user and item, and not on the item's
position or on the other items of the list. This is the document click model of Li, Abbasi-Yadkori, Kveton,
Muthukrishnan, Vinay and Wen, "Offline Evaluation of Ranking Policies with Click Models", KDD 2018.

The expected sum of the weights is proportional to the number of logged lists, by which IPS divides. The self-normalised
estimate (SNIPS) uses the observed sum of the weights instead. SNIPS therefore has a small bias, but less variance
(Swaminathan and Joachims, "The Self-Normalized Estimator for Counterfactual Learning", NeurIPS 2015).

Items of the evaluated model that the logging model could not have shown contribute to neither estimate. IPS implicitly
assumes that their reward is 0, and SNIPS that it equals the mean reward of the items that could have been shown.
`OffPolicy.support` estimates how large a share of the evaluated model's items could have been shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.evaluation.intervals import Interval, bootstrap_ratio


@dataclass(frozen=True)
class OffPolicy:
    """Off-policy estimates of the mean reward per list, with bootstrap intervals over users.

    Attributes:
        n_lists: number of logged lists.
        n_users: number of users to whom the logged lists were shown.
        observed: mean reward of a logged list; the reward of a list is the sum of the rewards of its items.
        ips: mean reward of a list of the evaluated model, estimated by inverse propensity scoring. The estimate is
            biased downwards if `support` is below 1 and rewards are positive.
        snips: mean reward of a list of the evaluated model, by the self-normalised estimate; NaN if the evaluated model
            lists no logged item.
        support: estimated share of the evaluated model's items that the logging model could have shown; by chance, the
            estimate can exceed 1.
        effective_sample_size: number of equally weighted items that would give the same precision (Kish, "Survey
            Sampling", 1965); 0 if the evaluated model lists no logged item.
        largest_weight: largest weight of a logged item, `listed` / `propensity`; see `off_policy`.
    """

    n_lists: int
    n_users: int
    observed: Interval
    ips: Interval
    snips: Interval
    support: float
    effective_sample_size: float
    largest_weight: float


def off_policy(shown: pd.DataFrame, n_listed: float, seed: int = 0) -> OffPolicy:
    """Estimate the mean reward of an evaluated model's lists from the lists of a logging model.

    Args:
        shown: a row for each item of each logged list: `list_id`, `user_id`, `propensity` (the probability, above 0 and
            at most 1, with which the logging model put the item on the list), `reward` (0 or 1, or any other number)
            and `listed` (the probability with which the evaluated model lists the item in the same situation, which is
            0 or 1 if the model is deterministic).
        n_listed: mean number of items in a list of the evaluated model.
        seed: seed of the bootstrap.
    """
    weights = shown["listed"] / shown["propensity"]
    weighted = shown["reward"] * weights
    sums = shown[["reward"]].assign(weights=weights, weighted=weighted).groupby(shown["user_id"]).sum()
    n_lists = shown.groupby("user_id")["list_id"].nunique()
    total, squares = float(weights.sum()), float(np.square(weights).sum())
    return OffPolicy(
        n_lists=int(n_lists.sum()),
        n_users=len(n_lists),
        observed=bootstrap_ratio(sums["reward"], n_lists, seed),
        ips=bootstrap_ratio(sums["weighted"], n_lists, seed),
        snips=bootstrap_ratio(n_listed * sums["weighted"], sums["weights"], seed),
        support=total / int(n_lists.sum()) / n_listed,
        effective_sample_size=total**2 / squares if total else 0.0,
        largest_weight=float(weights.max()),
    )
