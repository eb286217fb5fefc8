"""The base class of models that combine several base models: it builds, fits, refits and stores the base models."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.errors import UserError
from recsys.files import reading
from recsys.models.base import FitContext, Recommender, make
from recsys.models.cached_fit import cached_fit, cached_refit
from recsys.models.histories import ReadsHistories
from recsys.models.learned_arrays import prefixed, without_prefix
from recsys.models.saved_files import saved_settings
from recsys.progress_bar import ProgressBar

log = logging.getLogger(__name__)


class Ensemble(ReadsHistories):
    """A model that ranks items by the scores of several base models.

    Args:
        models: the base models by name. Each is given as a mapping of its hyperparameters, with its class in
            `_target_`, or as the directory of a run, whose model has the class and hyperparameters to use. If the run
            was trained on the same split as the ensemble, the weights in its checkpoints are used too. In the attribute
            `models`, directories are replaced by the mappings that were read from them.
        **prior: arguments of `ReadsHistories`, which adds popularity to the ensemble's scores. Each base model has its
            own values of these arguments.

    Raises:
        UserError: there are fewer than two models, a model predicts ratings or is saved as a pickle, or a directory has
            no saved model.

    Attributes:
        base_models: the base models by name; fitted after `fit`.
    """

    def __init__(self, models: Mapping[str, Mapping[str, Any] | str], **prior: Any) -> None:
        super().__init__(**prior)
        self.runs = {name: Path(given) for name, given in models.items() if isinstance(given, str)}
        self.models = {
            name: saved_settings(Path(given) / "model") if isinstance(given, str) else dict(given)
            for name, given in models.items()
        }
        self.base_models = {name: make(settings) for name, settings in self.models.items()}
        if len(self.models) < 2:
            raise UserError(f"models must name at least two models (got {', '.join(self.models) or 'none'}).")
        for name, model in self.base_models.items():
            if model.predicts_ratings:
                raise UserError(f"models must rank items (got {name}, which predicts ratings).")
            if model.pickled:
                raise UserError(f"models must be of a kind that is saved without pickle (got {name}).")
        self.uses_lightning = any(model.uses_lightning for model in self.base_models.values())
        self._earlier: Self | None = None  # the ensemble that this one refits

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """See `Recommender.refit`; the base models are refitted, and combined in the same way as in this model."""
        model = type(self)(**self.hyperparameters())
        model.runs, model._earlier = self.runs, self
        return model.fit(train, context=context)

    def _fit_base_models(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Fit the base models, with early stopping on `valid`; in a refit, refit the earlier ensemble's base models."""
        bar = ProgressBar(self.base_models.items(), desc="base models")
        self.base_models = {name: self._fitted(name, model, train, valid, context) for name, model in bar}

    def _fitted(
        self, name: str, model: Recommender, train: Dataset, valid: Holdout | None, context: FitContext
    ) -> Recommender:
        """Fit or refit a base model by training, or restore it from the checkpoints of its run."""
        earlier = None if self._earlier is None else self._earlier.base_models[name]
        stored = name in self.runs and _checkpoints(self.runs[name], train, refit=earlier is not None)
        if stored:
            context = replace(context, directory=stored, resume=True, logger=None)
            return model.fit(train, valid, context) if earlier is None else earlier.refit(train, context)
        return cached_fit(model, train, valid, context) if earlier is None else cached_refit(earlier, train, context)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; also returns the arrays of the base models, as `models.NAME.ARRAY`."""
        return super().arrays() | prefixed({f"models.{name}": model for name, model in self.base_models.items()})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`; also restores the base models."""
        super().restore(arrays)
        for name, model in self.base_models.items():
            model.restore(without_prefix(f"models.{name}", arrays))


def _checkpoints(run: Path, train: Dataset, refit: bool) -> Path | None:
    """Return the directory of a run's checkpoints; None if they are missing, unfinished or of another split.

    Args:
        run: directory of the run.
        train: the training ratings. If the run was trained on another split, a warning is logged, and None is returned.
        refit: True for the checkpoints of the run's refit, False for those of its fit with validation.
    """
    directory = run / "checkpoints" / ("refit" if refit else "selection")
    if not ((directory / "finished.json").is_file() and (run / "manifest.json").is_file()):
        return None
    with reading(run / "manifest.json"):
        split = json.loads((run / "manifest.json").read_text())["split"]["fingerprint"]
    if split != train.fingerprint.partition("/")[0]:
        log.warning("%s was trained on another split: its model is trained again.", run)
        return None
    return directory
