"""Notes below a study's table: how its values were computed, and what limits them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from recsys.counted import counted
from recsys.evaluation.intervals import LEVEL, N_RESAMPLES
from recsys.evaluation.significance import SIGNIFICANT
from recsys.metrics.direction import direction
from recsys.studies.outcome import Outcome, complete_runs
from recsys.studies.runs import Run
from recsys.studies.study import Setting, Study

TIMES = {"cpu_seconds": "CPU seconds", "seconds": "seconds"}  # statistic -> its name in columns and notes
ABOVE, BELOW = "↑", "↓"


def table_notes(
    setting: Setting, study: Study, statistics: pd.DataFrame, by_row: Mapping[str, Sequence[Outcome]], n_tests: int
) -> list[str]:
    """Return the notes below a table.

    Args:
        setting: setting of the table.
        study: the study that contains the setting.
        statistics: see `StudyTable`.
        by_row: outcomes of each row.
        n_tests: number of tests in the study, for which its p-values are adjusted.
    """
    runs = [run for outcomes in by_row.values() for _, run in complete_runs(outcomes)]
    notes = [_missing_runs(row, outcomes) for row, outcomes in by_row.items() if not all(each.run for each in outcomes)]
    if not runs:
        return notes
    notes.append(
        f"Test metrics{_averages(statistics, by_row)}. The best value is bold and the second best underlined, for "
        "metrics with a better direction."
    )
    if statistics["published"].notna().any():
        notes.append("Published values were reported by others for the same data and split; no test involves them.")
    notes.append(_comparisons(setting, study, statistics, n_tests))
    notes.append(
        "Configurations: the number compared on validation to choose the settings of a row; empty if unknown. "
        f"{_capitalised(TIMES[clock(statistics)])}: training, including the refit on training and validation ratings, "
        f"mean over runs ({_machines(runs)})."
        + " MiB: the highest memory of the process, data and packages included."
        * bool(statistics["memory_mib"].notna().any())
    )
    return notes + _code_versions(runs)


def clock(statistics: pd.DataFrame) -> str:
    """Return which training time a table shows: `cpu_seconds` if it was measured for some model, else `seconds`."""
    return "cpu_seconds" if statistics["cpu_seconds"].notna().any() else "seconds"


def machine(run: Run) -> str:
    """Describe the processor, cores and GPUs that a run used."""
    hardware = run.manifest["hardware"]
    return ", ".join([f"{hardware['processor']}, {hardware['cores']} cores", *hardware["gpus"]])


def code_version(run: Run) -> str | None:
    """Return the digest of a run's code; if it is missing, the commit; None if neither is known."""
    return run.manifest.get("code") or run.manifest["git"].get("commit")


def _missing_runs(row: str, outcomes: Sequence[Outcome]) -> str:
    """Return a note on those runs of a model that failed or have not been executed."""
    failures = Counter(each.failure_reason.rstrip(".") for each in outcomes if each.failure)
    n_left = sum(each.run is None and not each.failure for each in outcomes)
    missing = [f"{n} of {counted(len(outcomes), 'run')} failed ({reason})" for reason, n in failures.items()]
    missing += [f"{n_left} of {len(outcomes)} not run yet"] if n_left else []
    n_seeds = len({seed for seed, _ in complete_runs(outcomes)})
    complete = f"; its values are over {counted(n_seeds, 'seed')}" if n_seeds else ""
    return f"{row}: {', '.join(missing)}{complete}."


def _comparisons(setting: Setting, study: Study, statistics: pd.DataFrame, n_tests: int) -> str:
    """Return a note that explains the marks of significance, and names the metrics and models that were not tested."""
    tested = statistics.dropna(subset=["p_holm"])
    if tested.empty:
        return f"No test: no baseline ({', '.join(study.baselines)}) shares a split with another row, both complete."
    baseline = tested["baseline"].iloc[0]
    measured = set(statistics.loc[statistics["mean"].notna(), "row"])
    candidates = [row for row in study.baselines if row in measured]
    best = f" {baseline} is the best of {', '.join(candidates)} by {setting.metrics[0]} on validation."
    sentences = [
        f"{ABOVE} and {BELOW}: significantly above or below {baseline}, p < {SIGNIFICANT} in a paired bootstrap over "
        f"{_range(tested['users'], 'user')}, and over splits and seeds where there are several ({N_RESAMPLES:,} "
        f"draws), adjusted by Holm's method for the {counted(n_tests, 'test')} of the study."
        f"{best if len(candidates) > 1 else ''} ± shows the variation over seeds alone. Effect sizes and {LEVEL:.0%} "
        "intervals are in table.csv."
    ]
    pooled = [metric for metric in setting.metrics if direction(metric) < 0 or metric.endswith("/relevant")]
    if pooled:
        sentences.append(
            f"The tests weight all users equally, while {' and '.join(pooled)} in the table weight all ratings equally."
        )
    untested = statistics[statistics["mean"].notna() & (statistics["row"] != baseline) & statistics["p_holm"].isna()]
    global_metrics = [metric for metric in setting.metrics if metric not in set(tested["metric"])]
    if global_metrics:
        sentences.append(f"Not tested, because they exist only for all users together: {', '.join(global_metrics)}.")
    elsewhere = untested.loc[~untested["metric"].isin(global_metrics), "row"].unique()
    if len(elsewhere):
        sentences.append(
            f"Not tested, because their splits or users differ from those of {baseline}: {', '.join(elsewhere)}."
        )
    return " ".join(sentences)


def _machines(runs: Sequence[Run]) -> str:
    machines = {f"{machine(run)}, {counted(run.manifest['threads'], 'thread')}" for run in runs}
    warning = "" if len(machines) == 1 else "; times are not comparable across machines"
    return "; ".join(sorted(machines)) + warning


def _code_versions(runs: Sequence[Run]) -> list[str]:
    """Return notes that warn if runs of a table come from several versions of the code, or from uncommitted code."""
    notes = []
    n_versions = len({code_version(run) for run in runs})
    n_dirty = sum(run.manifest["git"].get("dirty", False) for run in runs)
    if n_versions > 1:
        notes.append(f"The runs are of {n_versions} versions of the code, which runs.csv lists.")
    if n_dirty:
        notes.append(
            f"{n_dirty} of {counted(len(runs), 'run')} used code or configs that were not committed (+ in runs.csv)."
        )
    return notes


def _averages(statistics: pd.DataFrame, by_row: Mapping[str, Sequence[Outcome]]) -> str:
    """Describe the seeds and variants over which values are averaged."""
    variants = list(dict.fromkeys(each.variant for outcomes in by_row.values() for each in outcomes))
    over = f"the mean over {', '.join(variants)}" if len(variants) > 1 else ""
    if statistics["std"].isna().all():
        return f" of one seed{over and f', {over}'}"
    each = f", each {over}" if over else ""
    seeds = _range(statistics["seeds"], "seed")
    return f", mean ± standard deviation over {seeds}{each}; a value without ± is of one seed"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _range(numbers: Iterable[float], unit: str) -> str:
    """Format a range of numbers with its unit: `5 seeds`, or `1 to 5 seeds`; zeros are ignored."""
    found = [int(number) for number in numbers if number > 0]
    return counted(max(found), unit) if min(found) == max(found) else f"{min(found):,} to {counted(max(found), unit)}"
