"""Writes run directories; `recsys.studies.runs` describes their layout and reads them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import yaml

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.evaluation.evaluate import Evaluation
from recsys.files import move_into_place, write_text, write_whole
from recsys.models.base import MODELS, HasEmbeddings, Recommender, check_saved, class_name
from recsys.studies import process, provenance
from recsys.studies.identity import code_digest, id_digests
from recsys.studies.runs import (
    BEGUN,
    CHECKPOINTS,
    CONFIG,
    EMBEDDINGS,
    FAILURE,
    LEARNED_BEFORE,
    MANIFEST,
    METRICS,
    MODEL,
    PER_USER,
    UNRESOLVED,
    Run,
    is_interrupted,
)

SLICES, CALIBRATION = "slices.csv", "calibration.csv"
EARLIER = (CHECKPOINTS, "tensorboard", "csv", MODEL, "segments", "trees")  # folders of an earlier run
EARLIER_FILES = (LEARNED_BEFORE, METRICS, EMBEDDINGS, PER_USER, SLICES, CALIBRATION)  # not every run writes all of them
N_CHECKED = 5  # users whose scores a saved model from outside this package must repeat
SPACE_NEEDED = 200 * 2**20  # bytes; checkpoints of the usual models fit twice over

STAGES = {
    "data": "read the ratings and split them",
    "fit": "learned from the training ratings",
    "validation": "measured on the validation ratings, by which settings and epochs are chosen",
    "refit": "learned again, from the training and validation ratings together",
    "test": "measured on the test ratings, by which nothing was chosen",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A run's final model, with the facts about its training that the run stores.

    Attributes:
        model: the final model.
        split: split on which the model was trained and is measured.
        origin: where the data came from, as text.
        metrics: metrics by name, `valid/...` and `test/...`.
        speed: speed of training by name, such as `train/interactions_per_second`.
    """

    model: Recommender
    split: Split
    origin: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    speed: Mapping[str, float] = field(default_factory=dict)


