"""Paired comparison of two models by a crossed bootstrap over three random factors: users, splits and seeds.

Users, splits and seeds are resampled independently of each other. The metric of one user on one split with one seed is
weighted by the product of three numbers: how often the user, the split and the seed were drawn (Owen, "The Pigeonhole
Bootstrap", AOAS 2007). Intervals therefore generalise to other users, splits and seeds, if several of each were tested.
Of n users, splits or seeds, n - 1 are drawn with replacement. This makes the variance of a mean unbiased even if n is
small, as for three seeds (Rao and Wu, "Resampling Inference with Complex Survey Data", JASA 1988).
Intervals are still too narrow if there are only two to five seeds or splits, and these vary more than the users do:
when two equally good models with three seeds were simulated repeatedly, a fifth of the p-values were below 5%.

In each resample, users and splits have the same weights for both models, since users differ far more than models do
(Smucker, Allan and Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval Evaluation",
CIKM 2007).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from recsys.evaluation.intervals import LEVEL, N_RESAMPLES, Interval
from recsys.evaluation.significance import effect_size

UserMetrics = Mapping[tuple[int, str], pd.Series]  # (seed, split) -> a metric of one model, indexed by user

EQUIVALENCE_LEVEL = 0.9  # level of the interval for equivalence, which corresponds to two one-sided tests at 5%
_BATCH_SIZE = 2**22  # number of weights that are drawn at a time


@dataclass(frozen=True)
class Difference:
    """The difference between two models in the mean of a metric.

    Attributes:
        n_users: number of users on whom both models were tested.
        interval: the difference with its 95% percentile interval. The ends are NaN if all resampled differences are
            equal, for example if there are only one user, one split and one seed.
        equivalence: the difference with its 90% interval. The models are equivalent within a margin if this interval is
            between -margin and margin (Schuirmann, "A Comparison of the Two One-Sided Tests Procedure and the Power
            Approach for Assessing the Equivalence of Average Bioavailability", Journal of Pharmacokinetics and
            Biopharmaceutics 1987).
        standard_error: standard deviation of the resampled differences.
        effect_size: effect size over users; see `recsys.evaluation.significance.effect_size`.
        p_value: two-sided p-value 2 (1 + m) / (1 + N), at most 1. N is the number of resampled differences; m is the
            number of those that are at most 0, or of those that are at least 0, whichever is smaller. The p-value is 1
            if there are only one user, one split and one seed, which cannot be resampled.
    """

    n_users: int
    interval: Interval
    equivalence: Interval
    standard_error: float
    effect_size: float
    p_value: float

    def is_equivalent(self, margin: float) -> bool:
        """Return whether two one-sided tests at the 5% level show that the difference is between -margin and margin."""
        return -margin < self.equivalence.low and self.equivalence.high < margin

    def lower_bound(self, error: float) -> float:
        """Return the one-sided lower confidence bound of the difference at level 1 - `error`.

        The bound is computed from Student's t distribution with `n_users` - 1 degrees of freedom, since resamples
        cannot estimate quantiles far below 5%. It is NaN if there is a single user.

        Args:
            error: probability, from 0 to 1, that the difference is below the bound.
        """
        return self.interval.mean + float(stdtrit(self.n_users - 1, error)) * self.standard_error


def compare(model: UserMetrics, baseline: UserMetrics) -> Difference | None:
    """Compare two models on the pairs of split and user on which both were tested; None if there is no such pair.

    Values are averaged over users, then over seeds, then over splits, as in the tables of runs. The two models may have
    been tested with different seeds.

    Args:
        model: values of a metric for one model; NaN marks users who were not tested.
        baseline: values of the same metric for the other model; they are subtracted from the values of `model`.
    """
    shared = _tested(model).intersection(_tested(baseline))  # pairs of split and user
    if shared.empty:
        return None
    pair = {"model": _restricted(model, shared), "baseline": _restricted(baseline, shared)}
    draws = resampled_means(pair)
    differences = draws["model"] - draws["baseline"]
    differences = differences[np.isfinite(differences)]
    observed = split_means(pair["model"]).mean() - split_means(pair["baseline"]).mean()
    of_users = (_seed_means(pair["model"]) - _seed_means(pair["baseline"])).groupby(level="user").mean().to_numpy()
    n_seeds_and_splits = (len(set(factor)) for own in pair.values() for factor in zip(*own, strict=True))
    is_resampled = max(len(of_users), *n_seeds_and_splits) > 1
    return Difference(
        len(of_users),
        _interval(float(observed), differences, LEVEL),
        _interval(float(observed), differences, EQUIVALENCE_LEVEL),
        float(differences.std()),
        effect_size(of_users),
        _p_value(differences) if is_resampled else 1.0,
    )


def split_means(values: UserMetrics) -> pd.Series:
    """Return the mean of a metric over users, then over seeds, indexed by split; users with NaN are left out."""
    means = pd.Series([own.mean() for own in values.values()], index=[split for _, split in values])
    return means.groupby(level=0, sort=False).mean()


def resampled_means(values: Mapping[str, UserMetrics], seed: int = 0) -> dict[str, np.ndarray]:
    """Resample the mean of a metric over users, seeds and splits, for several models.

    A resampled value is the mean of `split_means` over the drawn splits, so a split that was tested with more seeds
    than others does not count more. If a resample draws none of the seeds with which a split was tested, all of these
    seeds get the same weight in this split.

    Args:
        values: a metric, keyed by the name of the model; users who were not tested have NaN or are missing.
        seed: seed of the bootstrap.

    Returns:
        float32 (`N_RESAMPLES`,) for each model, with NaN for resamples in which none of the drawn users was tested on a
        drawn split. Within a resample, users and splits have the same weights for all models, while seeds are drawn
        independently for each model.
    """
    splits = sorted({split for own in values.values() for _, split in own})
    users = pd.Index([]).union(pd.concat([s for own in values.values() for s in own.values()]).index).unique()
    cells = {name: _cells(own, splits, users) for name, own in values.items()}
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in values}
    for size in _batch_sizes(len(users)):
        of_users, of_splits = _weights(rng, size, len(users)), _weights(rng, size, len(splits))
        for name, (sums, counts) in cells.items():
            of_seeds = _weights(rng, size, len(sums))
            n_tested = counts @ of_users.T  # (n_seeds, n_splits, size); 0 where no user of a split is drawn
            means = (sums @ of_users.T) / np.maximum(n_tested, 1)
            weights = _seed_weights(of_seeds, n_tested > 0) * of_splits.T
            with np.errstate(invalid="ignore"):
                drawn[name].append((weights * means).sum(axis=(0, 1)) / weights.sum(axis=(0, 1)))
    return {name: np.concatenate(own) for name, own in drawn.items()}


def _tested(values: UserMetrics) -> pd.MultiIndex:
    """Return the pairs of split and user on which a model was tested with at least one seed."""
    return _seed_means(values).index  # type: ignore[return-value]


def _seed_means(values: UserMetrics) -> pd.Series:
    """Return the mean of a metric over seeds, indexed by split and user; users who were not tested are left out."""
    frame = pd.concat(list(values.values()), keys=[split for _, split in values], names=["split", "user"])
    return frame.dropna().groupby(level=[0, 1]).mean()


def _restricted(values: UserMetrics, shared: pd.MultiIndex) -> UserMetrics:
    """Return only the values whose pair of split and user is in the index `shared`."""
    users = {split: shared[shared.get_level_values(0) == split].droplevel(0) for split in shared.unique(0)}
    return {(seed, split): own.reindex(users[split]) for (seed, split), own in values.items() if split in users}


def _cells(values: UserMetrics, splits: Sequence[str], users: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """Return a metric as dense arrays, float32 (n_seeds, n_splits, n_users).

    Returns:
        The values, which are 0 for users who were not tested; and an array that is 1 where a user was tested, else 0.
    """
    seeds = sorted({seed for seed, _ in values})
    cells = np.full((len(seeds), len(splits), len(users)), np.nan, np.float32)
    for (seed, split), own in values.items():
        cells[seeds.index(seed), splits.index(split)] = own.reindex(users)
    return np.nan_to_num(cells), np.isfinite(cells).astype(np.float32)


def _seed_weights(of_seeds: np.ndarray, is_tested: np.ndarray) -> np.ndarray:
    """Return the weight of each seed within each split in each resample, (n_seeds, n_splits, size).

    The weights of a split's seeds sum to the same number for all splits.

    Args:
        of_seeds: float32 (size, n_seeds) how often each seed was drawn in each resample.
        is_tested: bool (n_seeds, n_splits, size) whether any drawn user was tested on the split with the seed.
    """
    weights = of_seeds.T[:, None] * is_tested
    weights = np.where(weights.any(axis=0), weights, is_tested)
    return weights * (of_seeds.sum(axis=1) / np.maximum(weights.sum(axis=0), 1))


def _weights(rng: np.random.Generator, size: int, n: int) -> np.ndarray:
    """Draw n - 1 of n units with replacement, `size` times, and return how often each unit was drawn.

    Returns:
        float32 (size, n) counts; if n is 1, all counts are 1.
    """
    if n == 1:
        return np.ones((size, 1), np.float32)
    chosen = rng.integers(n, size=(size, n - 1)) + n * np.arange(size)[:, None]
    return np.bincount(chosen.ravel(), minlength=size * n).reshape(size, n).astype(np.float32)


def _batch_sizes(n_users: int) -> Iterator[int]:
    size = max(1, _BATCH_SIZE // max(1, n_users))
    for start in range(0, N_RESAMPLES, size):
        yield min(size, N_RESAMPLES - start)


def _p_value(draws: np.ndarray) -> float:
    n_opposite = min((draws <= 0).sum(), (draws >= 0).sum())
    return min(1.0, 2 * float(1 + n_opposite) / (1 + len(draws)))


def _interval(observed: float, draws: np.ndarray, level: float) -> Interval:
    if np.ptp(draws) == 0:
        return Interval(observed, np.nan, np.nan)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(observed, float(low), float(high))
