"""The base class of tree ensembles that regress ratings on features of the user, item and time of a rating.

The features include predictions of other models. For a training rating, predictions and all other features that are
learned from ratings are computed out of fold: they are learned without the rating (Wolpert, "Stacked Generalization",
Neural Networks 1992).
"""

from __future__ import annotations

import logging
import pickle
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.pipeline import Pipeline, make_pipeline

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Pairs, Query
from recsys.data.text import FIELDS, documents
from recsys.errors import UserError, check_finite, check_positive, check_seed, one_of
from recsys.models.base import FitContext, HasEmbeddings, Recommender, make
from recsys.models.cached_fit import cached_fit, cached_refit
from recsys.models.conformal import Margins
from recsys.models.embedding_runs import load_embedding_model
from recsys.models.feature_groups import (
    Demographics,
    Embeddings,
    Genres,
    Group,
    People,
    Predictions,
    Segments,
    Statistics,
    Texts,
    Time,
    feature_frame,
    preprocessing,
)
from recsys.models.out_of_fold import assign_folds, out_of_fold_features
from recsys.models.rating_profiles import has_genres_or_years
from recsys.progress_bar import ProgressBar

GROUPS = (
    "statistics",
    "demographics",
    "genres",
    "people",
    "texts",
    "time",
    "segments",
    "predictions",
    "embeddings",
)
PAIRS_PER_PASS = 1 << 19  # number of pairs whose features are computed at a time
STATE = ("popularity", "scale", "base_models", "groups", "trees", "margins")

log = logging.getLogger(__name__)


