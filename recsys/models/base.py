"""The one interface: every model, classic or deep, is a `Recommender` to everybody else."""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from recsys.data.dataset import Dataset, History, Holdout
from recsys.errors import UserError
from recsys.files import as_arrays, from_arrays, write_whole
from recsys.signatures import settings

MODELS = "recsys.models."  # classes from here are imported without a question
QUIET_CPU = partial(pl.Trainer, accelerator="cpu", enable_progress_bar=False)


@dataclass(frozen=True)
class FitContext:
    """Where a fit runs, as against what is fitted: nothing in it changes what a model is.

    Attributes:
        directory: for checkpoints, or None to keep none.
        trainer: a Lightning Trainer but for what models add: accelerator, devices, precision, profiler, callbacks.
        logger: for curves, or None.
        resume: continue from the last checkpoint in `directory` where there is one.
        cache_dir: for what other fits can use again, such as embeddings of texts; None keeps nothing.
    """

    directory: Path | None = None
    trainer: partial[pl.Trainer] = QUIET_CPU
    logger: Logger | None = None
    resume: bool = False
    cache_dir: Path | None = None


class Recommender(ABC):
    """Learns from ratings, then scores all films for some users.

    Constructors take plain JSON-able hyperparameters and keep each as an attribute of the same name. What `fit` learns
    is numpy arrays or CSR matrices under the attribute names in `learned`; both together are the saved model.
    """

    predicts_ratings = False  # True: scores are in rating units (stars)
    uses_history = False  # True: scores follow the history handed to `score`, also for users never trained on
    pickled = False  # True: what is saved is unpickled to load it, which runs code
    uses_lightning = False  # True: `fit` needs the trainer of its context
    learned: tuple[str, ...] = ()
    scale: np.ndarray  # float (2,) lowest and highest stars, learned by models that predict ratings

    @abstractmethod
    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Learn from `train`; models that stop early watch `valid`. Returns self."""

    @abstractmethod
    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Score every film for some users.

        Args:
            users: int64 (B,) user codes; -1 is somebody unknown.
            history: B rows, what each user rated so far.

        Returns:
            float32 (B, n_items), finite, higher is better; films already seen are scored like any other.
        """

    def predict(
        self, users: np.ndarray, history: History, rows: np.ndarray, items: np.ndarray, times: np.ndarray | None = None
    ) -> np.ndarray:
        """Score pairs of user and film, by what `score` says unless a model does better.

        Args:
            users: int64 (B,) user codes; -1 is somebody unknown.
            history: B rows, what each user rated so far.
            rows: int64 (P,) which of the users, from 0.
            items: int (P,) film codes.
            times: int64 (P,) seconds UTC at which the films are rated, or None; few models go by them.

        Returns:
            float32 (P,); of a model that predicts ratings, stars within the scale.
        """
        scores = self.score(users, history)[rows, items]
        return np.clip(scores, *self.scale) if self.predicts_ratings else scores

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """A new model of the same hyperparameters on more ratings, trained for as long as validation chose here."""
        return type(self)(**self.hyperparameters()).fit(train, context=context)

    def continue_from(self, earlier: Recommender, users: np.ndarray) -> None:
        """Let `fit` and `refit` start from what an earlier model of the same films has learned.

        Args:
            earlier: a fitted model of the same kind.
            users: int64 (n_users,) the earlier model's code of each user whom `fit` will learn from, -1 of new ones.

        Raises:
            UserError: there is nothing to start from, or the earlier model is of another kind.
        """
        raise UserError(
            f"{type(self).__name__} is made anew from its ratings and cannot continue from an earlier run: "
            "leave out --warm (of train.py, warm_from)."
        )

    def hyperparameters(self) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in settings(type(self))}

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learned, by name; a CSR matrix is four arrays, `name.data` and so on."""
        arrays: dict[str, np.ndarray] = {}
        for name in self.learned:
            arrays |= as_arrays(name, getattr(self, name))
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take back what `arrays` gave."""
        for name in self.learned:
            setattr(self, name, from_arrays(name, arrays))

    def save(self, directory: Path) -> None:
        """Write `arrays.npz` and `model.json`; nothing is pickled but by models that say so."""
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(directory / "arrays.npz", lambda file: np.savez(file, allow_pickle=False, **self.arrays()))
        described = {"class": class_name(self), "hyperparameters": self.hyperparameters()}
        text = json.dumps(described, indent=2) + "\n"
        write_whole(directory / "model.json", lambda file: file.write(text.encode()))


