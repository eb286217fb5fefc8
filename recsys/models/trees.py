"""Random Forest and Gradient Boosting: stars from all that is known of user, film and moment, other models' word too.

Breiman, "Random Forests", Machine Learning 2001; Friedman, "Greedy Function Approximation: A Gradient Boosting
Machine", Annals of Statistics 2001, on histograms as in Ke et al., "LightGBM: A Highly Efficient Gradient Boosting
Decision Tree", NeurIPS 2017. Other models are stacked (Wolpert, "Stacked Generalization", Neural Networks 1992): a
training rating is described by what was learned from other folds of the ratings, so that features are off in training
as they are for ratings that nobody has seen; a little more, since one fold is missing, and counts are a little less.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import torch
from sklearn.base import RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from tqdm import tqdm

from recsys.data.dataset import Dataset, History, Holdout
from recsys.errors import UserError
from recsys.files import digest_of
from recsys.models.base import FitContext, HasEmbeddings, Recommender, class_name, load, make
from recsys.models.conformal import Margins
from recsys.models.features import (
    Demographics,
    Embeddings,
    Genres,
    Group,
    Pairs,
    People,
    Predictions,
    Segments,
    Statistics,
    Texts,
    Time,
    concatenated,
    preprocessing,
)

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
PAIRS_PER_PASS = 1 << 19  # described at a time when whole catalogues are scored


class RatingTrees(Recommender):
    """What both kinds of trees share: features, cross-fitted in training.

    Args:
        models: whose predictions are features, by name: the class in `_target_`, its settings beside.
        texts: encoders of films' documents, by name, likewise.
        embeddings: a run on the same split, or a directory of runs that has one; its kind of model is trained on the
            ratings at hand for embeddings. None has none.
        features: groups of columns to leave out or in, by name; all are in that are not named.
        n_segments: taste segments.
        n_folds: of the training ratings; each is described by what was learned from the other folds.
        interval: the share of ratings that `intervals` are to hold, such as 0.9; None learns none. They take
            2 `n_folds` + 1 further trainings of the trees.
        seed: of the folds and the trees.

    Raises:
        UserError: there is no such group, fewer than two folds, or an interval that no share of ratings can fill.
    """

    predicts_ratings = True
    uses_history = True
    pickled = True

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Any]] | None = None,
        texts: Mapping[str, Mapping[str, Any]] | None = None,
        embeddings: str | None = None,
        features: Mapping[str, bool] | None = None,
        n_segments: int = 7,
        n_folds: int = 5,
        interval: float | None = None,
        seed: int = 0,
    ) -> None:
        self.models = dict(models or {})
        self.texts = dict(texts or {})
        self.embeddings = embeddings
        self.features = dict(features or {})
        self.n_segments = n_segments
        self.n_folds = n_folds
        self.interval = interval
        self.seed = seed
        self.margins: Margins | None = None
        if unknown := set(self.features) - set(GROUPS):
            raise UserError(f"there is no group of features {min(unknown)!r}: there are {', '.join(GROUPS)}.")
        if n_folds < 2:
            raise UserError(f"n_folds={n_folds} leaves nothing to learn from: give two or more.")
        if interval is not None and not 0 < interval < 1:
            raise UserError(f"interval={interval} is no share of ratings: give one between 0 and 1, such as 0.9.")

    @abstractmethod
    def learner(self) -> RegressorMixin:
        """The untrained trees."""

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Fit the models beneath, `valid` telling them when to stop, then the trees on cross-fitted features.

        Raises:
            UserError: the run of `embeddings` is of another split or has none.
        """
        context = context or FitContext()
        chosen = {name: make(setting) for name, setting in self.models.items() if self._has("predictions")}
        if stacked := [name for name, model in chosen.items() if model.pickled]:
            raise UserError(f"Trees cannot be stacked on trees: leave {', '.join(stacked)} out of models.")
        beneath = {}
        for name, model in tqdm(chosen.items(), desc="models beneath", disable=None):
            fit = partial(model.fit, train, valid, _beneath(context))
            beneath[name] = _kept(model, train, context, fit, watched=valid is not None)
        if self.embeddings is not None and self._has("embeddings"):
            beneath["embeddings"] = _refitted(_of_run(Path(self.embeddings), train), train, context)
        return self._learn(train, beneath, context)

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """See `Recommender.refit`: the models beneath are refitted too."""
        context = context or FitContext()
        beneath = {name: _refitted(model, train, context) for name, model in self.beneath.items()}
        return type(self)(**self.hyperparameters())._learn(train, beneath, context)

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Predicted stars, not clipped, as if rated after the user's last rating; see `Recommender.score`."""
        n_items = self.n_items
        rows, items = np.divmod(np.arange(len(users) * n_items), n_items)
        return self._predicted(users, history, rows, items, None).reshape(len(users), n_items)

    def predict(
        self, users: np.ndarray, history: History, rows: np.ndarray, items: np.ndarray, times: np.ndarray | None = None
    ) -> np.ndarray:
        """Predicted stars, within the scale; see `Recommender.predict`."""
        return np.clip(self._predicted(users, history, rows, items, times), *self.scale)

    def intervals(
        self, users: np.ndarray, history: History, rows: np.ndarray, items: np.ndarray, times: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Stars between which ratings lie, but for the share that `interval` leaves out.

        Args:
            users: as of `predict`, like all that follow.
            history: likewise.
            rows: likewise.
            items: likewise.
            times: likewise.

        Returns:
            The lower and the upper ends, float32 (P,) each, within the scale.

        Raises:
            UserError: the model learned no intervals.
        """
        if self.margins is None:
            raise UserError("This model was trained without intervals: train it with model.interval=0.9.")
        predicted, margins = np.empty((2, len(items)), np.float32)
        for part, frame in self._frames(users, history, rows, items, times):
            predicted[part], margins[part] = self.trees.predict(frame), self.margins.of(frame)
        low, high = np.clip([predicted - margins, predicted + margins], *self.scale)
        return low, high

    def described(self, pairs: Pairs) -> pd.DataFrame:
        """The features of pairs that were not trained on, a row each."""
        return concatenated(self.groups, pairs)

    def columns(self, pairs: Pairs) -> dict[str, list[str]]:
        """Which of the features are in which group; some pair is needed to tell."""
        return {group.name: group.of(pairs).columns.tolist() for group in self.groups}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; scikit-learn's trees have no other form than a pickle."""
        state = {name: getattr(self, name) for name in ("beneath", "groups", "trees", "margins", "scale", "n_items")}
        return {"pickle": np.frombuffer(pickle.dumps(state), np.uint8)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`; `load` has asked whether the file is trusted."""
        vars(self).update(pickle.loads(arrays["pickle"].tobytes()))  # noqa: S301

    def _has(self, group: str) -> bool:
        return self.features.get(group, True)

    def _learn(self, train: Dataset, beneath: dict[str, Recommender], context: FitContext) -> Self:
        self.beneath = beneath
        self.scale, self.n_items = np.array(train.scale, np.float32), train.n_items
        of_frames = {"demographics": Demographics(), "genres": Genres(), "people": People()}
        of_frames["texts"] = Texts(self.texts, context)
        common = [group.fit(train) for name, group in of_frames.items() if self._has(name)]
        own = self._groups(train, beneath)
        self.groups = [*common, *own.values()]
        frame = self._cross_fitted(train, common, own, context)
        self.trees: Pipeline = make_pipeline(preprocessing(), self.learner()).fit(frame, train.ratings)
        if self.interval is not None:
            self.margins = Margins(self.interval).fit(self.trees, frame, train.ratings, self._fold_of(train))
        return self

    def _groups(
        self, train: Dataset, beneath: Mapping[str, Recommender], like: Mapping[str, Group] | None = None
    ) -> dict[str, Group]:
        """Groups that learn from ratings, fitted to some, with the axes and numbers of those fitted to all."""
        predicting = {name: model for name, model in beneath.items() if name != "embeddings"}
        groups: dict[str, Group] = {
            "statistics": Statistics(),
            "time": Time(),
            "segments": Segments(self.n_segments, self.seed),
            "predictions": Predictions(predicting),
        }
        if "embeddings" in beneath:
            groups["embeddings"] = Embeddings(cast(HasEmbeddings, beneath["embeddings"]))
        chosen = {name: group.fit(train) for name, group in groups.items() if self._has(name)}
        for name, group in (like or {}).items():
            chosen[name].align(group, train)
        return chosen

    def _cross_fitted(
        self, train: Dataset, common: Sequence[Group], like: Mapping[str, Group], context: FitContext
    ) -> pd.DataFrame:
        """The features of the training ratings, each by what the folds that it is not in tell."""
        frames, places = [], []
        for held_out, others in tqdm(self._folds(train), total=self.n_folds, desc="cross-fitting", disable=None):
            beneath = {name: _refitted(model, others, context) for name, model in self.beneath.items()}
            groups = [*common, *self._groups(others, beneath, like).values()]
            frames.append(concatenated(groups, Pairs.among(others, train.select(held_out))))
            places.append(held_out)
        return pd.concat(frames, ignore_index=True).iloc[np.argsort(np.concatenate(places))].reset_index(drop=True)

    def _folds(self, train: Dataset) -> Iterator[tuple[np.ndarray, Dataset]]:
        """Positions of each fold's ratings, and the ratings of the other folds."""
        fold_of = self._fold_of(train)
        for fold in range(self.n_folds):
            others = train.select(fold_of != fold)
            if train.fingerprint:
                others = replace(
                    others, fingerprint=f"{train.fingerprint}/without {fold} of {self.n_folds}, {self.seed}"
                )
            yield np.flatnonzero(fold_of == fold), others

    def _fold_of(self, train: Dataset) -> np.ndarray:
        """int64 (n,): the fold of each rating."""
        return np.random.default_rng(self.seed).permutation(len(train)) % self.n_folds

    def _predicted(
        self, users: np.ndarray, history: History, rows: np.ndarray, items: np.ndarray, times: np.ndarray | None
    ) -> np.ndarray:
        """Stars of pairs, not clipped, float32 (P,)."""
        predicted = np.empty(len(items), np.float32)
        for part, frame in self._frames(users, history, rows, items, times):
            predicted[part] = self.trees.predict(frame)
        return predicted

    def _frames(
        self, users: np.ndarray, history: History, rows: np.ndarray, items: np.ndarray, times: np.ndarray | None
    ) -> Iterator[tuple[slice, pd.DataFrame]]:
        """The features of pairs, `PAIRS_PER_PASS` at a time, and which pairs they are of."""
        for start in range(0, len(items), PAIRS_PER_PASS):
            part = slice(start, start + PAIRS_PER_PASS)
            pairs = Pairs(users, history, rows[part], items[part], None if times is None else times[part])
            yield part, self.described(pairs)


class RandomForest(RatingTrees):
    """The mean of trees that are grown on bootstrap samples.

    Args:
        n_trees: how many.
        min_samples_leaf: ratings that a leaf has at least.
        max_features: share of the columns that a split looks at.
        **features: see `RatingTrees`.
    """

    def __init__(
        self, n_trees: int = 100, min_samples_leaf: int = 5, max_features: float = 0.33, **features: Any
    ) -> None:
        super().__init__(**features)
        self.n_trees = n_trees
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features

    def learner(self) -> RandomForestRegressor:
        """See `RatingTrees.learner`."""
        return RandomForestRegressor(
            self.n_trees,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            n_jobs=torch.get_num_threads(),
            random_state=self.seed,
        )


class GradientBoosting(RatingTrees):
    """Trees that mend what those before them left, on histograms.

    Args:
        n_trees: how many.
        lr: share of each tree's correction that is taken.
        max_leaf_nodes: of a tree.
        min_samples_leaf: ratings that a leaf has at least.
        max_features: share of the columns that a split looks at.
        l2: penalty on the leaves.
        **features: see `RatingTrees`.
    """

    def __init__(
        self,
        n_trees: int = 400,
        lr: float = 0.03,
        max_leaf_nodes: int = 31,
        min_samples_leaf: int = 100,
        max_features: float = 0.2,
        l2: float = 10.0,
        **features: Any,
    ) -> None:
        super().__init__(**features)
        self.n_trees = n_trees
        self.lr = lr
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.l2 = l2

    def learner(self) -> HistGradientBoostingRegressor:
        """See `RatingTrees.learner`."""
        return HistGradientBoostingRegressor(
            learning_rate=self.lr,
            max_iter=self.n_trees,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            l2_regularization=self.l2,
            early_stopping=False,
            random_state=self.seed,
        )


def _beneath(context: FitContext) -> FitContext:
    """For models beneath: no checkpoints or curves of their own, and no callbacks, which are about the model above."""
    return FitContext(trainer=partial(context.trainer, callbacks=[]), cache_dir=context.cache_dir)


def _refitted(model: Recommender, train: Dataset, context: FitContext) -> Recommender:
    return _kept(model, train, context, partial(model.refit, train, _beneath(context)))


def _kept(
    model: Recommender, train: Dataset, context: FitContext, fit: Callable[[], Recommender], watched: bool = False
) -> Recommender:
    """What a fit, which validation watched or not, gives; from the cache where it was fitted so before.

    Features are studied by leaving some out, and then the models beneath stay what they are. What decides is the kind
    of model, its settings, the ratings, what is known of users and films, and the code.
    """
    if context.cache_dir is None or not train.fingerprint:
        return fit()
    stopped = "by validation" if watched else getattr(model, "n_best_epochs", None)
    decisive = [class_name(model), model.hyperparameters(), stopped, train.fingerprint, _code()]
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for frame in (train.user_frame, train.item_frame):
        digest.update(frame.to_json(date_format="iso").encode())
    directory = context.cache_dir / "fitted" / digest.hexdigest()[:16]
    if (directory / "model.json").is_file():
        return load(directory)
    fitted = fit()
    fitted.save(directory)
    return fitted


@cache
def _code() -> str:
    """Digest of the source of models and of what they read."""
    rooms = Path(__file__).parent, Path(__file__).parents[1] / "data"
    return digest_of(sorted(file for room in rooms for file in room.glob("*.py")))


def _of_run(run: Path, train: Dataset) -> Recommender:
    """The model of a run on the split at hand.

    Raises:
        UserError: it has no embeddings, or is of another split.
    """
    files = [run / "embeddings.npz", *sorted(run.glob("*/embeddings.npz"))]
    split_of = {file.parent: _split(file) for file in files if file.is_file()}
    if not split_of:
        raise UserError(f"{run} holds no embeddings: name a finished run of a model that has some, such as mf or ials.")
    for directory, split in split_of.items():
        if split == train.fingerprint.partition("/")[0]:
            return load(directory / "model")
    raise UserError(
        f"The embeddings of {run} are of another split, whose training ratings may be tested on here: "
        "train its model with the same data and split settings."
    )


def _split(embeddings: Path) -> str:
    with np.load(embeddings, allow_pickle=False) as stored:
        return str(stored["split"])
