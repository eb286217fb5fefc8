"""Tables that compare runs: a row for each model and its settings.

A table shows means over runs, or a comparison with a baseline.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from recsys.dotted import flatten
from recsys.errors import UserError
from recsys.evaluation.intervals import mean_interval
from recsys.evaluation.resampling import UserMetrics, compare, split_means
from recsys.evaluation.significance import holm
from recsys.studies.runs import Run
from recsys.terminal import print_figures, terminal

KEYS = ["data", "split", "model", "settings"]
STAGES = ("valid/", "test/")
METRICS = ("hr@10", "ndcg@10")  # that are shown by default
_LABELLED = re.compile(r" (\w+)=")  # settings in a label of `recsys.config.labels`, which the command changed
MEANING_OF_DEVIATION = "±: standard deviation over the runs of a row, of all seeds and splits."
MEANING_OF_COMPARISON = "[]: 95% confidence interval. p: adjusted by Holm's method, for each metric."


def results(runs: Sequence[Run]) -> pd.DataFrame:
    """Return a frame with a row for each run.

    Its columns are `data`, `split`, `model`, `settings`, `seed`, the split's `fingerprint`, and the run's metrics.
    `settings` lists those settings that differ between the runs of a model or that the command of one of these runs
    changed. Only hyperparameters, `metadata`, `refit`, `warm_from`, `segments_from`, and settings of the reranker and
    the trainer are listed.
    """
    settings = [_settings(run.config) for run in runs]
    models = [run.config["model"]["_target_"].rpartition(".")[2] for run in runs]
    first = dict(zip(reversed(models), reversed(settings), strict=True))  # those of the first run of each model
    differing: dict[str, set[str]] = {model: set() for model in models}
    for run, model, own in zip(runs, models, settings, strict=True):
        names = own.keys() | first[model].keys()
        differing[model] |= {name for name in names if own.get(name) != first[model].get(name)}
        changed = _LABELLED.findall(run.config.get("label") or "")
        differing[model] |= {name for name in own if name.rpartition(".")[2] in changed}
    rows = []
    for run, model, own in zip(runs, models, settings, strict=True):
        rows.append(
            {
                "data": run.manifest["data"]["name"],
                "split": run.manifest["split"]["name"],
                "model": model,
                "settings": " ".join(f"{name}={own[name]}" for name in own if name in differing[model]),
                "seed": run.config["seed"],
                "fingerprint": run.manifest["split"]["fingerprint"],
                **run.metrics,
            }
        )
    return pd.DataFrame(rows)


def without_repeats(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that no later run repeats with the same data, split, model, settings and seed."""
    repeated = results(runs).duplicated([*KEYS, "seed", "fingerprint"], keep="last")
    return [run for run, is_repeated in zip(runs, repeated, strict=True) if not is_repeated]


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    model = flatten(config["model"])  # base models have the seed of the run
    own = {name: value for name, value in model.items() if name != "_target_" and name.rpartition(".")[2] != "seed"}
    metadata = (config.get("metadata") or {}).get("_target_", "release").rpartition(".")[2]
    further = {name: config.get(name) for name in ("refit", "warm_from", "segments_from")}
    trainer = flatten(config.get("trainer") or {}, "trainer.")
    return {**own, "metadata": metadata, **further, **trainer, **_reranker(config.get("reranker"))}


