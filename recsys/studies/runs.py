"""The layout of a run directory: write it, read it.

    .hydra/                 what the command said, for `resume=`
    config.yaml             every setting, resolved
    begun.json              digest of the code that it began with
    train.log
    tensorboard/ or csv/    curves and the rest of what the logger keeps
    checkpoints/selection/  best and last weights of the fit that validation watched
    checkpoints/refit/      the same of the fit on training and validation ratings
    model/                  `recsys.models.base.load` reads it, without Hydra
    metrics.json            `valid/ndcg@10`, `test/ndcg@10`, ...
    per_user.parquet        a row for each test user, a column for each metric
    slices.csv              test metrics of groups of users and films
    calibration.csv         of models that predict stars: predicted beside actual ones
    learned_before.npz      of a run that continued from another's weights: what these had learned from
    embeddings.npz          of models that have some, with raw ids and the split's fingerprint
    segments/               of its users, once `python -m recsys segments` was run
    trees/                  what its trees go by, once `python -m recsys importance` was run
    failure.json            of a run of a sweep that failed, in place of the manifest: why
    manifest.json           what the run was made of and what it cost; written last: its run is finished

Every file is written whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import torch
import yaml

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.evaluation.evaluate import Evaluation
from recsys.files import digest_of, write_whole
from recsys.models.base import HasEmbeddings, Recommender, load

MANIFEST = "manifest.json"
FAILURE = "failure.json"
BEGUN = "begun.json"
LEFT_BEHIND = ("checkpoints", "tensorboard", "csv", "model", "segments", "trees")  # by an earlier run in the same place
EMBEDDINGS = "embeddings.npz"
LEARNED_BEFORE = "learned_before.npz"
PER_USER = "per_user.parquet"
SPACE_NEEDED = 200 * 2**20  # bytes; checkpoints of the usual models fit twice over
CODE = (":/recsys", ":/configs", ":/hydra_plugins", ":/train.py")  # tables that studies write are none
ROOMS = ("data", "metrics", "models", "evaluation")  # whose code a run's figures come from
NOT_DECISIVE = ("run_dir", "cache_dir", "resume", "logger", "study", "optimized_metric", "data.path", "metadata.path")
PACKAGES = ("recsys", "torch", "pytorch-lightning", "numpy", "scipy", "pandas", "scikit-learn", "duckdb", "hydra-core")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A finished run, read back.

    Attributes:
        directory: where it lies.
        config: every setting, nested as in configs/.
        metrics: `valid/...` and `test/...`.
        manifest: fingerprints, seed, commit, versions, hardware, seconds, memory.
    """

    directory: Path
    config: dict[str, Any]
    metrics: dict[str, float]
    manifest: dict[str, Any]

    @cached_property
    def per_user(self) -> pd.DataFrame:
        """Test metrics, a row for each user.

        Raises:
            UserError: the run was not tested.
        """
        self.check_tested()
        return duckdb.read_parquet(str(self.directory / PER_USER)).df()

    def of_users(self, metrics: Sequence[str]) -> pd.DataFrame:
        """Some test metrics, indexed by user, of those that single users have; the file's other columns stay unread.

        Raises:
            UserError: the run was not tested.
        """
        self.check_tested()
        stored = duckdb.read_parquet(str(self.directory / PER_USER))
        chosen = ["user_id", *(metric for metric in metrics if metric in stored.columns)]
        return stored.project(", ".join(f'"{name}"' for name in chosen)).df().set_index("user_id")

    def user_embeddings(self, split: Split) -> np.ndarray:
        """Float32 (n_users, d), learned on this split.

        Raises:
            UserError: the model has none, or they were learned on another split.
        """
        if not (self.directory / EMBEDDINGS).is_file():
            raise UserError(f"{self.directory} has no embeddings ({EMBEDDINGS} is missing): its model makes none.")
        with np.load(self.directory / EMBEDDINGS, allow_pickle=False) as stored:
            if str(stored["split"]) != split.fingerprint:
                raise UserError(f"The embeddings of {self.directory} were learned on another split: train it anew.")
            return stored["users"]

    def learned_from(self, split: Split) -> Dataset:
        """Those ratings of its split that the final model learned from; never test ratings."""
        return split.refit_train if self.config["refit"] else split.train

    def has_learned(self, split: Split, later: Dataset) -> np.ndarray:
        """Which ratings of later data the final model's weights have learned from, be it in an earlier run.

        Args:
            split: the run's.
            later: ratings of the same films.

        Returns:
            bool (n,), of the later ratings.

        Raises:
            UserError: the films differ.
        """
        learned = self.learned_from(split).pairs
        if (self.directory / LEARNED_BEFORE).is_file():
            with np.load(self.directory / LEARNED_BEFORE, allow_pickle=False) as stored:
                learned = np.union1d(learned, stored["pairs"])
        users = later.users_in(split.dataset)[later.users]
        return (users >= 0) & np.isin(users * later.n_items + later.items, learned)

    def model(self, trusted: bool = False) -> Recommender:
        """The trained model; see `recsys.models.base.load`."""
        return load(self.directory / "model", trusted)

    @cached_property
    def identity(self) -> str:
        """See `identity`."""
        return identity(self.config)

    def check_tested(self) -> None:
        """Hold to it that a run without test leaves test ratings alone.

        Raises:
            UserError: the run was not tested.
        """
        if not (self.directory / PER_USER).is_file():
            raise UserError(f"{self.directory} was not tested ({PER_USER} is missing): take a run with test=true.")

    def check_split(self, split: Split) -> None:
        """Hold a split made again against the run's: test ratings of another one may have been trained on.

        Raises:
            UserError: they differ.
        """
        if split.fingerprint != self.manifest["split"]["fingerprint"]:
            raise UserError(f"The split is no longer the one that {self.directory} was trained on: train it anew.")

    def check_data(self, dataset: Dataset) -> None:
        """Hold data prepared again against those that the run was trained on; say so on stderr where they differ.

        Raises:
            UserError: they have other numbers of users or films, which the model's codes cannot be of.
        """
        then = self.manifest["data"]
        if then["fingerprint"] == dataset.fingerprint:
            return
        changed = f"{dataset.name} is no longer the data that {self.directory} was trained on"
        if (then["users"], then["films"]) != (dataset.n_users, dataset.n_items):
            raise UserError(f"{changed}: it has other users or films, so train the model anew.")
        log.warning("%s (its fingerprint differs): the same users and films are taken to be there.", changed)


