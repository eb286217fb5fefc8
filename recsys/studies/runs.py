"""The layout of run directories, and functions that read them.

    .hydra/                 the command's overrides and config, which `resume=` reads
    .lock                   locked while a process works on the run
    config.yaml             the complete config, with interpolations resolved
    unresolved.yaml         the complete config with its interpolations, for a refit in another directory
    begun.json              digest of the code with which the run started
    train.log
    tensorboard/ or csv/    curves and other output of the logger
    tensorboard/final/      final metrics, hyperparameters, texts and embeddings, as TensorBoard shows them
    checkpoints/selection/  best and last weights of the fit on training ratings, measured on validation
    checkpoints/refit/      best and last weights of the fit on training and validation ratings together
    model/                  the final model, which `recsys.models.base.load` reads without Hydra
    metrics.json            `valid/ndcg@10`, `test/ndcg@10`, ...
    per_user.parquet        a row for each test user, a column for each metric
    slices.csv              test metrics of groups of users and items
    calibration.csv         predicted and actual ratings, if the model predicts ratings
    learned_before.npz      ratings on which the initial weights of a warm start had been trained
    embeddings.npz          embeddings, if the model has any, with raw ids and the split's fingerprint
    segments/               segments of users, written by `python -m recsys segments`
    trees/                  importance of features, written by `python -m recsys importance`
    failure.json            the reason why a run of a sweep failed; it then has no manifest
    manifest.json           data, code, command, hardware and cost; written last, so it marks a finished run

Every file that the functions here read is written atomically. Logs and curves grow while the run works.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.quoting import one_file, quoted
from recsys.data.split import Split
from recsys.dotted import flatten
from recsys.errors import UserError
from recsys.files import reading
from recsys.models.base import EmbedsHistories, Recommender, known_class, load
from recsys.models.saved_files import is_saved_with_data, saved_class
from recsys.studies.foreign import cache_of, check_links, parse_yaml
from recsys.studies.identity import code_digest, id_digests, identity

MANIFEST = "manifest.json"
FAILURE = "failure.json"
BEGUN = "begun.json"
CONFIG = "config.yaml"
UNRESOLVED = "unresolved.yaml"
CHECKPOINTS = "checkpoints"
MODEL = "model"
METRICS = "metrics.json"
EMBEDDINGS = "embeddings.npz"
LEARNED_BEFORE = "learned_before.npz"
PER_USER = "per_user.parquet"
RUN_DIRECTORY = re.compile(r"\$\{(run_dir|hydra:(runtime\.output_dir|run\.dir))\}")  # in unresolved settings

MANIFEST_TYPES = {"data.name": str, "data.fingerprint": str, "split.name": str, "split.fingerprint": str}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A finished run, read from its directory.

    Attributes:
        directory: directory of the run.
        config: the complete config with interpolations resolved, nested as in configs/.
        metrics: metrics by name, `valid/...` and `test/...`.
        manifest: fingerprints, seed, commit, versions, hardware, seconds, memory.
    """

    directory: Path
    config: dict[str, Any]
    metrics: dict[str, float]
    manifest: dict[str, Any]

    @cached_property
    def per_user(self) -> pd.DataFrame:
        """Return the test metrics of each test user: a row with the raw `user_id` and the metrics, such as `ndcg@10`.

        Raises:
            UserError: the run was not tested, or the file is damaged.
        """
        self.check_tested()
        with reading(self.directory / PER_USER):
            users = duckdb.read_parquet(one_file(self.directory / PER_USER)).df()
            if "user_id" not in users:
                raise ValueError("it must have a column user_id")
            return users

    def per_user_metrics(self, metrics: Sequence[str]) -> pd.DataFrame:
        """Read some of the per-user test metrics, float64, indexed by raw user id.

        Metrics that the run does not store are left out.

        Raises:
            UserError: the run was not tested, or the file is damaged.
        """
        self.check_tested()
        with reading(self.directory / PER_USER):
            stored = duckdb.read_parquet(one_file(self.directory / PER_USER))
            chosen = ["user_id", *(metric for metric in metrics if metric in stored.columns)]
            return stored.project(", ".join(map(quoted, chosen))).df().set_index("user_id").astype(float)

    @property
    def has_embeddings(self) -> bool:
        """Return whether the run's model learns embeddings."""
        return (self.directory / EMBEDDINGS).is_file()

    def user_embeddings(self, split: Split) -> np.ndarray:
        """Return the embeddings of users, float32 (n_users, d), which must have been learned on the given split.

        Raises:
            UserError: the model has no embeddings, they were learned on another split, or the file is damaged.
        """
        if not self.has_embeddings:
            raise UserError(
                f"{self.directory} has no embeddings ({EMBEDDINGS} is missing): its model learns none. Segments by "
                "genres and decades need none: space=ratings."
            )
        with (
            reading(self.directory / EMBEDDINGS),
            np.load(self.directory / EMBEDDINGS, allow_pickle=False) as stored,
        ):
            if str(stored["split"]) != split.fingerprint:
                raise UserError(
                    f"The embeddings of {self.directory} were learned on another split: train the run again."
                )
            users = stored["users"]
            if users.ndim != 2 or len(users) != split.dataset.n_users or not np.isfinite(users).all():
                raise ValueError(f"users must be a finite row for each of {split.dataset.n_users:,} users")
            return users

    def learned_from(self, split: Split) -> Dataset:
        """Return those ratings of the run's split on which the final model was trained; they are never test ratings."""
        return split.refit_train if self.config["refit"] else split.train

    def has_learned(self, split: Split, later: Dataset) -> np.ndarray:
        """Return on which ratings of a later data set the final model was trained.

        Training in earlier runs, whose weights this run continued to train, counts too.

        Args:
            split: split of the run.
            later: later data set with the same items.

        Returns:
            bool (n,), True for each rating of `later` on which the weights were trained.

        Raises:
            UserError: the later data set has other items, or items in another order.
        """
        learned = self.learned_from(split).pairs
        if self.is_warm:
            file = self.directory / LEARNED_BEFORE
            with reading(file), np.load(file, allow_pickle=False) as stored:
                learned = np.union1d(learned, stored["pairs"])
        users = later.users_in(split.dataset)[later.users]
        return (users >= 0) & np.isin(users * later.n_items + later.items, learned)

    @property
    def is_warm(self) -> bool:
        """Return whether training continued from the weights of an earlier run."""
        return (self.directory / LEARNED_BEFORE).is_file()

    @property
    def model_class(self) -> str:
        """Return the name of the trained model's class."""
        return saved_class(self._model_directory)

    def model(self, trusted: bool = False) -> Recommender:
        """Load the trained model; see `recsys.models.base.load`."""
        return load(self._model_directory, trusted)

    @property
    def may_embed_new_users(self) -> bool:
        """Return whether the model embeds users by their histories; also True if only loading the model could tell."""
        if not (self.directory / MODEL).is_dir():
            return True
        cls = known_class(self._model_directory)
        return cls is None or issubclass(cls, EmbedsHistories)

    @property
    def _model_directory(self) -> Path:
        """Return the directory of the model.

        Raises:
            UserError: the run has no model; a search removes the models of all trials except the best.
        """
        directory = self.directory / MODEL
        if not directory.is_dir():
            raise UserError(
                f"{self.directory} has no model: a search keeps only that of its best trial, unless "
                "hydra.sweeper.keep_models=true. Train the run again with the settings in its config.yaml."
            )
        return directory

    @cached_property
    def identity(self) -> str:
        """Return the digest of the run's settings; see `recsys.studies.identity.identity`."""
        return identity(self.config)

    def config_in(self, directory: Path) -> dict[str, Any]:
        """Return this run's config for a new run in another directory.

        Settings that refer to this run's directory, such as those of the logger, refer to the new directory instead, so
        that the new run writes nothing into this run's directory. A run made by an earlier version may have stored only
        its resolved config, without interpolations. That config is returned unchanged, and still refers to this run's
        directory.

        Args:
            directory: directory of the new run.

        Raises:
            UserError: the file of the config with interpolations is damaged.
        """
        unresolved = next(
            (file for name in (UNRESOLVED, ".hydra/config.yaml") if (file := self.directory / name).is_file()), None
        )
        if unresolved is None:
            return dict(self.config)
        moved = _Moved(str(self.config["run_dir"]), str(directory))
        config = self.config | {"logger": moved.paths(self.config.get("logger"))}  # a refit stores no interpolations
        with reading(unresolved):
            return moved.settings(config, parse_yaml(unresolved.read_text(encoding="utf-8")))

    def check_tested(self) -> None:
        """Check that the run was tested.

        Raises:
            UserError: the run was not tested; its test ratings must then stay unused.
        """
        if not (self.directory / PER_USER).is_file():
            raise UserError(f"{self.directory} was not tested ({PER_USER} is missing): choose a run with test=true.")

    def check_split(self, split: Split) -> None:
        """Check that a split is the run's own, since the model may have been trained on test ratings of another split.

        Raises:
            UserError: the splits differ.
        """
        if split.fingerprint != self.manifest["split"]["fingerprint"]:
            raise UserError(f"The split is no longer the one that {self.directory} was trained on: train a new run.")

    def check_data(self, dataset: Dataset) -> None:
        """Check that a data set has the users and items on which the run was trained; warn of any other difference.

        For runs of earlier versions, which have no digests of ids, only the numbers of users and items are compared.

        Raises:
            UserError: the users or items differ, so the model's integer codes would stand for other users or items.
        """
        then = self.manifest["data"]
        if then["fingerprint"] == dataset.fingerprint:
            return
        changed = f"{dataset.name} is no longer the data that {self.directory} was trained on"
        with reading(self.directory / MANIFEST):
            same_numbers = (then["users"], then["films"]) == (dataset.n_users, dataset.n_items)
        if not same_numbers or then.get("ids", id_digests(dataset)) != id_digests(dataset):
            raise UserError(f"{changed}: it has other users or items, so train the model again.")
        same = "the same" if "ids" in then else "assumed to be the same"
        log.warning("%s (its fingerprint differs): users and items are %s.", changed, same)