def _reranker(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a reranker's class name as `reranker`, and its settings as `reranker.trade_off` and so on.

    If there is no reranker, `reranker` is None.
    """
    settings = flatten({"reranker": config}) if config else {"reranker": None}
    target = settings.pop("reranker._target_", None)
    return settings if target is None else {"reranker": target.rpartition(".")[2], **settings}


def table(runs: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame:
    """Format each metric's mean and standard deviation as text, such as `0.1452 ± 0.0012`.

    See `statistics` for the arguments and rows.
    """
    numbers = statistics(runs, metrics)
    text = numbers[[*KEYS, "splits", "seeds"]].astype(str)
    for metric in map(with_stage, metrics):
        pairs = zip(numbers[metric], numbers[f"{metric} std"], strict=True)
        text[metric] = [f"{m:.4f}" if pd.isna(d) else f"{m:.4f} ± {d:.4f}" for m, d in pairs]
    return text


def statistics(runs: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame:
    """Average each metric over the runs with the same data, split, model and settings.

    Args:
        runs: finished runs.
        metrics: names of metrics, such as `valid/ndcg@10`; without a stage, as in `ndcg@10`, they are test metrics.

    Returns:
        A frame with a row for each combination of data, split, model and settings. Its columns are `KEYS`, the numbers
        of `splits` and `seeds`, and two for each metric: `METRIC`, its mean, and `METRIC std`, its standard deviation,
        which is NaN for a single run.

    Raises:
        UserError: no run has one of the metrics.
    """
    metrics = [with_stage(metric) for metric in metrics]
    measured = [run for run in runs if not run.metrics.keys().isdisjoint(metrics)]  # not the trials of a search
    frame = results(measured or runs)
    check_metrics(frame, metrics)
    groups = frame.dropna(subset=list(metrics), how="all").groupby(KEYS, sort=False)
    numbers = pd.DataFrame({"splits": groups["fingerprint"].nunique(), "seeds": groups["seed"].nunique()})
    for metric in metrics:
        numbers[metric], numbers[f"{metric} std"] = groups[metric].mean(), groups[metric].std()
    return numbers.reset_index()


def comparison(runs: Sequence[Run], baseline: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Compare models with a baseline; return a frame of text with a row for each metric and model.

    A comparison covers the users and splits on which both models were tested. If each rating of a user is a query of
    its own, the user's value is the mean over these queries. The columns `mean` (of the model) and `baseline` are means
    over users and seeds, averaged over splits, with 95% intervals if there are several splits. `difference` has a
    bootstrap interval over users, splits and seeds, and `p` is its p-value, adjusted by Holm's method for all models
    compared on the metric.

    Args:
        runs: runs on one data set, with one kind of split.
        baseline: name of a model, with its settings if they differ between its runs: `TfidfProfile` or `EASE l2=100`.
        metrics: names of per-user test metrics, such as `test/ndcg@10` or `ndcg@10`.

    Raises:
        UserError: the runs are on several data sets or kinds of split, no run is of the baseline, no other model shares
            a split with the baseline, or a metric is not computed per user.
    """
    metrics = [with_stage(metric) for metric in metrics]
    tested = [run for run in runs if any(name.startswith("test/") for name in run.metrics)]
    frame = named_results(tested or runs)
    check_metrics(frame, metrics)
    if baseline not in set(frame["name"]):
        raise UserError(f"baseline must be among {', '.join(frame['name'].unique())} (got {baseline}).")
    rows = []
    for metric in metrics:
        values = user_values(frame.dropna(subset=[metric]), metric)
        of_baseline = values.get(baseline, {})
        compared = {name: compare(own, of_baseline) for name, own in values.items() if name != baseline}
        found = {name: difference for name, difference in compared.items() if difference is not None}
        if not found:
            raise UserError(f"No other model was tested on a split of {baseline}: run both on the same splits.")
        p_values = holm([difference.p_value for difference in found.values()])
        for (name, difference), p_value in zip(found.items(), p_values, strict=True):
            means = pd.concat([split_means(values[name]), split_means(of_baseline)], axis=1).dropna()
            of_both = (str(mean_interval(own.to_numpy())) for _, own in means.items())
            rows.append((metric, name, str(len(means)), *of_both, str(difference.interval), f"{p_value:.2g}"))
    return pd.DataFrame(rows, columns=["metric", "model", "splits", "mean", "baseline", "difference", "p"])


def named_results(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the frame of `results` with two more columns, `run` and `name`.

    `run` is the run itself, and `name` is its model with the settings that differ between runs of the model, such as
    `EASE l2=100`.

    Raises:
        UserError: the runs are on several data sets or kinds of split.
    """
    frame = results(runs).assign(run=pd.Series(list(runs), dtype=object))
    frame["name"] = (frame["model"] + " " + frame["settings"]).str.strip()
    kinds = (frame["data"] + " by " + frame["split"]).unique()
    if len(kinds) > 1:
        raise UserError(f"All runs must be on one data set and kind of split (got {', '.join(kinds)}).")
    return frame


def user_values(frame: pd.DataFrame, metric: str) -> dict[str, UserMetrics]:
    """Return the values of a per-user test metric: name of the model -> (seed, split) -> series indexed by user id.

    Args:
        frame: frame that `named_results` returned.
        metric: name of the metric, such as `test/ndcg@10`.

    Raises:
        UserError: the metric is not computed per user.
    """
    column = metric.removeprefix("test/")
    known = [name for name in frame["run"].iloc[0].per_user if name != "user_id"]
    if column == metric or column not in known:
        options = [f"test/{name}" for name in known]
        raise UserError(f"{metric} is not a per-user metric of the test: {_closest(metric, options)}")
    return {
        str(name): {
            (seed, split): run.per_user.set_index("user_id")[column]
            for run, seed, split in zip(own["run"], own["seed"], own["fingerprint"], strict=True)
        }
        for name, own in frame.groupby("name", sort=False)
    }


def check_metrics(frame: pd.DataFrame, metrics: Sequence[str]) -> None:
    """Check that each metric exists in at least one run.

    Args:
        frame: frame that `results` returned.
        metrics: names of metrics with their stage, such as `test/ndcg@10`.

    Raises:
        UserError: no run has one of the metrics.
    """
    known = [name for name in map(str, frame.columns) if name.startswith(STAGES)]
    for metric in metrics:
        if metric not in known:
            raise UserError(f"No run has the metric {metric}: {_closest(metric, known)}")


def default_metrics(runs: Sequence[Run]) -> list[str]:
    """Return the metrics that a table shows by default: `METRICS` on test or, if no run was tested, on validation."""
    was_tested = any(name.startswith("test/") for run in runs for name in run.metrics)
    return [f"{'test' if was_tested else 'valid'}/{name}" for name in METRICS]


def with_stage(metric: str) -> str:
    """Return a metric's name with its stage; without a stage, the test is meant: `ndcg@10` -> `test/ndcg@10`."""
    return metric if metric.startswith(STAGES) else f"test/{metric}"


def _closest(metric: str, known: Collection[str]) -> str:
    """Return the end of an error message about an unknown metric.

    It suggests up to three similar metrics, of the same stage if possible; if none is similar, it lists all kinds of
    metrics.
    """
    stage, _, name = metric.partition("/")
    of_stage = [other for other in known if other.startswith(f"{stage}/")] or list(known)
    without_stage = {other: other.partition("/")[2] for other in of_stage}
    if near := difflib.get_close_matches(name, without_stage.values()):
        return f"did you mean {' or '.join(other for other in of_stage if without_stage[other] in near)}?"
    kinds = dict.fromkeys(other.partition("@")[0] for other in without_stage.values())
    return f"it must be one of {', '.join(kinds)}, as in {of_stage[0]}." if of_stage else "they have none."


def print_table(frame: pd.DataFrame, names: Sequence[str], groups: Sequence[str]) -> None:
    """Print a frame of text: in a terminal as tables that fit its width, elsewhere in Markdown.

    Args:
        frame: cells of the table.
        names: columns that together name a row.
        groups: columns whose values form the title. In a terminal, each combination of their values has its own table.
    """
    if not terminal().is_terminal:
        print(markdown(frame))
        return
    figures = [str(column) for column in frame if column not in (*names, *groups)]
    for shared, rows in frame.groupby(list(groups), sort=False):
        title = ", ".join(f"{name} {value}" for name, value in zip(groups, shared, strict=True))
        named = rows[list(names)].agg(" ".join, axis=1).str.strip()
        cells = [[name, *values] for name, values in zip(named, rows[figures].to_numpy().tolist(), strict=True)]
        print_figures([names[0], *figures], cells, title)


def markdown(frame: pd.DataFrame) -> str:
    """Format a frame of text as a Markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
