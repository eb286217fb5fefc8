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

    A subclass implements `_fit` and `_score`, and optionally `_predict`. Its constructor takes plain JSON-able
    hyperparameters and stores each as an attribute of the same name. `_fit` stores what it learns, NumPy arrays or CSR
    matrices, in the attributes that `learned` names. A saved model consists of the hyperparameters and these arrays.

    Attributes:
        fit_report: how long the last fit took; see `FitReport`.
        n_best_epochs: number of epochs for which `refit` trains: the number that early stopping chose or, after a fit
            without validation, the number that this fit trained. None before a fit, and for a model that does not train
            in epochs.
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
            context: where and how the fit runs; by default, on the CPU and without progress bars.
            progress: True shows progress bars, with or without a context. With False, a fit without a context shows
                none, and a fit with a context shows them unless `recsys.progress` hides them.

        Returns:
            The model itself. Its attribute `data` is `train`, which is not copied.

        Raises:
            UserError: `train` is not a `Dataset`, the constructor does not store each argument as an attribute of the
                same name, or the model cannot be trained on these data.
        """
        with nullcontext() if context else naming_arguments():  # without a context, nothing was read from configs
            return self._learn(train, valid, context, progress)

    def _learn(self, train: Dataset, valid: Holdout | None, context: FitContext | None, progress: bool) -> Self:
        """Fit the model, and measure how long this takes; see `fit`."""
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
        """Store the number of training interactions of each item in `popularity`; called before `_fit`."""
        self.popularity = train.item_counts.astype(np.float32)

    @abstractmethod
    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport | None:
        """Learn from training interactions; see `fit`. Only models that train in epochs must return a report."""

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """Return a new model with the same hyperparameters, fitted to the given ratings without validation.

        The ratings are usually those of training and validation together. A model that trains in epochs is trained for
        `n_best_epochs` epochs. This model itself does not change.
        """
        return type(self)(**self.hyperparameters()).fit(train, context=context)

    def continue_from(self, earlier: Recommender, users: np.ndarray) -> None:
        """Make `fit` and `refit` start from the weights of an earlier model with the same items (a warm start).

        Args:
            earlier: a fitted model of the same class.
            users: int64 (n_users,) for each user of the data to be fitted, the user's code in the earlier model, or -1
                for a user whom the earlier model does not know.

        Raises:
            UserError: models of this class cannot continue from weights, or the earlier model is of another class.
        """
        raise UserError(
            f"{type(self).__name__} is fitted in one step and cannot continue from an earlier run: "
            "leave out --warm (of train.py, warm_from)."
        )

    def complete(self, shard: Shard) -> None:
        """After distributed training, collect in the first process what each process learned about its own users.

        By default, do nothing. This is a collective operation: all processes must call it.

        Args:
            shard: the users of this process; see `Dataset.shard`.
        """

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to pickle: all but cached properties, which are computed again when needed."""
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
            deep: has no effect, since no hyperparameter is an estimator.
        """
        return self.hyperparameters()

    def set_params(self, **params: Any) -> Self:
        """Change hyperparameters in place, checked as in the constructor; the model must then be fitted again.

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
        """Return the learned arrays by name, without copying them.

        A CSR matrix with the name `x` is returned as four arrays: `x.data` and so on.
        """
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
        """Write the model and the data that it was fitted to, so that the loaded model can recommend by raw ids.

        If the attribute `data` is None, only the model is written.

        Args:
            directory: directory to write to. It will contain the files of `save_without_data` and a folder `data` with
                interactions, ids, titles and metadata, in the layout of prepared data. An earlier model in the
                directory is replaced.
        """
        self.save_without_data(Path(directory))
        if self.data is not None:
            from recsys.data.saved import write_dataset  # imports DuckDB, which training does not need

            write_dataset(self.data, Path(directory) / DATA)

    def save_without_data(self, directory: Path) -> None:
        """Write the model as `arrays.npz` and `model.json`, without the data that it was fitted to.

        Runs save their models in this way, since the config of a run says how to prepare its data. The directory is
        created if it does not exist. An earlier model in the directory is replaced, and data that were saved with the
        earlier model are removed.
        """
        write_model(directory, class_name(self), self.hyperparameters(), self.arrays())

    def _drop_cached(self) -> None:
        """Discard the values of cached properties, which are computed from learned arrays that are about to change."""
        for name in _cached_properties(type(self)):
            vars(self).pop(name, None)

    def _stored(self) -> list[str]:
        common = ["popularity", "scale"] if self.predicts_ratings else ["popularity"]
        return [*common, *(name for name in self.learned if name not in common)]

    def _check_hyperparameters(self) -> None:
        """Check that a model constructed with these hyperparameters has the same ones, as `refit` and `load` require.

        Raises:
            UserError: an argument is not stored under its name, the constructor rejects a stored value, or the new
                model has other hyperparameters.
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
    """Return whether `load` loads a model only with `trusted=True`.

    This holds for models that are saved as a pickle, and for models whose class is from outside `recsys.models`.
    """
    return model.pickled or not type(model).__module__.startswith(MODELS)


def check_saved(model: Recommender, directory: Path, query: Query) -> None:
    """Check that a saved model can be loaded, with the same hyperparameters and scores as the model in memory.

    The model is loaded with `trusted=True`, so classes from outside `recsys.models` are imported and pickles loaded.

    Args:
        model: the fitted model in memory.
        directory: directory to which `save` or `save_without_data` wrote this model.
        query: users whose scores are compared.

    Raises:
        UserError: the loaded model has other hyperparameters or scores, or the model cannot be loaded.
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
    """Load a saved model, together with its data if they were saved with it.

    Args:
        directory: directory that `save` or `save_without_data` wrote.
        trusted: whether classes from outside `recsys.models` may be imported, and pickles loaded. Both execute code, so
            set it only for models from a source that you trust.

    Raises:
        UserError: the directory has no model, the model is damaged or was saved by an incompatible version, its class
            cannot be imported, or it can be loaded only with `trusted=True`.
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
        UserError: the directory has no model, or the model's class does not exist.
    """
    name = read_description(directory).cls
    return _imported(name) if name.startswith(MODELS) else None


def make(setting: Mapping[str, Any]) -> Recommender:
    """Build an untrained model from its hyperparameters by name and, in `_target_`, the import path of its class.

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