@runtime_checkable
class HasEmbeddings(Protocol):
    """A model that places users and films in one space."""

    def user_embeddings(self) -> np.ndarray:
        """Float32 (n_users, d)."""

    def item_embeddings(self) -> np.ndarray:
        """Float32 (n_items, d)."""


@runtime_checkable
class EmbedsHistories(HasEmbeddings, Protocol):
    """A model that places anybody in that space, by the history at hand."""

    def embed(self, history: History) -> np.ndarray:
        """History of B rows -> float32 (B, d)."""


@runtime_checkable
class ScoresByProducts(Protocol):
    """A model whose scores are inner products, so that the films of the best ones can be looked up in an index."""

    def user_vectors(self, users: np.ndarray, history: History) -> np.ndarray:
        """Float32 (B, d), of what `score` takes."""

    def item_vectors(self) -> np.ndarray:
        """Float32 (n_items, d); `score` is `user_vectors` times these."""


@runtime_checkable
class HasOpenCatalogue(Protocol):
    """A model that scores films which nobody has rated, also those that come after training."""

    def add_items(self, films: pd.DataFrame) -> None:
        """Extend the catalogue; nothing is trained anew.

        Args:
            films: a row a film, with the columns of the `Dataset.item_frame` that was trained on, or some of them.
                The first gets the code `n_items`.
        """


def load(directory: Path, trusted: bool = False) -> Recommender:
    """Read a saved model.

    Args:
        directory: what `save` wrote.
        trusted: also import classes from outside `recsys.models`, and unpickle. Both run code: for models you made.

    Raises:
        UserError: there is no model, or it is not to be trusted.
    """
    if not (directory / "model.json").is_file():
        raise UserError(f"{directory} holds no saved model (model.json is missing): name a run's model/ directory.")
    described = json.loads((directory / "model.json").read_text())
    if not (described["class"].startswith(MODELS) or trusted):
        raise UserError(f"{directory} holds a {described['class']}, from outside recsys: load it with trusted=True.")
    cls = _imported(described["class"])
    if cls.pickled and not trusted:
        raise UserError(
            f"{directory} holds a {cls.__name__}, which is unpickled to load it, and that runs code: "
            "if you made it, load it with trusted=True (on the command line --trusted)."
        )
    model = cls(**described["hyperparameters"])
    with np.load(directory / "arrays.npz", allow_pickle=False) as arrays:
        model.restore(dict(arrays))
    return model


def make(setting: Mapping[str, Any]) -> Recommender:
    """The untrained model that a plain setting names in `_target_`, with its hyperparameters beside.

    Raises:
        UserError: it names no model of `recsys.models`.
    """
    settings = dict(setting)
    name = str(settings.pop("_target_", ""))
    if not name.startswith(MODELS):
        raise UserError(f"there is no model {name!r}: the setting's _target_ is a class of recsys.models.")
    return _imported(name)(**settings)


def class_name(model: Recommender) -> str:
    """Where its class is imported from, `recsys.models.ease.EASE`."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _imported(name: str) -> type[Recommender]:
    module, _, attribute = name.rpartition(".")
    cls = getattr(importlib.import_module(module), attribute)
    if not (isinstance(cls, type) and issubclass(cls, Recommender)):
        raise UserError(f"{name} is not a Recommender.")
    return cls