def is_finished(directory: Path) -> bool:
    """Whether a run ended well."""
    return (directory / MANIFEST).is_file()


def forget(directory: Path) -> None:
    """Take the mark of a finished or failed run from a directory where another one is to be made."""
    for ended in (MANIFEST, FAILURE):
        (directory / ended).unlink(missing_ok=True)


def stopped(directory: Path, config: Mapping[str, Any]) -> bool:
    """Whether a directory holds a run of these settings and the code as it is that was stopped before its end."""
    begun, settings = directory / BEGUN, directory / "config.yaml"
    if is_finished(directory) or read_failure(directory) is not None or not (begun.is_file() and settings.is_file()):
        return False
    same_code = json.loads(begun.read_text())["code"] == code_digest()
    return same_code and identity(yaml.safe_load(settings.read_text())) == identity(config)


def write_failure(directory: Path, error: Exception) -> None:
    """Keep why a run failed, in one line."""
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    directory.mkdir(parents=True, exist_ok=True)
    _write_json(directory / FAILURE, {"failure": kind + " ".join(str(error).split())})


def read_failure(directory: Path) -> str | None:
    """Why a run failed; None where it did not."""
    file = directory / FAILURE
    return json.loads(file.read_text())["failure"] if file.is_file() else None


def read_run(directory: Path) -> Run:
    """Read a finished run.

    Raises:
        UserError: there is none.
    """
    if not is_finished(directory):
        raise UserError(f"{directory} holds no finished run ({MANIFEST} is missing).")
    return Run(
        directory=directory,
        config=yaml.safe_load((directory / "config.yaml").read_text()),
        metrics=json.loads((directory / "metrics.json").read_text()),
        manifest=json.loads((directory / MANIFEST).read_text()),
    )


