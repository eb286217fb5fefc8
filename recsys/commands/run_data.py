"""Functions with which commands load the data, split, model and reranker of a run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recsys.config import instantiate
from recsys.config.splits import Splits, prepared_data
from recsys.config.stored import check_encoders, stored_config
from recsys.data.dataset import Dataset
from recsys.data.new_items import with_new_items
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.evaluation.reranking import Ranker, Reranker, ranker
from recsys.export.exported import load_export
from recsys.export.layout import is_export
from recsys.models.base import HasOpenCatalogue, Recommender, load
from recsys.models.recommending import RecommendsByIds
from recsys.models.saved_files import is_saved_with_data
from recsys.studies.runs import Run, is_finished, read_run


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its data.

    Attributes:
        model: the model.
        dataset: the data set of the model's users and items.
        reranker: reranker of the model's lists, or None.
    """

    model: RecommendsByIds
    dataset: Dataset
    reranker: Reranker | None = None

    @property
    def rank(self) -> Ranker:
        """Return the function that turns scores into lists: reranked or, without a reranker, in the order of scores."""
        return ranker(self.reranker, self.model, self.dataset)


def trained_model(directory: Path, trusted: bool, new_films: str | None = None) -> TrainedModel:
    """Load the model of a run or of an export, or a model that was saved with its data in Python.

    Args:
        directory: directory of the run or of the saved model, or folder of the export.
        trusted: whether to import classes from outside recsys that the files name, and to unpickle files. Both can
            execute arbitrary code.
        new_films: file of new films, which are added to the data and the model, or None; see `with_new_items`.

    Raises:
        UserError: there is no model in the directory, its data have changed, or `new_films` is given and the model
            cannot score new films.
    """
    found = _trained_model(directory, trusted)
    if new_films is None:
        return found
    if not trusted and isinstance(found.model, Recommender):
        check_encoders(found.model.hyperparameters(), "model")
    return replace(found, dataset=_extended(found.model, found.dataset, new_films))


def data_in(directory: Path, trusted: bool) -> Dataset:
    """Load the data set of a run, of an export or of a saved model; the model of a run is not loaded.

    Args:
        directory: directory of the run or of the saved model, or folder of the export.
        trusted: see `trained_model`.

    Raises:
        UserError: there is no model in the directory, or its data cannot be loaded or have changed.
    """
    if is_finished(directory):
        return data_of(read_run(directory), trusted)
    return trained_model(directory, trusted).dataset


def _trained_model(directory: Path, trusted: bool) -> TrainedModel:
    if is_export(directory) or is_saved_with_data(directory):
        model = load_export(directory) if is_export(directory) else load(directory, trusted)
        return TrainedModel(model, model.known_data())
    run = read_run(directory)
    of_run = run.model(trusted)
    return TrainedModel(of_run, checked_data(run, of_run, trusted), reranker_of(run, trusted))


def checked_data(run: Run, model: Recommender, trusted: bool) -> Dataset:
    """Load the data of a run, and check that they have as many items as the model was trained on.

    Raises:
        UserError: the number of items differs, or `data_of` fails.
    """
    dataset = data_of(run, trusted)
    if model.popularity is not None and len(model.popularity) != dataset.n_items:
        raise UserError(
            f"The model in {run.directory} must have learned {dataset.n_items:,} items (got "
            f"{len(model.popularity):,}): train the run again."
        )
    return dataset


def reranker_of(run: Run, trusted: bool = False) -> Reranker | None:
    """Build the reranker of a run, or return None if the run has none; see `stored_config` for `trusted`.

    Raises:
        UserError: the reranker can only be built if the run is trusted.
    """
    return instantiate(stored_config(run.config, ["reranker"], trusted=trusted).get("reranker"))


def data_of(run: Run, trusted: bool = False) -> Dataset:
    """Load the data of a run from the cache, or prepare them again; see `stored_config` for `trusted`.

    Raises:
        UserError: the data can only be loaded if the run is trusted, they cannot be prepared, or they no longer have
            the users and items on which the run was trained.
    """
    with contextlib.redirect_stdout(sys.stderr):  # standard output is only for answers
        dataset = prepared_data(stored_config(run.config, trusted=trusted)).dataset
    run.check_data(dataset)
    return dataset


def split_of(run: Run, trusted: bool = False) -> Split:
    """Compute the split of a run again; see `stored_config` for `trusted`.

    This does not check that the result equals the split on which the run was trained; see `Run.check_split`.

    Raises:
        UserError: the split can only be computed if the run is trusted, or its data cannot be loaded or split.
    """
    return instantiate(stored_config(run.config, trusted=trusted).split)(data_of(run, trusted))


def split_of_config(config: Mapping[str, Any], trusted: bool = False) -> Split:
    """Compute the split that the stored config of a run describes; see `stored_config` for `trusted`.

    Raises:
        UserError: the config can only be used if it is trusted, or the data cannot be prepared or split.
    """
    with contextlib.redirect_stdout(sys.stderr):  # standard output is only for answers
        return Splits().of(stored_config(config, trusted=trusted))


def _extended(model: RecommendsByIds, dataset: Dataset, new_films: str) -> Dataset:
    """Add films from a file to the model in place, and return a copy of the data set that includes them.

    Raises:
        UserError: the model cannot score films that it was not trained on, or the file is not valid.
    """
    if not isinstance(model, HasOpenCatalogue):
        raise UserError(f"{type(model).__name__} scores only the films it was trained on: choose a run of two_tower.")
    extended = with_new_items(dataset, new_films)
    model.add_items(extended.item_frame.iloc[dataset.n_items :])
    return extended
