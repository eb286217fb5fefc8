"""The interface of every model, closed-form or deep: a `Recommender` fits, scores, predicts, saves and loads."""

from __future__ import annotations

import importlib
import json
import time
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from recsys import renamed
from recsys.data.dataset import Dataset, Holdout, Shard
from recsys.data.query import Query
from recsys.errors import UserError, one_of
from recsys.files import as_arrays, from_arrays, reading

# Authors of models import all that they need from here.
from recsys.models.capabilities import EmbedsHistories as EmbedsHistories
from recsys.models.capabilities import ExplainsByFeatures as ExplainsByFeatures
from recsys.models.capabilities import ExplainsByRemoval as ExplainsByRemoval
from recsys.models.capabilities import HasEmbeddings as HasEmbeddings
from recsys.models.capabilities import HasGraph as HasGraph
from recsys.models.capabilities import HasOpenCatalogue as HasOpenCatalogue
from recsys.models.capabilities import ScoresByProducts as ScoresByProducts
from recsys.models.fitting import FitContext as FitContext
from recsys.models.fitting import FitReport as FitReport
from recsys.models.fitting import lightning_trainer as lightning_trainer
from recsys.models.order import require_order
from recsys.models.recommending import RecommendsByIds
from recsys.models.saved_files import DATA, DESCRIPTION, read_arrays, read_data, read_description, write_model
from recsys.named_arguments import naming_arguments
from recsys.progress import is_progress_shown, progress_shown
from recsys.signatures import settings

MODELS = "recsys.models."  # classes of this package are imported without being trusted


