"""What a reader has to know of a study's table, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from recsys.evaluation.intervals import LEVEL
from recsys.evaluation.significance import N_DRAWS
from recsys.studies.runs import Run
from recsys.studies.study import Outcome, Setting, Study
from recsys.studies.study_numbers import counting, direction

SIGNIFICANT = 0.05  # adjusted p-values below it are marked
ABOVE, BELOW = "↑", "↓"


def notes_on(
    setting: Setting, study: Study, numbers: pd.DataFrame, by_row: Mapping[str, Sequence[Outcome]]
) -> list[str]:
    """What a reader has to know of a table."""
    runs = [run for outcomes in by_row.values() for _, run in counting(outcomes)]
    notes = [_lacking(row, outcomes) for row, outcomes in by_row.items() if not all(each.run for each in outcomes)]
    if not runs:
        return notes
    notes.append(
        f"Test metrics{_averaged(numbers, by_row)}. The best figure is bold, the second underlined, where more "
        "or less is better by itself."
    )
    if numbers["published"].notna().any():
        notes.append("Published figures are others', for the same data and split; nothing is tested against them.")
    notes.append(_compared(setting, study, numbers))
    notes.append(
        "Configurations: how many were compared on validation to choose a row's settings, empty where nobody counted. "
        f"Seconds: training, with the refit to validation ratings, mean over runs ({_machines(runs)})."
    )
    return notes + _code(runs)


def machine(run: Run) -> str:
    """What a run ran on."""
    hardware = run.manifest["hardware"]
    return ", ".join([f"{hardware['processor']}, {hardware['cores']} cores", *hardware["gpus"]])


def code_version(run: Run) -> str | None:
    """The digest of the code that a run ran, or else its commit; None where neither is known."""
    return run.manifest.get("code") or run.manifest["git"].get("commit")


def failure_text(failure: str) -> str:
    """Why a run failed, without the path of this machine."""
    return failure.replace(f"{Path.cwd()}/", "")


def _lacking(row: str, outcomes: Sequence[Outcome]) -> str:
    """Which runs of a row are not there, and why."""
    failures = Counter(failure_text(each.failure).rstrip(".") for each in outcomes if each.failure)
    n_left = sum(each.run is None and not each.failure for each in outcomes)
    told = [f"{n} of {len(outcomes)} runs failed ({failure})" for failure, n in failures.items()]
    told += [f"{n_left} of {len(outcomes)} not run yet"] if n_left else []
    n_seeds = len({seed for seed, _ in counting(outcomes)})
    counted = f"; its figures are of {_number(n_seeds, 'seed')}" if n_seeds else ""
    return f"{row}: {', '.join(told)}{counted}."


def _compared(setting: Setting, study: Study, numbers: pd.DataFrame) -> str:
    """What the marks say, and of which metrics and rows they cannot."""
    tested = numbers.dropna(subset=["p_holm"])
    if tested.empty:
        return (
            f"Nothing is tested: no baseline ({', '.join(study.baselines)}) and another row are complete on one split."
        )
    baseline = tested["baseline"].iloc[0]
    n_rows = tested.groupby("metric").size()
    measured = set(numbers.loc[numbers["mean"].notna(), "row"])
    field = [row for row in study.baselines if row in measured]
    told = [
        f"{ABOVE} and {BELOW}: above or below {baseline} by more than chance, p < {SIGNIFICANT} of a paired "
        f"randomisation test over {_range(tested['users'], 'user')} ({N_DRAWS:,} draws, means over a user's runs), "
        f"adjusted by Holm for {_range(n_rows, 'row')}. {baseline} is, of {', '.join(field)}, the best by "
        f"{setting.metrics[0]} on validation. Tests speak for other users, not for other seeds, of which ± "
        f"tells. Effect sizes and {LEVEL:.0%} bootstrap intervals are in table.csv."
    ]
    pooled = [metric for metric in setting.metrics if direction(metric) < 0 or metric.endswith("/relevant")]
    if pooled:
        told.append(f"Tests weigh all users alike, while {' and '.join(pooled)} in the table weigh all ratings alike.")
    untested = numbers[numbers["mean"].notna() & (numbers["row"] != baseline) & numbers["p_holm"].isna()]
    whole = [metric for metric in setting.metrics if metric not in set(tested["metric"])]
    if whole:
        told.append(f"Of all users together, and so not tested: {', '.join(whole)}.")
    elsewhere = untested.loc[~untested["metric"].isin(whole), "row"].unique()
    if len(elsewhere):
        told.append(f"Not tested, since on other splits or users than {baseline}: {', '.join(elsewhere)}.")
    return " ".join(told)


def _machines(runs: Sequence[Run]) -> str:
    machines = {f"{machine(run)}, {_number(run.manifest['threads'], 'thread')}" for run in runs}
    alike = "" if len(machines) == 1 else "; they do not compare across machines"
    return "; ".join(sorted(machines)) + alike


def _code(runs: Sequence[Run]) -> list[str]:
    """That figures of one table came out of several codes, or out of one that nobody can check out."""
    notes = []
    n_versions = len({code_version(run) for run in runs})
    n_dirty = sum(run.manifest["git"].get("dirty", False) for run in runs)
    if n_versions > 1:
        notes.append(f"Runs are of {n_versions} versions of the code; runs.csv has each one's.")
    if n_dirty:
        notes.append(f"{n_dirty} of {_number(len(runs), 'run')} were of code that was not committed (+ in runs.csv).")
    return notes


def _averaged(numbers: pd.DataFrame, by_row: Mapping[str, Sequence[Outcome]]) -> str:
    """What figures are means of."""
    variants = list(dict.fromkeys(each.variant for outcomes in by_row.values() for each in outcomes))
    over = f"the mean over {', '.join(variants)}" if len(variants) > 1 else ""
    if numbers["std"].isna().all():
        return f" of one seed{over and f', {over}'}"
    each = f", each {over}" if over else ""
    seeds = _range(numbers["seeds"], "seed")
    return f", mean ± standard deviation over {seeds}{each}; no ± stands where there is one seed"


def _range(numbers: Iterable[float], what: str) -> str:
    """`5 seeds`, or `1 to 5 seeds`; numbers of nothing do not count."""
    found = [int(number) for number in numbers if number > 0]
    return _number(max(found), what) if min(found) == max(found) else f"{min(found):,} to {_number(max(found), what)}"


def _number(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