def is_finished(directory: Path) -> bool:
    """Return whether a directory holds a finished run."""
    return (directory / MANIFEST).is_file()


def is_interrupted(directory: Path, config: Mapping[str, Any]) -> bool:
    """Return whether a directory holds an interrupted run with these settings and the current code."""
    return not is_finished(directory) and read_failure(directory) is None and _has_begun(directory, config)


def is_completed(directory: Path, config: Mapping[str, Any]) -> bool:
    """Return whether a directory holds a finished run that was made with these settings and the current code."""
    return is_finished(directory) and _has_begun(directory, config)


def _has_begun(directory: Path, config: Mapping[str, Any]) -> bool:
    begun, settings = directory / BEGUN, directory / CONFIG
    if not (begun.is_file() and settings.is_file()):
        return False
    with reading(begun):
        same_code = json.loads(begun.read_text(encoding="utf-8"))["code"] == code_digest(config)
    with reading(settings):
        return same_code and identity(parse_yaml(settings.read_text(encoding="utf-8"))) == identity(config)


def read_failure(directory: Path) -> str | None:
    """Return the reason why the run in a directory failed, or None if it did not fail."""
    file = directory / FAILURE
    with reading(file):
        return json.loads(file.read_text(encoding="utf-8"))["failure"] if file.is_file() else None