class Recommender(RecommendsByIds):
    """Learns from interactions, then scores all items for some users.

    A subclass implements `_fit` and `_score`, and perhaps `_predict`. Its constructor takes plain JSON-able
    hyperparameters and stores each as an attribute of the same name. What `_fit` learns is stored as NumPy arrays or
    CSR matrices under the attribute names in `learned`. Hyperparameters and arrays together are the saved model.

    Attributes:
        fit_report: the cost of the last fit.
        n_best_epochs: number of epochs for which a refit trains: as many as validation chose or, after a fit without
            validation, as that fit trained; None before a fit, and for a model without epochs.
    """

    pickled = False  # True: the saved model is unpickled when it is loaded, which can run any code
    uses_lightning = False  # True: `_fit` needs the trainer of its context
    learned: tuple[str, ...] = ()
    fit_report: FitReport
    n_best_epochs: int | None = None

    def fit(
        self,
        train: Dataset,
        valid: Holdout | None = None,
        context: FitContext | None = None,
        *,
        progress: bool = False,
    ) -> Self:
        """Learn from training interactions.

        Args:
            train: the interactions to learn from.
            valid: held-out ratings that models with early stopping monitor.
            context: where and how the fit runs; by default on the CPU and quietly.
            progress: True shows progress whatever the context; otherwise, a fit without a context shows none.

        Returns:
            The model itself, whose `data` is `train`, not a copy.

        Raises:
            UserError: `train` is not a `Dataset`, the constructor does not store its arguments under their names, or
                the model cannot be trained on these data.
        """
        with nullcontext() if context else naming_arguments():  # without a context, nothing was read from configs
            return self._learn(train, valid, context, progress)

    def _learn(self, train: Dataset, valid: Holdout | None, context: FitContext | None, progress: bool) -> Self:
        """Fit the model and measure the time that this takes; see `fit`."""
        if not isinstance(train, Dataset):
            raise UserError(
                f"train must be a data set, such as the training part of a split (got {type(train).__name__})."
            )
        self._check_hyperparameters()
        self._drop_cached()
        if self.reads_order:
            require_order(train, type(self).__name__)
        self._count(train)
        if self.predicts_ratings:
            self.scale = np.array(train.scale, np.float32)
        is_shown = progress or (context is not None and is_progress_shown())
        context = context or FitContext()
        if progress:
            context = replace(context, trainer=partial(context.trainer, enable_progress_bar=True))
        started = time.perf_counter()
        with progress_shown(is_shown):
            report = self._fit(train, valid, context)
        if lacking := [name for name in self.learned if not hasattr(self, name)]:
            raise UserError(f"{type(self).__name__}._fit must set what learned names (got no {', '.join(lacking)}).")
        seconds = time.perf_counter() - started
        self.fit_report = report or FitReport(seconds, len(train) / seconds)
        self.data = train
        return self

    def _count(self, train: Dataset) -> None:
        """Store the popularity of items, before the model is fitted."""
        self.popularity = train.item_counts.astype(np.float32)

    @abstractmethod
    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport | None:
        """Learn from training interactions; see `fit`. A model without epochs can return None as its report."""

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """Return a new model with the same hyperparameters, fitted to other ratings without validation.

        The ratings are usually those of training and validation together. A model with epochs trains for
        `n_best_epochs`. This model does not change.
        """
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

    def complete(self, shard: Shard) -> None:
        """Collect in the first process what each process has learned about its own users; by default, do nothing.

        This is a collective operation: all processes must call it.

        Args:
            shard: shard of the training interactions, see `Dataset.shard`.
        """

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes that are pickled: not those of `cached_property`, which are computed again."""
        cached = _cached_properties(type(self))
        return {name: value for name, value in vars(self).items() if name not in cached}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.hyperparameters().items())
        return f"{type(self).__name__}({arguments})"

    def hyperparameters(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in settings(type(self))}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the hyperparameters by name; this is scikit-learn's name for `hyperparameters`.

        Args:
            deep: without effect, since no hyperparameter is an estimator.
        """
        return self.hyperparameters()

    def set_params(self, **params: Any) -> Self:
        """Change hyperparameters in place, with the checks of the constructor; the model must then be fitted again.

        Returns:
            The model itself.

        Raises:
            UserError: the model has no such hyperparameter, or the constructor rejects the value.
        """
        own = self.hyperparameters()
        for name in params:
            one_of("the hyperparameter", name, own)
        vars(self).update(vars(type(self)(**own | params)))
        return self

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy for scikit-learn's `clone`, which otherwise rejects constructors that copy lists."""
        return type(self)(**self.hyperparameters())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays, not copies, by name; a CSR matrix `name` is four arrays, `name.data` and so on."""
        arrays: dict[str, np.ndarray] = {}
        for name in self._stored():
            arrays |= as_arrays(name, getattr(self, name))
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Set the learned arrays to those that `arrays` returned, without copying them.

        Raises:
            KeyError: an array is missing.
        """
        self._drop_cached()
        for name in self._stored():
            if name != "popularity" or name in arrays:  # earlier versions stored none
                setattr(self, name, from_arrays(name, arrays))

    def save(self, directory: str | Path) -> None:
        """Write the model and, unless it has none, the data that it was fitted to.

        The loaded model can then recommend by raw ids.

        Args:
            directory: directory for the files of `save_without_data` and for `data/`: the interactions, ids, titles and
                metadata in the layout of prepared data. An earlier model in the directory is replaced.
        """
        self.save_without_data(Path(directory))
        if self.data is not None:
            from recsys.data.saved import write_dataset  # imports DuckDB, which training does not need

            write_dataset(self.data, Path(directory) / DATA)

    def save_without_data(self, directory: Path) -> None:
        """Write `arrays.npz` and `model.json` only, as in runs, whose configs say how to prepare their data.

        The directory is created if it does not exist. An earlier model in it is replaced, with its data.
        """
        write_model(directory, class_name(self), self.hyperparameters(), self.arrays())

    def _drop_cached(self) -> None:
        """Drop what `cached_property` computed from learned arrays, before they change."""
        for name in _cached_properties(type(self)):
            vars(self).pop(name, None)

    def _stored(self) -> list[str]:
        common = ["popularity", "scale"] if self.predicts_ratings else ["popularity"]
        return [*common, *(name for name in self.learned if name not in common)]

    def _check_hyperparameters(self) -> None:
        """Check that the hyperparameters construct an equal copy, as refitting and loading require.

        Raises:
            UserError: an argument is not stored under its name, its stored value is rejected, or the copy differs.
        """
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