def identity(config: Mapping[str, Any]) -> str:
    """Digest of the settings that decide what a run gives.

    Where files lie is no part of it, since the manifest tells what they hold, by fingerprints. A switch of train.py
    that is off is as if it were not there, so that a new one leaves earlier runs what they are.
    """
    decisive = {
        name: value
        for name, value in flat(config).items()
        if not (value in (None, False) and "." not in name)
        and not any(name == other or name.startswith(f"{other}.") for other in NOT_DECISIVE)
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


@cache
def code_digest() -> str:
    """Digest of the code that a run's figures come from: of the rooms in `ROOMS` and of train.py."""
    package = Path(__file__).parents[1]
    files = [file for room in ROOMS for file in (package / room).rglob("*") if file.suffix in (".py", ".sql")]
    return digest_of(sorted(files) + sorted(package.parent.glob("train.py")))[:16]


def find_runs(directory: Path) -> list[Run]:
    """All finished runs in a directory or below it, by path.

    Raises:
        UserError: there is none.
    """
    runs = [read_run(manifest.parent) for manifest in sorted(directory.rglob(MANIFEST))]
    if not runs:
        raise UserError(f"{directory} holds no finished run: name a run directory, a sweep, or outputs.")
    return runs


class RunWriter:
    """Fills a run directory, and times the stages of the run.

    Args:
        directory: made if need be.
        config: every setting, resolved, as YAML.
        resumed: whether to go on with what a stopped run left there, where all is removed otherwise.

    Raises:
        UserError: too little space on the disk.
        OSError: the directory cannot be written to.
    """

    def __init__(self, directory: Path, config: str, resumed: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(directory).free
        if free < SPACE_NEEDED:
            raise UserError(
                f"Only {free / 2**20:.0f} MB are free where {directory} lies, and a run needs up to "
                f"{SPACE_NEEDED / 2**20:.0f}: make room, or choose another place with hydra.run.dir=DIR."
            )
        forget(directory)
        if not resumed:
            (directory / LEARNED_BEFORE).unlink(missing_ok=True)
            for folder in LEFT_BEHIND:
                shutil.rmtree(directory / folder, ignore_errors=True)
        _write_text(directory / "config.yaml", config)
        _write_json(directory / BEGUN, {"code": code_digest()})
        self.git = _git()  # as the run begins, since files may change while it works
        self.directory = directory
        self.config: dict[str, Any] = yaml.safe_load(config)
        self.seconds: dict[str, float] = {}

    @property
    def checkpoints(self) -> Path:
        """The directory of a fit is one below it."""
        return self.directory / "checkpoints"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
        log.info("%s: %.1f s", name, self.seconds[name])

    def write_learned_before(self, ratings: Dataset) -> None:
        """Keep which ratings the weights that this run continues from have learned from, as `Dataset.pairs`.

        Splits that are drawn anew put such ratings into the test of a run further on, which may find the runs between
        removed.
        """
        write_whole(self.directory / LEARNED_BEFORE, lambda file: np.savez(file, pairs=ratings.pairs))

    def write_test(self, tested: Evaluation) -> None:
        """Keep the test metrics of each user and slice, and how stars came out beside what was predicted."""
        partial = self.directory / f"{PER_USER}.partial"
        duckdb.from_df(tested.per_user).write_parquet(str(partial))
        partial.replace(self.directory / PER_USER)
        _write_text(self.directory / "slices.csv", tested.slices.to_csv(index=False))
        if len(tested.calibration):
            _write_text(self.directory / "calibration.csv", tested.calibration.to_csv(index=False))

    def finish(
        self,
        model: Recommender,
        split: Split,
        origin: str,
        metrics: dict[str, float],
        speed: Mapping[str, float],
        also: Sequence[Callable[[Run], object]] = (),
    ) -> None:
        """Keep the model, its embeddings, the metrics and, last, the manifest.

        Args:
            model: the final one.
            split: what it was trained and measured on.
            origin: where the data came from.
            metrics: `valid/...` and `test/...`.
            speed: of training, `train/interactions_per_second` among it.
            also: what else to make of the run before it counts as finished.
        """
        model.save(self.directory / "model")
        if isinstance(model, HasEmbeddings):
            _write_embeddings(self.directory / EMBEDDINGS, model, split)
        _write_json(self.directory / "metrics.json", metrics)
        dataset = split.dataset
        manifest = {
            "status": "complete",
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "data": {
                "name": dataset.name,
                "origin": origin,
                "fingerprint": dataset.fingerprint,
                "ratings": len(dataset),
                "users": dataset.n_users,
                "films": dataset.n_items,
            },
            "split": {"name": split.name, "fingerprint": split.fingerprint},
            "seed": self.config["seed"],
            "code": code_digest(),
            "seconds": self.seconds,
            "speed": speed,
            "git": self.git,
            **_circumstances(),
        }
        for make in also:
            make(Run(self.directory, self.config, metrics, manifest))
        _write_json(self.directory / MANIFEST, manifest)


def _circumstances() -> dict[str, Any]:
    """Command, versions, hardware, threads and peak memory of this process."""
    return {
        "command": sys.argv,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "hardware": {
            "machine": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": _peak_memory(),
    }


def short(path: Path) -> Path:
    """A path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    settings: dict[str, Any] = {}
    for name, value in config.items():
        settings |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
    return settings


def _write_json(path: Path, value: Any) -> None:
    _write_text(path, json.dumps(value, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    write_whole(path, lambda file: file.write(text.encode()))


def _write_embeddings(path: Path, model: HasEmbeddings, split: Split) -> None:
    """Write `users` (n_users, d) and `items` (n_items, d) with `user_ids`, `movie_ids` and the split's fingerprint."""
    arrays = {
        "users": model.user_embeddings(),
        "items": model.item_embeddings(),
        "user_ids": np.array(split.dataset.user_frame["user_id"].tolist()),  # numbers or text, never objects
        "movie_ids": np.array(split.dataset.item_frame["movie_id"].tolist()),
        "split": np.array(split.fingerprint),
    }
    write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def _git() -> dict[str, Any]:
    """The commit of the code that runs, and whether code or configs differ from it; empty outside a checkout."""
    if shutil.which("git") is None:
        return {}
    git = ["git", "-C", str(Path(__file__).parent)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603
    if commit.returncode:
        return {}
    asked = [*git, "status", "--porcelain", "--", *CODE]
    status = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
    return {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}


def _processor() -> str:
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
