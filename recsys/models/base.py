"""The interface of every model, closed-form or deep: a `Recommender` fits, scores, predicts, saves and loads."""

from __future__ import annotations

import importlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recsys import renamed
from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Pairs, Query
from recsys.errors import UserError
from recsys.files import as_arrays, digest_of, from_arrays, reading, write_whole
from recsys.models.order import require_order
from recsys.signatures import settings

if TYPE_CHECKING:
    import pandas as pd

MODELS = "recsys.models."  # classes of this package are imported without being trusted


def lightning_trainer(**options: Any) -> Any:
    """Build a Lightning Trainer, which is imported only now: closed-form models never need it."""
    import pytorch_lightning as pl

    return pl.Trainer(**options)


QUIET_CPU = partial(lightning_trainer, accelerator="cpu", enable_progress_bar=False)


@dataclass(frozen=True)
class FitContext:
    """Where and how a fit runs. Nothing in it changes what is learned, except for rounding.

    Attributes:
        directory: directory for checkpoints, or None to store none.
        trainer: builds Lightning's Trainer from the arguments that a model adds to its keywords (accelerator, devices,
            precision, callbacks, ...); used by deep models only.
        logger: a Lightning logger for curves, or None.
        resume: whether to continue from the last checkpoint in `directory`, if there is one.
        cache_dir: directory for results that other fits can reuse, such as text embeddings; None caches nothing.
    """

    directory: Path | None = None
    trainer: partial[Any] = QUIET_CPU
    logger: Any = None
    resume: bool = False
    cache_dir: Path | None = None


@dataclass(frozen=True)
class FitReport:
    """What a fit cost.

    Attributes:
        seconds: wall-clock time in seconds.
        interactions_per_second: training interactions per second; for a deep model, in its last epoch.
        epochs: number of epochs trained, or None for a model without epochs.
        epoch_seconds: seconds of the last epoch without its validation, or None for a model without epochs.
        samples_per_second: samples per second in the last epoch, where each sampled negative counts as a sample; None
            for a model without epochs.
        candidate_recall: share of validation's held-out ratings that are among the candidates of a model in two stages;
            None for other models.
    """

    seconds: float
    interactions_per_second: float
    epochs: int | None = None
    epoch_seconds: float | None = None
    samples_per_second: float | None = None
    candidate_recall: float | None = None

    def metrics(self) -> dict[str, float]:
        """Return the values that are not None, under `train/...` names."""
        return {f"train/{name}": float(value) for name, value in asdict(self).items() if value is not None}