def must_be_trusted(model: Recommender) -> bool:
    """Return whether `load` needs `trusted` for a model: its class is from outside this package, or it is pickled."""
    return model.pickled or not type(model).__module__.startswith(MODELS)


def check_saved(model: Recommender, directory: Path, query: Query) -> None:
    """Check that a fitted model, loaded from where it was saved, has the hyperparameters and the scores of the model.

    This executes the code of a class from outside this package, and unpickles.

    Args:
        model: the model.
        directory: directory that `save` or `save_without_data` wrote.
        query: users to score.

    Raises:
        UserError: it has others, or cannot be loaded.
    """
    loaded = load(directory, trusted=True)
    name = type(model).__name__
    if loaded.hyperparameters() != model.hyperparameters():
        raise UserError(
            f"A loaded {name} must have the hyperparameters that were saved (got {loaded.hyperparameters()})."
        )
    lacking = ""
    try:
        is_equal = np.allclose(loaded.score(query), model.score(query), rtol=1e-5, atol=1e-6)
    except AttributeError as error:  # an array that was not saved
        is_equal, lacking = False, f" (got {error})"
    if not is_equal:
        raise UserError(
            f"A loaded {name} must have the scores of the saved one{lacking}: list all that scoring needs in learned, "
            "or in arrays and restore."
        )


def load(directory: str | Path, trusted: bool = False) -> Recommender:
    """Load a saved model, with its data if they were saved.

    Args:
        directory: directory that `save` or `save_without_data` wrote.
        trusted: whether to import classes from outside `recsys.models` and to unpickle. Both execute code, so set it
            only for models from a source that you trust.

    Raises:
        UserError: the directory has no model, the model is damaged or of another version, its class cannot be imported,
            or it cannot be loaded without `trusted`.
    """
    directory = Path(directory)
    described = read_description(directory)
    if not (described.cls.startswith(MODELS) or trusted):
        raise UserError(
            f"{directory} holds a {described.cls}, a class from outside recsys: load it with --trusted (in Python "
            "trusted=True)."
        )
    cls = _imported(described.cls)
    if cls.pickled and not trusted:
        raise UserError(
            f"{directory} holds a {cls.__name__}, which must be unpickled, and that runs code: if you trust its "
            "source, load it with --trusted (in Python trusted=True)."
        )
    with reading(directory / DESCRIPTION):
        model = cls(**described.hyperparameters)
    arrays = read_arrays(directory, described)
    try:
        model.restore(arrays)
    except (KeyError, AttributeError, ImportError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{directory} was saved by another version and cannot be read by this one ({reason}): train the model "
            "again."
        ) from error
    model.data = read_data(directory, None if model.popularity is None else len(model.popularity))
    return model


def known_class(directory: Path) -> type[Recommender] | None:
    """Return the class of a saved model without loading the model; None for a class from outside `recsys.models`.

    Raises:
        UserError: the directory has no model, or there is no such class.
    """
    name = read_description(directory).cls
    return _imported(name) if name.startswith(MODELS) else None


def make(setting: Mapping[str, Any]) -> Recommender:
    """Build an untrained model from a mapping with its class in `_target_` and its hyperparameters.

    Raises:
        UserError: `_target_` names no model of `recsys.models`, or the class rejects a hyperparameter.
    """
    own = dict(setting)
    name, hyperparameters = renamed.current_settings(str(own.pop("_target_", "")), own)
    if not name.startswith(MODELS):
        raise UserError(f"_target_ must name a class of recsys.models (got {name!r}).")
    return _imported(name)(**hyperparameters)


def class_name(model: Recommender) -> str:
    """Return the full import path of the model's class, such as `recsys.models.ease.EASE`."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _imported(name: str) -> type[Recommender]:
    module, _, attribute = name.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{name} cannot be imported ({error}): install the package that has it.") from error
    if not (isinstance(cls, type) and issubclass(cls, Recommender)):
        raise UserError(f"{name} must be a Recommender (got {cls!r}).")
    return cls


def _cached_properties(cls: type) -> set[str]:
    """Return the names of a class's cached properties, inherited ones included."""
    return {name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, cached_property)}
