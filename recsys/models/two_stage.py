"""Two stages: several models find candidates, which decision trees rank by features of the user, item and moment.

Volkovs et al., "Two-stage Model for Automatic Playlist Continuation at Scale", RecSys Challenge 2018.

The labels from which the trees learn are the last training ratings of each user. The features of a label are computed
from the history before it and by copies of the models that are fitted without any label, so that no feature contains
information about its label. For scoring, models that are fitted to all training ratings are used. These models learn
from more ratings than the copies, so their scores are slightly more accurate than the scores of the copies.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from recsys.data.dataset import Dataset, Holdout, StepHoldout
from recsys.data.query import Query
from recsys.errors import UserError, check_not_negative, check_positive, check_seed, check_shares
from recsys.extras import naming_extras
from recsys.models.base import ExplainsByFeatures, FitContext, FitReport
from recsys.models.cached_fit import cached_refit
from recsys.models.candidate_features import CandidateFeatures
from recsys.models.candidates import Candidates, FirstStage
from recsys.models.decision_trees import DecisionTrees
from recsys.models.ensemble import Ensemble
from recsys.models.learned_arrays import prefixed, without_prefix
from recsys.models.neighbours import VALUES_PER_BLOCK
from recsys.progress_bar import ProgressBar

log = logging.getLogger(__name__)


class TwoStage(Ensemble, ExplainsByFeatures):
    """Base class of models that find candidates by several models and rank them by decision trees.

    A subclass fits the trees. The trees score the candidates of a user; all other items follow below the lowest
    candidate, in the order in which the first model ranks them. The scores of these other items have no meaning beyond
    their order.

    Args:
        models: the models that find candidates, by name; see `Ensemble`. Their scores and ranks are features too.
        n_candidates: number of unseen items that each model contributes as candidates.
        budgets: number of candidates that a model contributes, by name of the model; models that are not named here
            contribute `n_candidates`.
        n_labels: number of last training ratings of each user from which the trees learn; at most half of a user's
            ratings are used.
        n_negatives: mean number of other candidates that are sampled for each label.
        seed: seed of the sampling and of the trees.
        **prior: see `Ensemble`.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        features: computes the features of candidates; fitted to all training ratings.
        trees: the fitted trees of the second stage.
    """

    reads_order = True
    features: CandidateFeatures
    trees: DecisionTrees

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Any] | str],
        n_candidates: int = 50,
        budgets: Mapping[str, int] | None = None,
        n_labels: int = 10,
        n_negatives: int = 100,
        seed: int = 0,
        **prior: Any,
    ) -> None:
        super().__init__(models, **prior)
        self.n_candidates = n_candidates
        self.budgets = dict(budgets or {})
        self.n_labels = n_labels
        self.n_negatives = n_negatives
        self.seed = seed
        if unknown := [name for name in self.budgets if name not in self.models]:
            raise UserError(f"budgets must name some of {', '.join(self.models)} (got {', '.join(unknown)}).")
        check_positive(n_candidates=n_candidates, n_labels=n_labels, n_negatives=n_negatives)
        check_positive(**self.budgets)
        check_seed(seed=seed)

    @abstractmethod
    def fit_trees(self, frame: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> DecisionTrees:
        """Fit the trees of the second stage to lists of candidates, one list for each label.

        Args:
            frame: float32 (n, n_columns) features of the candidates of all lists, one list after the other.
            labels: bool (n,) whether each candidate is the item that the user rated, which is true for exactly one
                candidate of each list.
            sizes: int64 (n_lists,) number of candidates in each list.

        Returns:
            Trees; the score of a candidate is the sum of their predictions.
        """

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Fit the base models, with early stopping on `valid`, and the trees.

        Raises:
            UserError: the trees cannot learn, since none or all of the candidates are labels.
        """
        started = time.perf_counter()
        self._fit_base_models(train, valid, context)
        self.features = CandidateFeatures().fit(train)
        if self._earlier is not None:
            self.trees = self._earlier.trees
        else:
            self.trees = self.fit_trees(*self._samples(train, context))
        recall = self._recall(valid) if valid is not None and len(valid.ratings) else None
        seconds = time.perf_counter() - started
        return FitReport(seconds, len(train) / seconds, candidate_recall=recall)

    def _samples(self, train: Dataset, context: FitContext) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the arguments of `fit_trees`; the list for a label has the label and a sample of other candidates.

        Labels that are not among the candidates found for their users are left out.
        """
        labels = last_ratings(train, self.n_labels)
        models = {name: cached_refit(model, labels.known, context) for name, model in self.base_models.items()}
        first_stage = FirstStage(models, self._budgets, CandidateFeatures().fit(labels.known))
        rng = np.random.default_rng(self.seed)
        frames, are_labels, sizes = [], [], []
        for candidates, is_label in _described(first_stage, labels, "candidates of labels"):
            rows = candidates.rows
            has_label = np.bincount(rows, is_label) > 0
            is_sampled = rng.random(len(rows)) * np.bincount(rows)[rows] < self.n_negatives
            chosen = has_label[rows] & (is_label | is_sampled)
            frames.append(candidates.frame[chosen])
            are_labels.append(is_label[chosen])
            sizes.append(np.bincount(rows[chosen], minlength=len(has_label))[has_label])
        if not 0 < sum(map(np.sum, are_labels)) < sum(map(len, are_labels)):
            raise UserError(
                f"{type(self).__name__} must find users' last ratings among other candidates to learn from them (got "
                f"none of {len(labels.ratings):,}): raise model.n_candidates, or train on users with more ratings."
            )
        return np.concatenate(frames), np.concatenate(are_labels), np.concatenate(sizes)

    def _recall(self, valid: Holdout) -> float:
        """Return the share of held-out ratings that are among the candidates."""
        n_found = sum(int(found.sum()) for _, found in _described(self._first_stage, valid, "candidates"))
        recall = n_found / len(valid.ratings)
        log.info("%.1f%% of validation ratings are among the candidates", 100 * recall)
        return recall

    def _score(self, query: Query) -> np.ndarray:
        """See `Recommender._score`; items that are not candidates score at least 1 below the user's candidates."""
        candidates = self._first_stage.candidates(query)
        ranked = self.trees.predict(candidates.frame)
        lowest = np.zeros(len(query))
        np.minimum.at(lowest, candidates.rows, ranked)
        others = candidates.scores
        scores = others - others.max(axis=1, keepdims=True) + (lowest - 1)[:, None]
        scores[candidates.rows, candidates.items] = ranked
        return scores.astype(np.float32)

    def feature_contributions(self, query: Query, items: np.ndarray) -> pd.DataFrame:
        """See `ExplainsByFeatures.feature_contributions`; contributions are NaN for items that are not candidates."""
        candidates = self._first_stage.candidates(query)
        added = self.trees.contributions(candidates.frame, candidates.group_of_column)
        by_item = pd.DataFrame(added, index=candidates.items, columns=list(candidates.features))
        return by_item.reindex(items)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; also returns the arrays of `features` and `trees`."""
        return super().arrays() | prefixed({"features": self.features, "trees": self.trees})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`; also restores `features` and `trees`."""
        super().restore(arrays)
        self.features = CandidateFeatures().restore(without_prefix("features", arrays))
        self.trees = DecisionTrees(**without_prefix("trees", arrays))

    @property
    def _budgets(self) -> dict[str, int]:
        return dict.fromkeys(self.models, self.n_candidates) | self.budgets

    @property
    def _first_stage(self) -> FirstStage:
        return FirstStage(self.base_models, self._budgets, self.features)


