"""Measures how well two evaluation protocols agree on the order of models, by Kendall's tau.

Two protocols can order models differently because they ask different questions, or because the differences between
models are within the noise. For comparison, the effect of noise alone is measured by the tau between two resamples of
the users, splits and seeds of one protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from recsys.evaluation.intervals import LEVEL
from recsys.evaluation.resampling import resampled_means, split_means
from recsys.metrics.direction import sign
from recsys.studies.outcome import Outcome, outcomes_by_row
from recsys.studies.study import Study
from recsys.studies.study_statistics import user_metrics

_ENDS = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
COLUMNS = [
    "setting",
    "metric",
    "other_setting",
    "other_metric",
    "rows",
    "tau",
    "low",
    "high",
    "noise_low",
    "noise_high",
]


def order_agreement(study: Study, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Compare the orders of a study's rows (models) under all pairs of protocols.

    A protocol is here a setting of the study together with one of its metrics: its main metric, or a variant of
    it whose name differs only in the part after `/`, such as `ndcg@10/sampled99` for the main metric `ndcg@10`.

    Returns:
        A frame with a row for each pair of protocols that have at least three rows in common. Its columns are `setting`
        and `metric` of the first protocol; `other_setting` and `other_metric` of the second; the number of common
        `rows`; `tau` with the ends `low` and `high` of its 95% percentile interval; and the ends `noise_low` and
        `noise_high` of the interval of tau between two resamples of the noisier protocol.
    """
    observed, resampled = {}, {}
    for seed, (name, setting) in enumerate(study.settings.items()):
        by_row = outcomes_by_row(setting, [outcome for outcome in outcomes if outcome.setting == name])
        values = {row: user_metrics(own, setting.metrics) for row, own in by_row.items()}
        for metric in setting.metrics:
            if metric.partition("/")[0] != setting.metrics[0].partition("/")[0]:
                continue
            users = {row: by_metric[metric] for row, by_metric in values.items() if metric in by_metric}
            if users:
                means = pd.Series({row: split_means(own).mean() for row, own in users.items()})
                observed[name, metric] = sign(metric) * means
                resampled[name, metric] = sign(metric) * pd.DataFrame(resampled_means(users, seed))
    return _agreement(observed, resampled)


def _agreement(
    observed: Mapping[tuple[str, str], pd.Series], resampled: Mapping[tuple[str, str], pd.DataFrame]
) -> pd.DataFrame:
    """Compare each pair of protocols on the rows (models) that both protocols have.

    Args:
        observed: (setting, metric) -> series of means indexed by row.
        resampled: (setting, metric) -> frame with a column of resampled means for each row.

    Returns:
        A frame with the columns `COLUMNS`.
    """
    records = []
    for one, other in combinations(observed, 2):
        rows = observed[one].index.intersection(observed[other].index)
        if len(rows) < 3:
            continue
        draws = [resampled[each][rows].to_numpy() for each in (one, other)]
        noise = min((kendall_tau(own, np.roll(own, 1, axis=0)) for own in draws), key=np.mean)
        tau = kendall_tau(*(observed[each][rows].to_numpy()[None] for each in (one, other)))[0]
        ends = (*np.quantile(kendall_tau(*draws), _ENDS), *np.quantile(noise, _ENDS))
        records.append((*one, *other, len(rows), tau, *ends))
    return pd.DataFrame(records, columns=COLUMNS)


def kendall_tau(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Kendall's tau-b between each row of one array and the row with the same index of another array.

    It is 0 where a row of either array has only equal values.

    Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 1945.

    Args:
        one: (n_draws, n) values.
        other: (n_draws, n) values.

    Returns:
        float64 (n_draws,).
    """
    first, second = np.triu_indices(one.shape[1], 1)
    signs = [np.sign(values[:, first] - values[:, second]) for values in (one, other)]
    n_ordered = [np.abs(own).sum(axis=1) for own in signs]
    return (signs[0] * signs[1]).sum(axis=1) / np.sqrt(np.maximum(n_ordered[0] * n_ordered[1], 1))