class RatingTrees(Recommender):
    """Base class of tree ensembles that predict ratings: computes features, and fits trees to out-of-fold features.

    Args:
        models: the base models by name, whose predictions are features. Each is given by its hyperparameters, with the
            class in `_target_`.
        texts: encoders of the items' metadata by name, each given by its settings, with the class in `_target_`.
        embeddings: directory of a run on the same split, or a directory of several runs, one of them on the same split.
            A copy of the run's model is fitted to the training ratings, and its embeddings are features. With None, no
            embeddings are used.
        features: whether each group of columns is used, by name of the group (see `GROUPS`). Groups that are not named
            are used, unless no item has the metadata that they need.
        n_segments: number of segments, into which users are clustered by their rating profiles.
        n_folds: number of folds of the training ratings; the features of each fold are learned from the other folds.
        later_ratings: whether the features of a rating may depend on ratings that the user gave after it. These
            describe the user's mood better, but are not available when a system recommends. Base models that learn
            parameters for each user, such as `biased_mf`, learn from earlier and later ratings even if this is False.
        interval: share of ratings that the intervals of `predict_intervals` must contain, such as 0.9; with None, no
            intervals are learned. Learning them takes 2 `n_folds` + 1 further fits of the trees.
        seed: seed of the folds and the trees.

    Raises:
        UserError: a value is not allowed, `features` names a group that does not exist, `n_folds` is below 2, or
            `interval` is not between 0 and 1.

    Attributes:
        base_models: fitted base models by name; the model of `embeddings` has the name `embeddings`.
        groups: fitted groups of features.
        trees: pipeline of preprocessing and fitted trees.
        margins: predicts the half-widths of prediction intervals; None without `interval`.
    """

    predicts_ratings = True
    uses_history = True
    pickled = True
    uses_lightning = True  # for base models
    popularity: np.ndarray  # float32 (n_items,)

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Any]] | None = None,
        texts: Mapping[str, Mapping[str, Any]] | None = None,
        embeddings: str | None = None,
        features: Mapping[str, bool] | None = None,
        n_segments: int = 7,
        n_folds: int = 5,
        later_ratings: bool = True,
        interval: float | None = None,
        seed: int = 0,
    ) -> None:
        check_positive(n_segments=n_segments, n_folds=n_folds)
        if n_folds < 2:
            raise UserError(f"n_folds must be at least 2 (got {n_folds}).")
        if interval is not None:
            check_finite(interval=interval)
            if not 0 < interval < 1:
                raise UserError(f"interval must be a share of ratings between 0 and 1, such as 0.9 (got {interval}).")
        check_seed(seed=seed)
        self.models = dict(models or {})
        self.texts = dict(texts or {})
        self.embeddings = embeddings
        self.features = {one_of("features", name, GROUPS): used for name, used in (features or {}).items()}
        self.n_segments = n_segments
        self.n_folds = n_folds
        self.later_ratings = later_ratings
        self.interval = interval
        self.seed = seed
        self.margins: Margins | None = None
        self._undescribed: frozenset[str] = frozenset()  # groups that the items have no metadata for
        self._earlier: Mapping[str, Recommender] | None = None  # base models of the model that this one refits

    @abstractmethod
    def estimator(self) -> RegressorMixin:
        """Return the unfitted trees, a scikit-learn regressor."""

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """See `Recommender.refit`; also refits the base models."""
        model = type(self)(**self.hyperparameters())
        model._earlier = self.base_models
        return model.fit(train, context=context)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Fit the base models, with early stopping on `valid`, and then fit the trees to out-of-fold features.

        Raises:
            UserError: a base model is an ensemble of trees itself, or the run in `embeddings` has no embeddings or was
                trained on another split.
        """
        missing = sorted(group for group in _undescribed_groups(train.item_frame) if self._uses(group))
        if missing:
            log.info("features left out, because the items have no metadata for them: %s", ", ".join(missing))
        self._undescribed = frozenset(missing)
        if self._earlier is None:
            self.base_models = self._fit_base_models(train, valid, context)
        else:
            self.base_models = _refit_all(self._earlier, train, context)
        shared = self._item_and_user_groups(train, context)
        learned = self._learned_groups(train, self.base_models)
        self.groups = [*shared, *learned.values()]

        def describe(others: Dataset, pairs: Pairs) -> pd.DataFrame:
            groups = self._learned_groups(others, _refit_all(self.base_models, others, context))
            for name, group in groups.items():
                group.align(learned[name], others)
            return self._describe([*shared, *groups.values()], pairs)

        frame = out_of_fold_features(train, self.n_folds, self.seed, describe)
        self.trees: Pipeline = make_pipeline(preprocessing(), self.estimator()).fit(frame, train.ratings)
        if self.interval is not None:
            fold_of = assign_folds(len(train), self.n_folds, self.seed)
            self.margins = Margins(self.interval).fit(self.trees, frame, train.ratings, fold_of)

    def _score(self, query: Query) -> np.ndarray:
        """See `Recommender._score`; predicts ratings as if given at the time of the user's last rating."""
        n_items = len(self.popularity)
        size = max(1, PAIRS_PER_PASS // n_items)
        scores = np.empty((len(query), n_items), np.float32)
        for start in range(0, len(query), size):
            own = query.between(start, start + size)
            rows, items = np.divmod(np.arange(len(own) * n_items), n_items)
            scores[start : start + size] = self._predict(Pairs(own, rows, items)).reshape(len(own), n_items)
        return scores

    def _predict(self, pairs: Pairs) -> np.ndarray:
        predicted = np.empty(len(pairs), np.float32)
        for part, frame in self._frames(pairs):
            predicted[part] = self.trees.predict(frame)
        return predicted

    def predict_intervals(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Predict intervals that contain the share `interval` of ratings; see `recsys.models.conformal`.

        Returns:
            The lower and the upper ends of the intervals, float32 (P,) each, in rating units and within the rating
            scale.

        Raises:
            UserError: the model was fitted with `interval=None`.
        """
        if self.margins is None:
            raise UserError("The model must be trained with intervals (got interval=None): give model.interval=0.9.")
        predicted, margins = np.empty((2, len(pairs)), np.float32)
        for part, frame in self._frames(pairs):
            predicted[part], margins[part] = self.trees.predict(frame), self.margins.predict(frame)
        low, high = np.clip([predicted - margins, predicted + margins], *self.scale)
        return low, high

    def feature_frame(self, pairs: Pairs) -> pd.DataFrame:
        """Return a row of features for each pair; see `recsys.models.feature_groups.feature_frame`.

        No pair may be among the training ratings, whose features would contain the rating itself.
        """
        return self._describe(self.groups, pairs)

    def feature_names(self, pairs: Pairs) -> dict[str, list[str]]:
        """Return the names of the features in each group, by name of the group.

        Args:
            pairs: any pairs. The names are those of the columns computed for them, since names can depend on the data.
        """
        return {group.name: group.transform(pairs).columns.tolist() for group in self.groups}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; returns one array that holds a pickle, since scikit-learn's trees require it."""
        state = {name: getattr(self, name) for name in STATE}
        return {"state": np.frombuffer(pickle.dumps(state), np.uint8)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`; unpickles, which is safe only because `load` has required `trusted`."""
        vars(self).update(pickle.loads(arrays["state"].tobytes()))  # noqa: S301

    def _describe(self, groups: Sequence[Group], pairs: Pairs) -> pd.DataFrame:
        return feature_frame(groups, pairs if self.later_ratings else pairs.with_past_histories())

    def _uses(self, group: str) -> bool:
        return self.features.get(group, True) and group not in self._undescribed

    def _fit_base_models(self, train: Dataset, valid: Holdout | None, context: FitContext) -> dict[str, Recommender]:
        unfitted = {name: make(setting) for name, setting in self.models.items() if self._uses("predictions")}
        if ensembles := [name for name, model in unfitted.items() if model.pickled]:
            raise UserError(f"models must not be ensembles of trees themselves (got {', '.join(ensembles)}).")
        base_models = {}
        for name, model in ProgressBar(unfitted.items(), desc="base models"):
            base_models[name] = cached_fit(model, train, valid, context)
        if self.embeddings is not None and self._uses("embeddings"):
            embedding_model = load_embedding_model(Path(self.embeddings), train)
            base_models["embeddings"] = cached_refit(embedding_model, train, context)
        return base_models

    def _item_and_user_groups(self, train: Dataset, context: FitContext) -> Sequence[Group]:
        """Return the fitted groups of those features that do not depend on ratings; all folds share these groups."""
        groups: dict[str, Group] = {
            "demographics": Demographics(),
            "genres": Genres(),
            "people": People(),
            "texts": Texts(self.texts, context.cache_dir),
        }
        return [group.fit(train) for name, group in groups.items() if self._uses(name)]

    def _learned_groups(self, train: Dataset, base_models: Mapping[str, Recommender]) -> dict[str, Group]:
        """Return the groups of those features that depend on ratings, fitted to the ratings in `train`."""
        predicting = {name: model for name, model in base_models.items() if name != "embeddings"}
        groups: dict[str, Group] = {
            "statistics": Statistics(),
            "time": Time(),
            "segments": Segments(self.n_segments, self.seed),
            "predictions": Predictions(predicting),
        }
        if "embeddings" in base_models:
            groups["embeddings"] = Embeddings(cast(HasEmbeddings, base_models["embeddings"]))
        return {name: group.fit(train) for name, group in groups.items() if self._uses(name)}

    def _frames(self, pairs: Pairs) -> Iterator[tuple[slice, pd.DataFrame]]:
        """Yield the positions of pairs, `PAIRS_PER_PASS` at a time, and the features of these pairs."""
        for start in range(0, len(pairs), PAIRS_PER_PASS):
            stop = start + PAIRS_PER_PASS
            yield slice(start, stop), self.feature_frame(pairs.between(start, stop))


def _refit_all(models: Mapping[str, Recommender], train: Dataset, context: FitContext) -> dict[str, Recommender]:
    return {name: cached_refit(model, train, context) for name, model in models.items()}


def _undescribed_groups(item_frame: pd.DataFrame) -> set[str]:
    """Return the names of the groups of features that cannot be computed, because no item has the metadata for them."""
    described = {"texts": any(documents(item_frame, FIELDS)), "segments": has_genres_or_years(item_frame)}
    return {group for group, is_described in described.items() if not is_described}
