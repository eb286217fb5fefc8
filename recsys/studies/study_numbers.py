"""The numbers of a study: what each row of a setting reached, how sure its lead is, and what it cost.

A figure is the mean over seeds. Where a setting has several variants, such as folds, a seed's figure is the mean over
all of them, so that ± tells what the seed does and not what the fold does. Seeds that lack a variant do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recsys.evaluation.significance import bootstrap_interval, effect_size, holm, randomisation, user_differences
from recsys.studies.runs import Run
from recsys.studies.selection import ERRORS, ORDERED
from recsys.studies.study import Outcome, Setting
from recsys.studies.tables import shared

COMPLETE, FAILED, NOT_RUN = "complete", "failed", "not run"
COMPARED = ["metric", "row", "baseline", "users", "difference", "low", "high", "effect_size", "p", "p_holm"]


def numbers_of(setting: Setting, baselines: Sequence[str], by_row: Mapping[str, Sequence[Outcome]]) -> pd.DataFrame:
    """The numbers behind a table.

    Args:
        setting: of the table.
        baselines: rows of which the best on validation is what others are compared with.
        by_row: outcomes of each row.

    Returns:
        A line for each metric and row: `metric`, `row`; `status` (complete, failed, not run); `seeds` that count,
        `mean` and `std` over them; `published` by others; `configurations` that were tuned; `seconds` of training, mean
        over runs; the `baseline` that it is compared with, on how many `users`, the mean `difference` over users, the
        ends `low` and `high` of its interval, the `effect_size`, `p` and `p_holm`, adjusted for all rows. NaN where
        there is no such thing.

    Raises:
        UserError: a finished run was not tested.
    """
    baseline = best_baseline(setting, baselines, by_row)
    compared = [] if baseline is None else _comparisons(setting.metrics, baseline, by_row)
    reached = _reached(setting, by_row)
    return reached.merge(pd.DataFrame(compared, columns=COMPARED), how="left", on=["metric", "row"])


def rows_of(setting: Setting, outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """What became of the runs of each row, in the order of the rows."""
    by_row: dict[str, list[Outcome]] = {row: [] for row in setting.rows}
    for outcome in outcomes:
        by_row[outcome.row].append(outcome)
    return by_row


def counting(outcomes: Sequence[Outcome]) -> list[tuple[int, Run]]:
    """Seed and run of a row's outcomes that count: of seeds that have all their variants, so that means compare."""
    lacking = {outcome.seed for outcome in outcomes if outcome.run is None}
    return [(each.seed, each.run) for each in outcomes if each.run is not None and each.seed not in lacking]


def seed_means(outcomes: Sequence[Outcome], metric: str) -> pd.Series:
    """A metric, `test/ndcg@10`, of each seed that counts: the mean over variants, NaN where one has no such metric."""
    runs = counting(outcomes)
    values = pd.Series([run.metrics.get(metric, np.nan) for _, run in runs], [seed for seed, _ in runs], float)
    return values.groupby(level=0).agg(lambda own: own.mean(skipna=False))


def direction(metric: str) -> int:
    """1 where more of a metric is better, -1 where less is, 0 where neither is by itself, as of popularity."""
    name = re.sub(r"@\d+|/sampled\d+", "", metric)
    return 1 if name in ORDERED else -1 if name in ERRORS else 0


def best_baseline(setting: Setting, baselines: Sequence[str], by_row: Mapping[str, Sequence[Outcome]]) -> str | None:
    """Of the baselines that count the one that is best on validation, by the setting's main metric."""
    main = setting.metrics[0]
    reached = pd.Series({row: seed_means(by_row[row], f"valid/{main}").mean() for row in baselines if row in by_row})
    reached = reached.astype(float).dropna() * (direction(main) or 1)
    return None if reached.empty else str(reached.idxmax())


def training_seconds(outcomes: Sequence[Outcome]) -> float:
    """What training took, refit included, mean over the runs that count; NaN where none trained."""
    seconds = [run.manifest["seconds"] for _, run in counting(outcomes)]
    trained = [each["fit"] + each.get("refit", 0.0) for each in seconds if "fit" in each]
    return float(np.mean(trained)) if trained else np.nan


def _reached(setting: Setting, by_row: Mapping[str, Sequence[Outcome]]) -> pd.DataFrame:
    """What concerns one row alone, of `numbers_of`."""
    lines = []
    for metric in setting.metrics:
        for name, row in setting.rows.items():
            values = seed_means(by_row[name], f"test/{metric}")
            lines.append(
                {
                    "metric": metric,
                    "row": name,
                    "status": _status(by_row[name]),
                    "seeds": len(values),
                    "mean": values.mean(),
                    "std": values.std(),
                    "published": row.published.get(metric, np.nan),
                    "configurations": _configurations(by_row[name]),
                    "seconds": training_seconds(by_row[name]),
                }
            )
    return pd.DataFrame(lines)


def _status(outcomes: Sequence[Outcome]) -> str:
    if any(outcome.failure for outcome in outcomes):
        return FAILED
    return COMPLETE if all(outcome.run for outcome in outcomes) else NOT_RUN


def _configurations(outcomes: Sequence[Outcome]) -> float:
    return max((each.n_configurations for each in outcomes if each.n_configurations is not None), default=np.nan)


def _comparisons(
    metrics: Sequence[str], baseline: str, by_row: Mapping[str, Sequence[Outcome]]
) -> list[tuple[Any, ...]]:
    """How rows compare with the baseline, as `COMPARED` of `numbers_of`, on metrics that single users have."""
    of_users = {row: _users_by_split(outcomes, metrics) for row, outcomes in by_row.items()}
    lines: list[tuple[Any, ...]] = []
    for metric in metrics:
        values = {
            row: {split: users[metric] for split, users in by_split.items() if metric in users}
            for row, by_split in of_users.items()
        }
        pairs = {row: shared(own, values[baseline]) for row, own in values.items() if row != baseline}
        differences = {row: user_differences(*pair) for row, pair in pairs.items() if pair[0]}
        p_values = {row: randomisation(own) for row, own in differences.items()}
        adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
        for row, own in differences.items():
            found = bootstrap_interval(own)
            effect = effect_size(own)
            tested = (len(own), found.mean, found.low, found.high, effect, p_values[row], adjusted[row])
            lines.append((metric, row, baseline, *tested))
    return lines


def _users_by_split(outcomes: Sequence[Outcome], metrics: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Metrics of each user, a column each, the mean over seeds, by the fingerprint of the split."""
    frames: dict[str, list[pd.DataFrame]] = {}
    for _, run in counting(outcomes):
        frames.setdefault(run.manifest["split"]["fingerprint"], []).append(run.per_user_metrics(metrics))
    return {split: pd.concat(own).groupby(level=0).mean() for split, own in frames.items()}
