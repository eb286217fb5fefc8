"""Turns of public libraries: each runs as a script in an environment of its own, and its scores are evaluated here.

The scripts of the libraries and the pins of their environments are in `peers/`; `exchange.py` describes the files by
which they receive ratings and return scores.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsys.config import compose, instantiate
from recsys.data.prepare import prepare
from recsys.data.split import Split
from recsys.metrics.accuracy import ranking_metrics
from recsys.metrics.ratings import rating_metrics

HERE = Path(__file__).parent
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA", "RAYON", "LK", "LK_BACKEND")}


def pins(peer: str) -> Path:
    """Return the path of the pins of a peer's environment; the script of this project has no such file."""
    return HERE / "peers" / f"{peer}.txt"


def environment(peer: str, directory: Path) -> Path:
    """Return the Python of a peer's environment; creates the environment if it is missing.

    A script without pins, such as ours, runs in the environment of this one.

    Raises:
        subprocess.CalledProcessError: its packages could not be installed.
    """
    requirements = pins(peer)
    if not requirements.is_file():
        return Path(sys.executable)
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:8]
    folder = directory / f"{peer}-{digest}"
    python, installed = folder / "bin" / "python", folder / "installed"
    if not installed.is_file():  # written last, so that an interrupted installation is repeated
        print(f"Creating {folder}", file=sys.stderr)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(requirements)]
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], install):
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        installed.touch()
    return python


class Data:
    """The data of all scripts, and the evaluation of their scores."""

    def __init__(self, split: Split, scores: np.ndarray | None = None) -> None:
        self.split = split
        parts = {"train": split.train, "valid": split.valid.ratings, "test": split.test.ratings}
        self.arrays = {
            f"{name}.{column}": getattr(part, column).astype(kind)
            for name, part in parts.items()
            for column, kind in (("users", np.int64), ("items", np.int64), ("ratings", np.float32))
        }
        self.arrays |= {"n_users": np.array(split.dataset.n_users), "n_items": np.array(split.dataset.n_items)}
        if scores is not None:
            self.arrays["scores"] = scores

    def measure(self, scores: np.ndarray) -> dict[str, float]:
        """Evaluate scores (n_users, n_items) on validation and test, or predicted ratings (n,) on test."""
        if scores.ndim == 1:
            actual = self.arrays["test.ratings"]
            values = rating_metrics(scores, actual, np.zeros(len(actual), np.int64), 1)
            return {name: values[name].item() for name in ("rmse", "mae")}
        measured = {}
        for name, holdout in (("valid", self.split.valid), ("test", self.split.test)):
            values = ranking_metrics(scores[holdout.users], holdout, ks=(10,))
            measured |= {f"{name}/{metric}": float(values[metric].mean()) for metric in ("hr@10", "ndcg@10")}
        return measured


def take_turn(library: str, python: Path, job: Mapping[str, Any], data: Data) -> list[dict[str, float]]:
    """Run one script on one job.

    Returns:
        A row for each record of scores: `seconds` so far, quality, and the memory of the process.

    Raises:
        subprocess.CalledProcessError: it failed; `stderr` has the reason.
    """
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "job.json").write_text(json.dumps(job))
        np.savez(folder / "data.npz", allow_pickle=False, **data.arrays)
        paths = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        # -P keeps peers/ out of the path, since its scripts have the names of the packages that they import.
        command = [str(python), "-P", str(HERE / "peers" / f"{library}.py"), directory]
        variables = os.environ | ONE_THREAD | {"PYTHONPATH": paths}
        subprocess.run(command, check=True, capture_output=True, text=True, env=variables, cwd=folder)  # noqa: S603
        result = json.loads((folder / "result.json").read_text())
        memory = {"mb": result["mb"], "mb_before": result["mb_before"]}
        if result["metrics"]:
            metrics = {f"test/{name}": value for name, value in result["metrics"].items()}
            return [{"seconds": result["seconds"], **metrics, **memory}]
        return [
            {"seconds": seconds, **data.measure(np.load(folder / f"scores-{i}.npy")), **memory}
            for i, seconds in enumerate(result["recorded_at"])
        ]


def composed_split(overrides: Sequence[str]) -> Split:
    """Return the split that overrides of train.py describe."""
    cfg = compose("train", overrides)
    return instantiate(cfg.split)(prepare(instantiate(cfg.data), Path(cfg.cache_dir), None).dataset)


def last_line(error: subprocess.CalledProcessError) -> str:
    """Return the last line that a failed command has written, as the reason of its failure."""
    return (error.stderr or "").strip().rpartition("\n")[2] or f"ended with status {error.returncode}"