class Recommender(ABC):
    """Learns from interactions, then scores all items for some users.

    A subclass implements `_fit` and `_score`, and perhaps `_predict`. Its constructor takes plain JSON-able
    hyperparameters and stores each as an attribute of the same name. What `_fit` learns is stored as NumPy arrays or
    CSR matrices under the attribute names in `learned`. Hyperparameters and arrays together are the saved model.

    Attributes:
        popularity: float32 (n_items,) number of training interactions of each item: the scores of a user without a
            history.
        scale: float32 (2,) lowest and highest rating; only in models that predict ratings.
        fit_report: what the last fit cost.
        n_best_epochs: number of epochs that validation chose and a refit is trained for; None for a model without
            epochs.
    """

    predicts_ratings = False  # True: scores are in rating units
    uses_history = False  # True: scores follow the history in the query, also for users who were not trained on
    reads_order = False  # True: scores depend on the order of the history, so training interactions must have times
    pickled = False  # True: the saved model is unpickled when it is loaded, which runs code
    uses_lightning = False  # True: `_fit` needs the trainer of its context
    learned: tuple[str, ...] = ()
    popularity: np.ndarray | None = None
    scale: np.ndarray
    fit_report: FitReport
    n_best_epochs: int | None = None

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Learn from training interactions.

        Args:
            train: the interactions to learn from.
            valid: held-out ratings that models with early stopping monitor.
            context: where and how the fit runs.

        Raises:
            UserError: the constructor does not accept the model's own hyperparameters, or the model cannot be trained
                on these data.
        """
        self._check_hyperparameters()
        if self.reads_order:
            require_order(train, type(self).__name__)
        self._count(train)
        if self.predicts_ratings:
            self.scale = np.array(train.scale, np.float32)
        started = time.perf_counter()
        report = self._fit(train, valid, context or FitContext())
        seconds = time.perf_counter() - started
        self.fit_report = report or FitReport(seconds, len(train) / seconds)
        return self

    def score(self, query: Query) -> np.ndarray:
        """Score all items for some users.

        Models that rank by histories score the items by popularity for a user without a history. Models that predict
        ratings return ratings for such a user too, from what they learned about items and users.

        Returns:
            float32 (B, n_items), finite, higher is better; items already seen are scored like any other.
        """
        if not self.uses_history or self.predicts_ratings or self.popularity is None:
            return self._score(query)
        known = query.history.lengths > 0
        if known.all():
            return self._score(query)
        scores = np.tile(self.popularity, (len(query), 1))
        if known.any():
            scores[known] = self._score(query.select(known))
        return scores

    def falls_back(self, query: Query) -> np.ndarray:
        """Return for which users the scores are not those of the model alone, bool (B,)."""
        return (query.history.lengths == 0) & (self.uses_history and not self.predicts_ratings)

    def score_without_fallback(self, query: Query) -> np.ndarray:
        """Score without popularity in place of short histories, for example to see what an item in a history adds.

        Returns:
            float32 (B, n_items), finite.
        """
        return self._score(query)

    def predict(self, pairs: Pairs) -> np.ndarray:
        """Score pairs of user and item.

        Returns:
            float32 (P,), clipped to the rating scale if the model predicts ratings.
        """
        predicted = self._predict(pairs)
        return np.clip(predicted, *self.scale) if self.predicts_ratings else predicted

    @property
    def scores_new_users(self) -> bool:
        """Return whether users who were not trained on are scored by their histories."""
        return self.uses_history

    def _count(self, train: Dataset) -> None:
        """Store the popularity of items, before the model is fitted."""
        self.popularity = train.item_counts.astype(np.float32)

    @abstractmethod
    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport | None:
        """Learn from training interactions; see `fit`. A model without epochs need not report its cost."""

    @abstractmethod
    def _score(self, query: Query) -> np.ndarray:
        """Return the scores of all items, float32 (B, n_items); a query of a ranking model has no empty history."""

    def _predict(self, pairs: Pairs) -> np.ndarray:
        """Return the scores of pairs, float32 (P,), not clipped; those of `score` unless a model has a faster way."""
        return self.score(pairs.query)[pairs.rows, pairs.items]

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """Fit a new model with the same hyperparameters to more ratings, for `n_best_epochs` if it trains in epochs."""
        return type(self)(**self.hyperparameters()).fit(train, context=context)

    def continue_from(self, earlier: Recommender, users: np.ndarray) -> None:
        """Let `fit` and `refit` start from the weights of an earlier model of the same items (a warm start).

        Args:
            earlier: a fitted model of the same class.
            users: int64 (n_users,) the earlier model's code of each user in the training data, -1 for a new user.

        Raises:
            UserError: the class has no weights to start from, or the earlier model is of another class.
        """
        raise UserError(
            f"{type(self).__name__} is fitted in one step and cannot continue from an earlier run: "
            "leave out --warm (of train.py, warm_from)."
        )

    def hyperparameters(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in settings(type(self))}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays by name; a CSR matrix is four arrays, `name.data` and so on."""
        arrays: dict[str, np.ndarray] = {}
        for name in self._stored():
            arrays |= as_arrays(name, getattr(self, name))
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Set the learned arrays to those that `arrays` returned."""
        for name in self._stored():
            if name != "popularity" or name in arrays:  # earlier versions stored none
                setattr(self, name, from_arrays(name, arrays))

    def save(self, directory: Path) -> None:
        """Write `arrays.npz` and `model.json`; nothing is pickled except by models that declare it."""
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(directory / "arrays.npz", lambda file: np.savez(file, allow_pickle=False, **self.arrays()))
        described = {
            "class": class_name(self),
            "hyperparameters": self.hyperparameters(),
            "arrays": digest_of([directory / "arrays.npz"]),
        }
        text = json.dumps(described, indent=2) + "\n"
        write_whole(directory / "model.json", lambda file: file.write(text.encode()))

    def _stored(self) -> list[str]:
        common = ["popularity", "scale"] if self.predicts_ratings else ["popularity"]
        return [*common, *(name for name in self.learned if name not in common)]

    def _check_hyperparameters(self) -> None:
        """Check that a copy can be constructed, as a refit and loading will do."""
        name = type(self).__name__
        try:
            own = self.hyperparameters()
            copied = type(self)(**own).hyperparameters()
        except (AttributeError, TypeError) as error:
            raise UserError(
                f"The constructor of {name} must store each of its arguments as an attribute of the same name, and "
                f"accept those values (got {error})."
            ) from error
        if json.dumps(own, sort_keys=True) != json.dumps(copied, sort_keys=True):
            raise UserError(
                f"The hyperparameters of {name} must be the same after construction (got {copied} of {own})."
            )


class HasEmbeddings(ABC):
    """A model that embeds users and items in one space."""

    @abstractmethod
    def user_embeddings(self) -> np.ndarray:
        """Return the embeddings of users, float32 (n_users, d)."""

    @abstractmethod
    def item_embeddings(self) -> np.ndarray:
        """Return the embeddings of items, float32 (n_items, d)."""


class EmbedsHistories(HasEmbeddings):
    """A model that also embeds users unseen in training, given their histories."""

    @abstractmethod
    def embed(self, history: History) -> np.ndarray:
        """Return the embeddings of the users with these histories (B rows), float32 (B, d)."""


class ScoresByProducts(ABC):
    """A model whose scores are inner products, so that the best items can be looked up in an index.

    The products are what `score_without_fallback` returns; `falls_back` says for which users scores are others.
    """

    @abstractmethod
    def user_vectors(self, query: Query) -> np.ndarray:
        """Return a vector for each user of a query, float32 (B, d)."""

    @abstractmethod
    def item_vectors(self) -> np.ndarray:
        """Return a vector for each item, float32 (n_items, d); scores are `user_vectors` times these."""


class HasOpenCatalogue(ABC):
    """A model that scores items without ratings, including items that are added after training."""

    @abstractmethod
    def add_items(self, items: pd.DataFrame) -> None:
        """Extend the catalogue without training.

        Args:
            items: a row for each new item, with some or all columns of the training data's `Dataset.item_frame`. The
                first row gets the code `n_items`.
        """


class ExplainsByRemoval(ABC):
    """A model that knows what its scores owe to an interaction, without scoring the history once more for each."""

    @abstractmethod
    def removal_losses(self, history: History, positions: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return by how much scores fall when one interaction is removed from a history; for models without order.

        Args:
            history: history of one row.
            positions: int64 (m,) positions in the history of the interactions to remove, one at a time.
            items: int64 (n,) items whose scores are compared.

        Returns:
            float32 (m, n), of scores as `score_without_fallback` returns them.
        """


