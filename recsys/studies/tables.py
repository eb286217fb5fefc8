"""Runs to tables: a row for each model and setting, its mean over runs, and how it compares with another model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from recsys.errors import UserError
from recsys.evaluation.significance import holm, mean_interval, paired_p_value
from recsys.studies.runs import Run, flat

KEYS = ["data", "split", "model", "settings"]


def results(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: `data`, `split`, `model`, `settings`, `seed`, the split's `fingerprint`, then its metrics.

    `settings` names the model's settings that differ between runs of that model.
    """
    settings = [{k: v for k, v in flat(run.config["model"]).items() if k not in ("_target_", "seed")} for run in runs]
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


def table(runs: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame:
    """Text: `0.1452 ± 0.0012` for each metric, mean and standard deviation over the runs of each row that have one.

    Raises:
        UserError: no run has such a metric.
    """
    frame = results(runs)
    _check_metrics(frame, metrics)
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
    """Text: how each model compares with one of them on the splits that both were tested on, a row for each metric.

    `mean` and `difference` are averages over splits with 95% intervals over them, each split's being the mean over
    seeds; `p` is of a t-test paired over users, adjusted by Holm for all models compared on a metric.

    Args:
        runs: of one data set.
        baseline: a model, with its settings where runs of it differ: `TfidfProfile`, or `EASE l2=100`.
        metrics: of the test: `test/ndcg@10`.

    Raises:
        UserError: no run is of the baseline, or shares a split with it, or has such a metric.
    """
    frame = results(runs).assign(run=pd.Series(list(runs), dtype=object))
    _check_metrics(frame, metrics)
    frame["name"] = (frame["model"] + " " + frame["settings"]).str.strip()
    if baseline not in set(frame["name"]):
        raise UserError(f"No run is of {baseline}: there are {', '.join(frame['name'].unique())}.")
    rows = []
    for metric in metrics:
        of_users = _of_users(frame, metric.removeprefix("test/"))
        others = [name for name in of_users if name != baseline and of_users[name].keys() & of_users[baseline].keys()]
        if not others:
            raise UserError(f"No other model was tested on a split of {baseline}: sweep both over the same split.seed.")
        rows.append((metric, baseline, str(mean_interval([own.mean() for own in of_users[baseline].values()])), "", ""))
        pairs = {name: _on_same_splits(of_users[name], of_users[baseline]) for name in others}
        p_values = holm([paired_p_value(*pair) for pair in pairs.values()])
        for (name, (own, its)), p_value in zip(pairs.items(), p_values, strict=True):
            mean, difference = (mean_interval(values) for values in _means(own, its))
            rows.append((metric, name, str(mean), str(difference), f"{p_value:.2g}"))
    return pd.DataFrame(rows, columns=["metric", "model", "mean", "difference", "p"])


def _of_users(frame: pd.DataFrame, metric: str) -> dict[str, dict[str, pd.Series]]:
    """A metric of each user, the mean over seeds: by model, then by split."""
    return {
        str(name): {
            str(split): pd.concat([run.per_user.set_index("user_id")[metric] for run in group["run"]])
            .groupby(level=0)
            .mean()
            for split, group in of_model.groupby("fingerprint")
        }
        for name, of_model in frame.groupby("name", sort=False)
    }


def _on_same_splits(model: dict[str, pd.Series], baseline: dict[str, pd.Series]) -> tuple[list, list]:
    splits = [split for split in model if split in baseline]
    return [model[split] for split in splits], [baseline[split] for split in splits]


def _means(model: list[pd.Series], baseline: list[pd.Series]) -> tuple[list[float], list[float]]:
    """The model's mean on each split, and how far it is above the baseline's."""
    means = [own.mean() for own in model]
    return means, [mean - its.mean() for mean, its in zip(means, baseline, strict=True)]


def _check_metrics(frame: pd.DataFrame, metrics: Sequence[str]) -> None:
    missing = [metric for metric in metrics if metric not in frame]
    if missing:
        known = ", ".join(str(name) for name in frame.columns if "/" in str(name))
        raise UserError(f"No run has a metric {missing[0]}: there are {known}.")


def markdown(frame: pd.DataFrame) -> str:
    """A frame of text as a Markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
