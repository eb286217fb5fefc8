"""Runs to tables: mean and standard deviation over seeds, a row for each model and setting."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from recsys.errors import UserError
from recsys.studies.runs import Run, flat

KEYS = ["data", "split", "model", "settings"]


def results(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: `data`, `split`, `model`, `settings`, `seed`, then its metrics.

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
                **run.metrics,
            }
        )
    return pd.DataFrame(rows)


def table(runs: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame:
    """Text: `0.1452 ± 0.0012` for each metric, over the seeds of each row.

    Raises:
        UserError: no run has such a metric.
    """
    frame = results(runs)
    missing = [metric for metric in metrics if metric not in frame]
    if missing:
        known = ", ".join(str(name) for name in frame.columns if "/" in str(name))
        raise UserError(f"No run has a metric {missing[0]}: there are {known}.")
    groups = frame.groupby(KEYS, sort=False)
    text = pd.DataFrame({"seeds": groups["seed"].nunique().astype(str)})
    for metric in metrics:
        mean, deviation = groups[metric].mean(), groups[metric].std()
        text[metric] = [
            f"{m:.4f}" if pd.isna(d) else f"{m:.4f} ± {d:.4f}" for m, d in zip(mean, deviation, strict=True)
        ]
    return text.reset_index()


def markdown(frame: pd.DataFrame) -> str:
    """A frame of text as a Markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
