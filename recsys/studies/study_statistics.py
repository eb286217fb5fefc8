"""Statistics of a study's rows (models): mean and deviation of metrics, comparison with a baseline, and cost.

The result of a row is its mean over seeds. If the setting has several variants, such as folds, the result of a seed is
the mean over all variants, so that the standard deviation measures the effect of the seed and not that of the fold.
Seeds for which a variant has not finished are excluded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recsys.evaluation.resampling import UserMetrics, compare
from recsys.metrics.direction import sign
from recsys.studies.outcome import Outcome, complete_runs
from recsys.studies.runs import Run
from recsys.studies.study import Row, Setting, row_dependencies

COMPLETE, FAILED, NOT_RUN = "complete", "failed", "not run"
COMPARED = ["metric", "row", "baseline", "users", "difference", "low", "high", "effect_size", "p"]


def row_statistics(setting: Setting, baselines: Sequence[str], by_row: Mapping[str, Sequence[Outcome]]) -> pd.DataFrame:
    """Compute the statistics behind the table of a study's setting (data, split and protocol).

    Args:
        setting: setting of the table.
        baselines: names of the rows that are baselines. All other rows are compared with the baseline that is best on
            validation.
        by_row: outcomes of each row.

    Returns:
        A frame with a row for each metric and each row of the table. Its columns are `metric` and `row`; `status`
        (complete, failed, not run); the number of `seeds`, with the `mean` and the sample standard deviation `std` over
        seeds; the result `published` by others; the number of `configurations` compared; mean `seconds` and
        `cpu_seconds` of training (see `training_seconds`); the highest `memory_mib` of the process; and the comparison
        with the `baseline`: the number of its `users`, the mean `difference` over these users with the ends `low` and
        `high` of its confidence interval, the `effect_size` and the p-value `p`. Values that do not exist are NaN.

    Raises:
        UserError: a finished run was not tested.
    """
    baseline = best_baseline(setting, baselines, by_row)
    compared = [] if baseline is None else _comparisons(setting.metrics, baseline, by_row)
    results = _results(setting, by_row)
    return results.merge(pd.DataFrame(compared, columns=COMPARED), how="left", on=["metric", "row"])


def seed_means(outcomes: Sequence[Outcome], metric: str) -> pd.Series:
    """Average a metric over the variants of a row (model), and return the means indexed by seed.

    Seeds for which a variant has not finished are left out; the mean is NaN if the run of a variant lacks the metric.

    Args:
        outcomes: all outcomes of the row.
        metric: name of the metric, such as `test/ndcg@10`.
    """
    runs = complete_runs(outcomes)
    values = pd.Series([run.metrics.get(metric, np.nan) for _, run in runs], [seed for seed, _ in runs], float)
    return values.groupby(level=0).agg(lambda own: own.mean(skipna=False))


def best_baseline(setting: Setting, baselines: Sequence[str], by_row: Mapping[str, Sequence[Outcome]]) -> str | None:
    """Return the baseline that is best on validation by the setting's main metric.

    It is None if no baseline has been validated.

    Only seeds for which all variants have finished count.
    """
    main = setting.metrics[0]
    means = pd.Series({row: seed_means(by_row[row], f"valid/{main}").mean() for row in baselines if row in by_row})
    means = means.astype(float).dropna() * sign(main)
    return None if means.empty else str(means.idxmax())


def training_seconds(
    rows: Mapping[str, Row], by_row: Mapping[str, Sequence[Outcome]], name: str, clock: str = "seconds"
) -> float:
    """Return a model's mean training time over its complete runs, refits included; NaN if no time was measured.

    A model that uses the runs of other rows of the table, such as a blend, could not be trained without these runs, so
    their training time is added.

    Args:
        rows: rows of the setting.
        by_row: outcomes of each row.
        name: name of the row.
        clock: `seconds` for wall-clock time, or `cpu_seconds`, which runs of earlier versions lack.
    """
    measured = [run.manifest.get(clock, {}) for _, run in complete_runs(by_row[name])]
    trained = [each["fit"] + each.get("refit", 0.0) for each in measured if "fit" in each]
    if not trained:
        return np.nan
    used = (training_seconds(rows, by_row, other, clock) for other in row_dependencies(rows, name))
    return float(np.mean(trained)) + sum(used)


def peak_memory(run: Run) -> float:
    """Return the peak memory of a run in MiB; NaN if it was not measured.

    Manifests of earlier versions, which lack CPU seconds, may have the peak memory of a previous run in the same
    process; such a value counts as not measured.
    """
    return run.manifest["peak_memory_bytes"] / 2**20 if "cpu_seconds" in run.manifest else np.nan


def _results(setting: Setting, by_row: Mapping[str, Sequence[Outcome]]) -> pd.DataFrame:
    """Return the columns of `row_statistics` that do not involve the baseline."""
    records = []
    for metric in setting.metrics:
        for name, row in setting.rows.items():
            values = seed_means(by_row[name], f"test/{metric}")
            records.append(
                {
                    "metric": metric,
                    "row": name,
                    "status": _status(by_row[name]),
                    "seeds": len(values),
                    "mean": values.mean(),
                    "std": values.std(),
                    "published": row.published.get(metric, np.nan),
                    "configurations": _configurations(by_row[name]),
                    "seconds": training_seconds(setting.rows, by_row, name),
                    "cpu_seconds": training_seconds(setting.rows, by_row, name, "cpu_seconds"),
                    "memory_mib": pd.Series(
                        [peak_memory(run) for _, run in complete_runs(by_row[name])], dtype=float
                    ).max(),
                }
            )
    return pd.DataFrame(records)


def _status(outcomes: Sequence[Outcome]) -> str:
    if any(outcome.failure for outcome in outcomes):
        return FAILED
    return COMPLETE if all(outcome.run for outcome in outcomes) else NOT_RUN


def _configurations(outcomes: Sequence[Outcome]) -> float:
    return max((each.n_configurations for each in outcomes if each.n_configurations is not None), default=np.nan)


def user_metrics(outcomes: Sequence[Outcome], metrics: Sequence[str]) -> dict[str, UserMetrics]:
    """Return the per-user test metrics of a model's complete runs: metric -> (seed, split) -> series indexed by user.

    Metrics without values per user are left out.
    """
    frames = {
        (seed, str(run.manifest["split"]["fingerprint"])): run.per_user_metrics(metrics)
        for seed, run in complete_runs(outcomes)
    }
    known = {str(metric) for frame in frames.values() for metric in frame}
    return {metric: {key: own[metric] for key, own in frames.items() if metric in own} for metric in known}


def _comparisons(
    metrics: Sequence[str], baseline: str, by_row: Mapping[str, Sequence[Outcome]]
) -> list[tuple[Any, ...]]:
    """Compare each model with the baseline on per-user metrics; return tuples with the columns `COMPARED`."""
    values = {row: user_metrics(outcomes, metrics) for row, outcomes in by_row.items()}
    records: list[tuple[Any, ...]] = []
    for metric in metrics:
        for row, own in values.items():
            if row == baseline or metric not in own or metric not in values[baseline]:
                continue
            if (found := compare(own[metric], values[baseline][metric])) is not None:
                ends = (found.interval.mean, found.interval.low, found.interval.high)
                records.append((metric, row, baseline, found.n_users, *ends, found.effect_size, found.p_value))
    return records