class BoostedTwoStage(TwoStage):
    """Ranks candidates by their log odds of being rated next, which gradient-boosted trees predict.

    The trees minimise the log loss.

    Args:
        models: see `TwoStage`.
        n_trees: number of trees.
        lr: learning rate: factor by which the predictions of each tree are scaled.
        max_leaf_nodes: maximum number of leaves of a tree.
        min_samples_leaf: minimum number of candidates in a leaf.
        l2: penalty on the squared values of the leaves.
        **stages: further arguments, see `TwoStage`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Any] | str],
        n_trees: int = 150,
        lr: float = 0.05,
        max_leaf_nodes: int = 15,
        min_samples_leaf: int = 50,
        l2: float = 10.0,
        **stages: Any,
    ) -> None:
        super().__init__(models, **stages)
        check_positive(n_trees=n_trees, lr=lr, max_leaf_nodes=max_leaf_nodes, min_samples_leaf=min_samples_leaf)
        check_not_negative(l2=l2)
        if max_leaf_nodes < 2:
            raise UserError(f"max_leaf_nodes must be at least 2 (got {max_leaf_nodes}).")
        self.n_trees = n_trees
        self.lr = lr
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2 = l2

    def fit_trees(self, frame: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> DecisionTrees:
        """See `TwoStage.fit_trees`; minimises the log loss, and ignores which list each candidate belongs to."""
        estimator = HistGradientBoostingClassifier(
            learning_rate=self.lr,
            max_iter=self.n_trees,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2,
            early_stopping=False,
            random_state=self.seed,
        )
        return DecisionTrees.of_boosting(estimator.fit(frame, labels))


class LambdaMARTTwoStage(BoostedTwoStage):
    """Ranks candidates by gradient-boosted trees that optimise the NDCG of each list (LightGBM's `lambdarank`).

    Burges, "From RankNet to LambdaRank to LambdaMART: An Overview", Microsoft Research 2010; Ke et al., "LightGBM: A
    Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017. The arguments are those of `BoostedTwoStage`.

    Raises:
        UserError: a value is not allowed, or LightGBM is not installed when `fit` is called. A fitted model does not
            need LightGBM.
    """

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Check that LightGBM is installed, and fit both stages."""
        if self._earlier is None:
            _lightgbm()
        return super()._fit(train, valid, context)

    def fit_trees(self, frame: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> DecisionTrees:
        """See `TwoStage.fit_trees`; ranks the candidates within each list."""
        ranker = _lightgbm().LGBMRanker(
            n_estimators=self.n_trees,
            learning_rate=self.lr,
            num_leaves=self.max_leaf_nodes,
            min_child_samples=self.min_samples_leaf,
            reg_lambda=self.l2,
            random_state=self.seed,
            n_jobs=1,  # the same trees for any number of threads
            verbosity=-1,
        )
        return DecisionTrees.of_lightgbm(ranker.fit(frame, labels.astype(int), group=sizes).booster_)


class ForestTwoStage(TwoStage):
    """Ranks candidates by their probability of being rated next, which a random forest predicts.

    Args:
        models: see `TwoStage`.
        n_trees: number of trees.
        min_samples_leaf: minimum number of candidates in a leaf.
        max_features: share of the columns that are considered for a split, above 0 and at most 1.
        **stages: further arguments, see `TwoStage`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Any] | str],
        n_trees: int = 100,
        min_samples_leaf: int = 20,
        max_features: float = 0.3,
        **stages: Any,
    ) -> None:
        super().__init__(models, **stages)
        check_positive(n_trees=n_trees, min_samples_leaf=min_samples_leaf, max_features=max_features)
        check_shares(max_features=max_features)
        self.n_trees = n_trees
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features

    def fit_trees(self, frame: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> DecisionTrees:
        """See `TwoStage.fit_trees`; fits a classifier, and ignores which list each candidate belongs to."""
        estimator = RandomForestClassifier(
            self.n_trees,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            random_state=self.seed,
        )
        return DecisionTrees.of_forest(estimator.fit(frame, labels))


def _lightgbm() -> ModuleType:
    try:
        with naming_extras():
            import lightgbm
    except OSError as error:
        raise UserError(f"LightGBM needs the system's OpenMP library, such as Debian's libgomp1 ({error}).") from error
    return lightgbm


def last_ratings(train: Dataset, n: int) -> StepHoldout:
    """Hold out the last n ratings of each user, but at most half of the user's ratings.

    The history for a held-out rating ends just before that rating, so it includes the user's earlier held-out ratings.
    """
    places = train.histories().places_from_the_end
    held_out = places < np.minimum(n, train.user_counts // 2)[train.users]
    earlier = train.select(~held_out)
    if train.fingerprint:
        earlier = replace(earlier, fingerprint=f"{train.fingerprint}/without the last {n} of each user")
    return StepHoldout(train.select(held_out), earlier, timeline=train, ends=np.flatnonzero(held_out))


def _described(first_stage: FirstStage, holdout: Holdout, description: str) -> Iterator[tuple[Candidates, np.ndarray]]:
    """Yield, for each batch of a holdout's queries, the candidates and which of them are held-out items, bool (P,)."""
    n_items = holdout.ratings.n_items
    size = max(1, VALUES_PER_BLOCK // (n_items * len(first_stage.models)))
    for start in ProgressBar(range(0, holdout.n_queries, size), desc=description):
        rows = np.arange(start, min(start + size, holdout.n_queries))
        candidates, relevant = first_stage.candidates(holdout.query(rows)), holdout.relevant(rows)
        held_out = np.isin(candidates.rows * n_items + candidates.items, relevant.rows * n_items + relevant.items)
        yield candidates, held_out
