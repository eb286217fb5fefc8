"""What viewers would have made of another model's lists, estimated from those that they were shown.

A film that was shown with a known probability, its propensity, stands for 1 / propensity chances to show it: so what
became of the films that another model lists too, weighted by that, tells what would have become of its lists (inverse
propensity scoring, IPS). The estimate is of films, since two models hardly ever share a whole list: whether a film is
clicked is taken to depend on viewer and film, and not on its place or on what stands beside it. That is the document
click model of Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen, "Offline Evaluation of Ranking Policies with
Click Models", KDD 2018. The self-normalised estimate (SNIPS) divides by the weights that came out where IPS divides by
those that were to be expected: a little biased, and far less spread (Swaminathan and Joachims, "The Self-Normalized
Estimator for Counterfactual Learning", NIPS 2015).

Films that the logging model could never have shown have no part in either. IPS takes them to be worth nothing, SNIPS to
be worth as much as the others; `support` tells how many of the other model's films they leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.evaluation.significance import Interval, bootstrap_ratio


@dataclass(frozen=True)
class OffPolicy:
    """What lists are worth: rewards a list, with intervals over viewers.

    Attributes:
        n_lists: that were shown.
        n_viewers: who saw them.
        observed: of the lists that were shown.
        ips: of the other model's lists, by inverse propensities; too low where support is below 1.
        snips: the same, self-normalised.
        support: the share of the other model's films that could have been shown, itself estimated, so that chance can
            take it above 1.
        effective_sample_size: films shown with equal weights that would tell as much (Kish, "Survey Sampling", 1965).
        largest_weight: of a single film that was shown.
    """

    n_lists: int
    n_viewers: int
    observed: Interval
    ips: Interval
    snips: Interval
    support: float
    effective_sample_size: float
    largest_weight: float


def off_policy(shown: pd.DataFrame, n_listed: float, seed: int = 0) -> OffPolicy:
    """Estimate what another model's lists are worth from what became of those that were shown.

    Args:
        shown: a row for each film of each list: `list_id`, `user_id`, `propensity` (above 0, at most 1: the probability
            with which the film came into the list), `reward` (0 or 1, or any worth) and `listed`, the probability with
            which the other model has the film in its list for the same moment (0 or 1 without chance).
        n_listed: films in a list of the other model, on average.
        seed: of the bootstrap.
    """
    weights = shown["listed"] / shown["propensity"]
    weighted = shown["reward"] * weights
    sums = shown[["reward"]].assign(weights=weights, weighted=weighted).groupby(shown["user_id"]).sum()
    n_lists = shown.groupby("user_id")["list_id"].nunique()
    total, squares = float(weights.sum()), float(np.square(weights).sum())
    return OffPolicy(
        n_lists=int(n_lists.sum()),
        n_viewers=len(n_lists),
        observed=bootstrap_ratio(sums["reward"], n_lists, seed),
        ips=bootstrap_ratio(sums["weighted"], n_lists, seed),
        snips=bootstrap_ratio(n_listed * sums["weighted"], sums["weights"], seed),
        support=total / int(n_lists.sum()) / n_listed,
        effective_sample_size=total**2 / squares if total else 0.0,
        largest_weight=float(weights.max()),
    )
