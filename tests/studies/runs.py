"""Runs with given metrics, in memory and as files, for tests of tables and reports."""

import json
from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import yaml

from recsys.studies.runs import Run, read_run

N_USERS = 40


def run_in_memory(
    model: str,
    metrics: Mapping[str, float],
    split: str = "a",
    seed: int = 0,
    users: Mapping[str, np.ndarray] | None = None,
    seconds: float = 1.0,
    **settings,
) -> Run:
    """A run without files.

    Args:
        model: name of its class.
        metrics: `test/ndcg@10`, ...
        split: fingerprint.
        seed: seed of the run.
        users: test metrics of users, and their `user_id` unless it is their position.
        seconds: time of training.
        **settings: hyperparameters of the model.
    """
    run = Run(
        directory=Path(),
        config={"model": {"_target_": f"recsys.models.x.{model}", "seed": seed, **settings}, "seed": seed},
        metrics=dict(metrics),
        manifest={
            "data": {"name": "ml-100k"},
            "split": {"name": "leave_last_out", "fingerprint": split},
            "seconds": {"fit": seconds},
        },
    )
    if users is not None:
        frame = pd.DataFrame(users)
        run.__dict__["per_user"] = frame if "user_id" in frame else frame.assign(user_id=frame.index)
    return run


def write_run(
    directory: Path,
    level: float,
    metrics: Mapping[str, float] | None = None,
    seed: int = 0,
    split: str = "a",
    commit: str = "c0ffee",
    dirty: bool = False,
    metric: str = "ndcg@10",
    random_seed: int = 0,
) -> Run:
    """Writes a small run directory and reads it; the value of a user is the level plus some noise."""
    (directory / "csv").mkdir(parents=True)
    values = level + 0.1 * np.random.default_rng(random_seed).random(N_USERS)
    written = {f"test/{metric}": values.mean(), f"valid/{metric}": level, "test/mean_popularity@10": 100 * level}
    written |= {f"test/{metric.replace('@10', '@5')}": level / 2} if "@" in metric else {}
    written |= metrics or {}
    users = pd.DataFrame({"user_id": np.arange(N_USERS), metric: values, "unread": "x"})
    duckdb.from_df(users).write_parquet(str(directory / "per_user.parquet"))
    slices = {
        "slice": ["activity"] * 2 + ["genre"] * 2,
        "value": ["1-9", "10-20", "Drama", "None"],
        "n": [4, 4, 5, 3],
    }
    slices |= {metric: [level, level, None, None], "dcg@10": [None, None, level, 0.2]}
    pd.DataFrame(slices).to_csv(directory / "slices.csv", index=False)
    curve = {"step": [5, 5, 10, 10], "train/epoch": [0, None, 1, None], f"valid/{metric}": [None, 0.1, None, level]}
    pd.DataFrame(curve).to_csv(directory / "csv" / "metrics.csv", index=False)
    (directory / "config.yaml").write_text(yaml.safe_dump({"seed": seed}))
    (directory / "metrics.json").write_text(json.dumps(written))
    (directory / "manifest.json").write_text(json.dumps(_manifest(split, commit, dirty)))
    return read_run(directory)


def _manifest(split: str, commit: str, dirty: bool) -> dict:
    return {
        "data": {"name": "ml-100k", "fingerprint": "data"},
        "split": {"name": "folds", "fingerprint": split},
        "seconds": {"data": 9.0, "fit": 2.0, "validation": 9.0, "refit": 1.0, "test": 0.5},
        "cpu_seconds": {"fit": 4.0, "refit": 2.0},
        "git": {"commit": commit, "dirty": dirty},
        "versions": {"torch": "2.13.0", "numpy": "2.4.0", "scipy": "1.17.0", "scikit-learn": "1.8.0"},
        "hardware": {"machine": "x86_64", "processor": "Abacus", "cores": 2, "gpus": []},
        "threads": 1,
        "peak_memory_bytes": 3 * 2**20,
    }