class RunWriter:
    """Writes the files of a run into its directory, and times the stages of the run.

    Args:
        directory: directory of the run, created if it does not exist.
        config: the complete config with interpolations resolved, as YAML.
        unresolved: the complete config with its interpolations, as YAML; None if there are no interpolations.
        resumed: whether to continue from the files of an interrupted run in the directory; if False, these files are
            removed. A job that Slurm has requeued always continues its own run.

    Raises:
        UserError: the disk has too little space.
        OSError: the directory cannot be written to.
    """

    def __init__(self, directory: Path, config: str, unresolved: str | None = None, resumed: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(directory).free
        if free < SPACE_NEEDED:
            raise UserError(
                f"A run needs up to {SPACE_NEEDED / 2**20:.0f} MB of disk space, but only {free / 2**20:.0f} MB are "
                f"free for {directory}: free some space, or choose another place with hydra.run.dir=DIR."
            )
        self.config: dict[str, Any] = yaml.safe_load(config)
        self.is_resumed = resumed or (process.is_requeued() and is_interrupted(directory, self.config))
        clear_marks(directory)
        if not self.is_resumed:
            for file in EARLIER_FILES:
                (directory / file).unlink(missing_ok=True)
            for folder in EARLIER:
                shutil.rmtree(directory / folder, ignore_errors=True)
        write_text(directory / CONFIG, config)
        write_text(directory / UNRESOLVED, config if unresolved is None else unresolved)
        _write_json(directory / BEGUN, {"code": code_digest(self.config)})
        provenance.forget_peak_memory()
        self.git = provenance.commit()  # as the run begins, since files may change while it works
        self.directory = directory
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}

    @property
    def checkpoints(self) -> Path:
        """Return the directory of checkpoints, which has a subdirectory for each fit."""
        return self.directory / CHECKPOINTS

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the wall-clock and CPU seconds of the `with` block, in which a stage is executed, and log the stage.

        Args:
            name: one of `STAGES`.
        """
        started, cpu_started = time.perf_counter(), _cpu_seconds()
        yield
        self.seconds[name] = time.perf_counter() - started
        self.cpu_seconds[name] = _cpu_seconds() - cpu_started
        log.info("%s: %s (%.1f s)", name, STAGES[name], self.seconds[name])

    def write_learned_before(self, ratings: Dataset) -> None:
        """Store the ratings on which the initial weights of a warm start were trained.

        They are stored in the form of `Dataset.pairs`. A later warm start must not be tested on these ratings, although
        a new random split may put them into the test set. By then, the runs that were trained on them may have been
        deleted, so this run stores the ratings.
        """
        write_whole(self.directory / LEARNED_BEFORE, lambda file: np.savez(file, pairs=ratings.pairs))

    def write_test(self, tested: Evaluation) -> None:
        """Store the test metrics of each user and of each slice (group of users or items), and the calibration.

        The calibration compares predicted with actual ratings; it is stored only if the model predicts ratings.

        Raises:
            UserError: the metrics cannot be written.
        """
        partial = self.directory / f"{PER_USER}.partial"
        try:
            duckdb.from_df(tested.per_user).write_parquet(str(partial))
        except duckdb.IOException as error:
            partial.unlink(missing_ok=True)
            reason = " ".join(str(error).split())
            raise UserError(f"{partial} cannot be written ({reason}): free some space on its disk.") from error
        move_into_place(partial, self.directory / PER_USER)
        write_text(self.directory / SLICES, tested.slices.to_csv(index=False))
        if len(tested.calibration):
            write_text(self.directory / CALIBRATION, tested.calibration.to_csv(index=False))

    def finish(self, trained: Trained, also: Sequence[Callable[[Run], object]] = ()) -> None:
        """Store the model, its embeddings, the metrics and, last, the manifest.

        Args:
            trained: the final model with its validation metrics and, if it was tested, its test metrics.
            also: functions to call with the run before the manifest marks the run as finished.
        """
        model, dataset, metrics = trained.model, trained.split.dataset, dict(trained.metrics)
        model.save_without_data(self.directory / MODEL)
        if not class_name(model).startswith(MODELS):  # the tests of this package hold it for its own models
            check_saved(
                model, self.directory / MODEL, trained.split.train.query(np.arange(min(N_CHECKED, dataset.n_users)))
            )
        if isinstance(model, HasEmbeddings):
            _write_embeddings(self.directory / EMBEDDINGS, model, trained.split)
        _write_json(self.directory / METRICS, metrics)
        manifest = {
            "status": "complete",
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "data": {
                "name": dataset.name,
                "origin": trained.origin,
                "fingerprint": dataset.fingerprint,
                "ratings": dataset.n_ratings,
                "users": dataset.n_users,
                "films": dataset.n_items,
                "ids": id_digests(dataset),
            },
            "split": {"name": trained.split.name, "fingerprint": trained.split.fingerprint},
            "seed": self.config["seed"],
            "code": code_digest(self.config),
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "speed": dict(trained.speed),
            "git": self.git,
            **provenance.circumstances(self.config["threads"]),
        }
        for work in also:
            work(Run(self.directory, self.config, metrics, manifest))
        _write_json(self.directory / MANIFEST, manifest)


def clear_marks(directory: Path) -> None:
    """Remove the files that mark a run as finished or failed, from a directory that another run will use."""
    for mark in (MANIFEST, FAILURE):
        (directory / mark).unlink(missing_ok=True)


def remove_model(directory: Path) -> None:
    """Remove a run's model, checkpoints and embeddings; its settings, metrics and log remain."""
    for name in (CHECKPOINTS, MODEL):
        shutil.rmtree(directory / name, ignore_errors=True)
    (directory / EMBEDDINGS).unlink(missing_ok=True)


def write_failure(directory: Path, error: Exception) -> None:
    """Store, in the directory of a run, the reason why the run failed."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_json(directory / FAILURE, {"failure": failure_reason(error)})


def failure_reason(error: Exception) -> str:
    """Describe in one line the error that made a run fail."""
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def _cpu_seconds() -> float:
    """Return the CPU seconds of all threads of this process, and of its child processes that have ended."""
    user, system, children_user, children_system, _ = os.times()
    return user + system + children_user + children_system


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")


def _write_embeddings(path: Path, model: HasEmbeddings, split: Split) -> None:
    """Write the embeddings of a run as an .npz file.

    Its arrays are `users` (n_users, d) and `items` (n_items, d); `user_ids` and `movie_ids`, the raw ids of these rows;
    and `split`, the split's fingerprint.
    """
    arrays = {
        "users": model.user_embeddings(),
        "items": model.item_embeddings(),
        "user_ids": np.array(split.dataset.user_frame["user_id"].tolist()),  # numbers or text, never objects
        "movie_ids": np.array(split.dataset.item_frame["movie_id"].tolist()),
        "split": np.array(split.fingerprint),
    }
    write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
