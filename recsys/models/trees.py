"""Random forest and gradient boosting: regression of ratings on the features that `RatingTrees` computes.

Breiman, "Random Forests", Machine Learning 2001; Friedman, "Greedy Function Approximation: A Gradient Boosting
Machine", Annals of Statistics 2001. Boosting finds splits on histograms of the features: Ke et al., "LightGBM: A Highly
Efficient Gradient Boosting Decision Tree", NeurIPS 2017.
"""

from __future__ import annotations

from typing import Any

import torch
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from recsys.errors import UserError, check_not_negative, check_positive, check_shares
from recsys.models.rating_trees import RatingTrees


class RandomForest(RatingTrees):
    """Predicts a rating as the mean of regression trees that are grown on bootstrap samples of the ratings.

    Args:
        n_trees: number of trees.
        min_samples_leaf: minimum number of ratings in a leaf.
        max_features: share of the columns that are considered for a split, above 0 and at most 1.
        **features: further arguments, see `RatingTrees`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self, n_trees: int = 100, min_samples_leaf: int = 5, max_features: float = 0.33, **features: Any
    ) -> None:
        super().__init__(**features)
        check_positive(n_trees=n_trees, min_samples_leaf=min_samples_leaf, max_features=max_features)
        check_shares(max_features=max_features)
        self.n_trees = n_trees
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features

    def estimator(self) -> RandomForestRegressor:
        """See `RatingTrees.estimator`."""
        return RandomForestRegressor(
            self.n_trees,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            n_jobs=torch.get_num_threads(),
            random_state=self.seed,
        )


class GradientBoosting(RatingTrees):
    """Predicts a rating as the sum of regression trees, each fitted to the residuals that the earlier trees leave.

    Splits are found on histograms of the features.

    Args:
        n_trees: number of trees.
        lr: learning rate: factor by which the predictions of each tree are scaled.
        max_leaf_nodes: maximum number of leaves of a tree.
        min_samples_leaf: minimum number of ratings in a leaf.
        max_features: share of the columns that are considered for a split, above 0 and at most 1.
        l2: penalty on the squared values of the leaves.
        **features: further arguments, see `RatingTrees`.

    Raises:
        UserError: a value is not allowed.
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
        check_positive(n_trees=n_trees, lr=lr, max_leaf_nodes=max_leaf_nodes)
        check_positive(min_samples_leaf=min_samples_leaf, max_features=max_features)
        if max_leaf_nodes < 2:
            raise UserError(f"max_leaf_nodes must be at least 2 (got {max_leaf_nodes}).")
        check_shares(max_features=max_features)
        check_not_negative(l2=l2)
        self.n_trees = n_trees
        self.lr = lr
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.l2 = l2

    def estimator(self) -> HistGradientBoostingRegressor:
        """See `RatingTrees.estimator`."""
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