class ExplainsByFeatures(ABC):
    """A model whose scores are sums of what groups of features add."""

    @abstractmethod
    def feature_contributions(self, query: Query, items: np.ndarray) -> pd.DataFrame:
        """Return what each group of features adds to the scores of items.

        Args:
            query: a query of one user.
            items: int64 (m,) items.

        Returns:
            A row for each item, a column for each group; NaN for an item that is not scored by features.
        """


def load(directory: Path, trusted: bool = False) -> Recommender:
    """Load a saved model.

    Args:
        directory: directory that `save` wrote.
        trusted: whether to import classes from outside `recsys.models` and to unpickle. Both execute code, so set it
            only for models from a source that you trust.

    Raises:
        UserError: the directory has no model, or the model cannot be loaded without `trusted`.
    """
    described = _description(directory)
    name = renamed.current(described["class"])
    if not (name.startswith(MODELS) or trusted):
        raise UserError(f"{directory} holds a {name}, a class from outside recsys: load it with trusted=True.")
    cls = _imported(name)
    if cls.pickled and not trusted:
        raise UserError(
            f"{directory} holds a {cls.__name__}, which must be unpickled, and that runs code: if you trust its "
            "source, load it with trusted=True (on the command line --trusted)."
        )
    with reading(directory / "model.json"):
        model = cls(**described["hyperparameters"])
    arrays = renamed.current_arrays(name, _stored_arrays(directory / "arrays.npz", described.get("arrays")))
    try:
        model.restore(arrays)
    except (KeyError, AttributeError, ImportError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{directory} was saved by another version and cannot be read by this one ({reason}): train the model "
            "again."
        ) from error
    return model


def saved_class(directory: Path) -> str:
    """Return the name of a saved model's class, without importing it.

    Raises:
        UserError: the directory has no model.
    """
    return renamed.current(_description(directory)["class"])


def saved_settings(directory: Path) -> dict[str, Any]:
    """Return the hyperparameters of a saved model, with its class in `_target_`; see `make`.

    Raises:
        UserError: the directory has no model.
    """
    return {"_target_": saved_class(directory), **_description(directory)["hyperparameters"]}


def make(setting: Mapping[str, Any]) -> Recommender:
    """Build an untrained model from a mapping with its class in `_target_` and its hyperparameters.

    Raises:
        UserError: `_target_` names no class of `recsys.models`.
    """
    settings = dict(setting)
    name = renamed.current(str(settings.pop("_target_", "")))
    if not name.startswith(MODELS):
        raise UserError(f"_target_ must name a class of recsys.models (got {name!r}).")
    return _imported(name)(**settings)


def class_name(model: Recommender) -> str:
    """Return the full import path of the model's class, such as `recsys.models.ease.EASE`."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _description(directory: Path) -> dict[str, Any]:
    file = directory / "model.json"
    if not file.is_file():
        raise UserError(f"{directory} must be a directory with a saved model, such as a run's model/ (no model.json).")
    with reading(file):
        described = json.loads(file.read_text())
        return {**described, "class": str(described["class"]), "hyperparameters": {**described["hyperparameters"]}}


def _stored_arrays(file: Path, digest: str | None) -> dict[str, np.ndarray]:
    """Read the arrays of a model, which must be those that were saved with it.

    Args:
        file: the file of arrays.
        digest: its digest, or None as in models of earlier versions.
    """
    with reading(file):
        if digest not in (None, digest_of([file])):
            raise ValueError("it is not the file that was saved with model.json")
        with np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        for name, array in arrays.items():
            if np.issubdtype(array.dtype, np.floating) and np.isnan(array).any():
                raise ValueError(f"{name} has NaN")
    return arrays


def _imported(name: str) -> type[Recommender]:
    module, _, attribute = name.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{name} cannot be imported ({error}): install the package that has it.") from error
    if not (isinstance(cls, type) and issubclass(cls, Recommender)):
        raise UserError(f"{name} must be a Recommender (got {cls!r}).")
    return cls