def read_run(directory: Path) -> Run:
    """Read a finished run.

    Raises:
        UserError: the directory holds no finished run, its files are damaged, or a symbolic link leads out of it.
    """
    if not is_finished(directory):
        is_saved = is_saved_with_data(directory)
        hint = f": in Python, recsys.load('{directory}') reads the model that was saved there" if is_saved else ""
        raise UserError(f"{directory} holds no finished run ({MANIFEST} is missing){hint}.")
    check_links(directory)
    config = _read(directory / CONFIG, parse_yaml, {})
    return Run(
        directory=directory,
        config=config | {"cache_dir": cache_of(config)},
        metrics=_read(directory / METRICS, json.loads, {}, of_values=(int, float)),
        manifest=_read(directory / MANIFEST, json.loads, MANIFEST_TYPES),
    )


def find_runs(*directories: Path) -> list[Run]:
    """Read all finished runs in directories or below them, each run once.

    The runs of a directory are sorted by path, in which numbers are compared by value: job 3 precedes job 10.

    Raises:
        UserError: a directory has no finished run, or a run is damaged.
    """
    found: dict[Path, Path] = {}
    for directory in directories:
        manifests = sorted(directory.rglob(MANIFEST), key=_numbered)
        if not manifests:
            raise UserError(
                f"{directory} holds no finished run: name the directory of a run or of a sweep, or outputs/."
            )
        for manifest in manifests:
            found.setdefault(manifest.resolve(), manifest)
    return [read_run(manifest.parent) for manifest in found.values()]


