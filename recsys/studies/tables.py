"""Runs to tables: a row for each model and setting, its mean over runs, and how it compares with another model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from recsys.dotted import flatten
from recsys.errors import UserError
from recsys.evaluation.significance import holm, mean_interval, paired
from recsys.studies.runs import Run

SMALLEST_P = 1e-10  # that a table tells apart
KEYS = ["data", "split", "model", "settings"]


def results(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: `data`, `split`, `model`, `settings`, `seed`, the split's `fingerprint`, then its metrics.

    `settings` names the model's settings, and what else it was trained on or by, that differ between its runs.
    """
    settings = [_settings(run.config) for run in runs]
    models = [run.config["model"]["_target_"].rpartition(".")[2] for run in runs]
    rows = []
    for run, model, own in zip(runs, models, settings, strict=True):
        others = [other for other, its_model in zip(settings, models, strict=True) if its_model == model]
        differing = [name for name in own if any(other.get(name) != own[name] for other in others)]
        rows.append(
            {
                "data": run.manifest["data"]["name"],
                "split": run.manifest["split"]["name"],
                "model": model,
                "settings": " ".join(f"{name}={own[name]}" for name in differing),
                "seed": run.config["seed"],
                "fingerprint": run.manifest["split"]["fingerprint"],
                **run.metrics,
            }
        )
    return pd.DataFrame(rows)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    model = flatten(config["model"])  # seeds of models beneath are the run's
    own = {name: value for name, value in model.items() if name != "_target_" and name.rpartition(".")[2] != "seed"}
    metadata = (config.get("metadata") or {}).get("_target_", "release").rpartition(".")[2]
    return {**own, "metadata": metadata, "refit": config.get("refit")}


def table(runs: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame:
    """Text: `0.1452 ± 0.0012` for each metric, mean and standard deviation over the runs of each row that have one.

    Raises:
        UserError: no run has such a metric.
    """
    frame = results(runs)
    check_metrics(frame, metrics)
    groups = frame.dropna(subset=list(metrics), how="all").groupby(KEYS, sort=False)
    text = pd.DataFrame({name: groups[name].nunique().astype(str) for name in ("fingerprint", "seed")})
    text.columns = ["splits", "seeds"]
    for metric in metrics:
        mean, deviation = groups[metric].mean(), groups[metric].std()
        text[metric] = [
            f"{m:.4f}" if pd.isna(d) else f"{m:.4f} ± {d:.4f}" for m, d in zip(mean, deviation, strict=True)
        ]
    return text.reset_index()


def comparison(runs: Sequence[Run], baseline: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Text: how models compare with one of them, a row for each metric and model.

    A row is of the splits that both were tested on, and a user's value there is the mean over seeds. `mean` and
    `baseline` are averages over splits, with 95% intervals where there are several; `difference` is the average over
    users, with its interval over them, and `p` its t-test, adjusted by Holm for all models compared on the metric.

    Args:
        runs: of one data set and kind of split.
        baseline: a model, with its settings where runs of it differ: `TfidfProfile`, or `EASE l2=100`.
        metrics: of the test, that single users have: `test/ndcg@10`.

    Raises:
        UserError: the runs are of several data sets or kinds of split, none is of the baseline, no other shares a split
            with it, or users have no such metric.
    """
    frame = named_results(runs)
    check_metrics(frame, metrics)
    if baseline not in set(frame["name"]):
        raise UserError(f"No run is of {baseline}: there are {', '.join(frame['name'].unique())}.")
    rows = []
    for metric in metrics:
        of_users = values_of_users(frame.dropna(subset=[metric]), metric)
        pairs = {name: shared(own, of_users.get(baseline, {})) for name, own in of_users.items() if name != baseline}
        pairs = {name: pair for name, pair in pairs.items() if pair[0]}
        if not pairs:
            raise UserError(f"No other model was tested on a split of {baseline}: sweep both over the same splits.")
        tests = [paired(*pair) for pair in pairs.values()]
        p_values = holm([p_value for _, p_value in tests])
        for (name, pair), (difference, _), p_value in zip(pairs.items(), tests, p_values, strict=True):
            means = (str(mean_interval([users.mean() for users in side])) for side in pair)
            rows.append((metric, name, str(len(pair[0])), *means, str(difference), p_text(p_value)))
    return pd.DataFrame(rows, columns=["metric", "model", "splits", "mean", "baseline", "difference", "p"])


def named_results(runs: Sequence[Run]) -> pd.DataFrame:
    """`results` with the `run` of each row, and a `name` for its model with settings that differ.

    Raises:
        UserError: the runs are of several data sets or kinds of split.
    """
    frame = results(runs).assign(run=pd.Series(list(runs), dtype=object))
    frame["name"] = (frame["model"] + " " + frame["settings"]).str.strip()
    kinds = (frame["data"] + " by " + frame["split"]).unique()
    if len(kinds) > 1:
        raise UserError(f"Runs are of {', '.join(kinds)}: name a directory that has one of them.")
    return frame


def values_of_users(frame: pd.DataFrame, metric: str) -> dict[str, dict[str, pd.Series]]:
    """A metric of each user, the mean over seeds: by model, then by split.

    Raises:
        UserError: it is no metric that single users have.
    """
    column = metric.removeprefix("test/")
    known = [name for name in frame["run"].iloc[0].per_user if name != "user_id"]
    if column == metric or column not in known:
        raise UserError(f"{metric} is no test metric of single users: there are test/{', test/'.join(known)}.")
    return {
        str(name): {
            str(split): pd.concat([run.per_user.set_index("user_id")[column] for run in group["run"]])
            .groupby(level=0)
            .mean()
            for split, group in of_model.groupby("fingerprint")
        }
        for name, of_model in frame.groupby("name", sort=False)
    }


def shared(model: dict[str, pd.Series], baseline: dict[str, pd.Series]) -> tuple[list[pd.Series], list[pd.Series]]:
    """The values on those splits that both models have."""
    splits = [split for split in model if split in baseline]
    return [model[split] for split in splits], [baseline[split] for split in splits]


def p_text(p_value: float) -> str:
    """A p-value as a table has it."""
    return f"{p_value:.2g}" if p_value >= SMALLEST_P else f"< {SMALLEST_P:.0e}"


def check_metrics(frame: pd.DataFrame, metrics: Sequence[str]) -> None:
    """Refuse a metric that no run has.

    Raises:
        UserError: there is one.
    """
    missing = [metric for metric in metrics if metric not in frame]
    if missing:
        known = ", ".join(str(name) for name in frame.columns if "/" in str(name))
        raise UserError(f"No run has a metric {missing[0]}: there are {known}.")


def markdown(frame: pd.DataFrame) -> str:
    """A frame of text as a Markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