def _numbered(path: Path) -> list[tuple[str | int, ...]]:
    """Return a key that sorts paths by their parts: numbers in a part are compared by value, the rest as text."""
    return [
        tuple(int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", part)) for part in path.parts
    ]


def _read(
    file: Path, parse: Callable[[str], Any], types: Mapping[str, type], of_values: tuple[type, ...] = (object,)
) -> dict[str, Any]:
    """Read a file that holds a mapping.

    Args:
        file: the file.
        parse: function that parses the text of the file.
        types: types of the values that the mapping must contain, by dotted name.
        of_values: types that the values of the mapping may have.

    Raises:
        UserError: the file is damaged.
    """
    with reading(file):
        found = parse(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not all(isinstance(value, of_values) for value in found.values()):
            raise TypeError(f"it must hold names with values ({', '.join(kind.__name__ for kind in of_values)})")
        values = flatten(found)
        for name, kind in types.items():
            if not isinstance(values[name], kind):
                raise TypeError(f"{name} must be a {kind.__name__}")
        return found


@dataclass(frozen=True)
class _Moved:
    """Replaces a run's directory by another one in settings that refer to it; other settings are not changed.

    Attributes:
        before: directory of the run.
        after: the other directory.
    """

    before: str
    after: str

    def settings(self, resolved: Any, unresolved: Any) -> Any:
        """Return resolved settings, in which `after` replaces `before`.

        Args:
            resolved: settings with interpolations resolved.
            unresolved: the same settings with interpolations, which show what settings refer to `before`.
        """
        if isinstance(resolved, dict):
            written = unresolved if isinstance(unresolved, dict) else {}
            return {name: self.settings(value, written.get(name, value)) for name, value in resolved.items()}
        if isinstance(resolved, list) and isinstance(unresolved, list):
            return [self.settings(*values) for values in zip(resolved, unresolved, strict=True)]
        refers = unresolved != resolved and _in(self.before, str(unresolved)) == resolved
        return _in(self.after, unresolved) if refers else resolved

    def paths(self, settings: Any) -> Any:
        """Return the settings with `before` replaced by `after` in each string that is this path or begins with it."""
        if isinstance(settings, dict):
            return {name: self.paths(value) for name, value in settings.items()}
        if isinstance(settings, list):
            return [self.paths(value) for value in settings]
        if isinstance(settings, str) and (settings == self.before or settings.startswith(f"{self.before}/")):
            return self.after + settings.removeprefix(self.before)
        return settings


def _in(directory: str, unresolved: str) -> str:
    """Replace interpolations of the run directory, such as `${run_dir}`, by a given directory."""
    return RUN_DIRECTORY.sub(lambda _: directory, unresolved)
