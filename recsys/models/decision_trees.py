"""Ensembles of decision trees that are stored as plain arrays, without pickle, and can explain their predictions.

Every node of a tree has a value: the mean prediction or, at a leaf, the prediction. On a row's path from a root to a
leaf, the value changes at each split. The contribution of a feature to a prediction is the sum of the changes at splits
by this feature, over all trees (Saabas, "Interpreting random forests", blog post, 2014). The contributions of all
features sum to the prediction minus `DecisionTrees.mean`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from recsys.models.learned_arrays import LearnedArrays

if TYPE_CHECKING:
    from lightgbm import Booster  # an optional dependency

LEAF = -1  # marks a leaf, in place of a feature
CELLS_PER_PASS = 1 << 16  # pairs of a row and a tree that are traversed together, few enough to fit in CPU caches


class DecisionTrees(LearnedArrays):
    """A sum of decision trees; the nodes of all trees are numbered consecutively.

    Args:
        roots: int64 (n_trees,) first node of each tree.
        features: int64 (n_nodes,) the column that each node splits by, or `LEAF`.
        thresholds: float64 (n_nodes,) a row goes to the left child of a node if the row's value in the node's
            column is at most the threshold, else to the right child.
        children: int64 (n_nodes, 2) left and right child of each node; arbitrary at leaves.
        values: float64 (n_nodes,) at a leaf, the prediction of its tree; at other nodes, the mean prediction.
        constant: constant that is added to the sum of the trees.

    Raises:
        ValueError: a child does not exist, or its number is not above that of its parent, so a traversal might not end.
    """

    learned = ("roots", "features", "thresholds", "children", "values", "constant")

    def __init__(
        self,
        roots: np.ndarray,
        features: np.ndarray,
        thresholds: np.ndarray,
        children: np.ndarray,
        values: np.ndarray,
        constant: float | np.ndarray = 0.0,
    ) -> None:
        splits = np.flatnonzero(features != LEAF)
        if ((children[splits] <= splits[:, None]) | (children[splits] >= len(features))).any():
            raise ValueError("a node of a tree must come before its children")
        self.roots = roots
        self.features = features
        self.thresholds = thresholds
        self.children = children
        self.values = values
        self.constant = np.array(constant)

    @classmethod
    def of_boosting(cls, estimator: HistGradientBoostingClassifier) -> Self:
        """Convert a fitted binary classifier into trees that sum to the classifier's log odds of the second class."""
        trees = [predictor.nodes for [predictor] in estimator._predictors]
        nodes = np.concatenate(trees)
        offsets = _offsets(trees)
        is_leaf = nodes["is_leaf"].astype(bool)
        return cls(
            offsets[:-1],
            np.where(is_leaf, LEAF, nodes["feature_idx"].astype(np.int64)),
            nodes["num_threshold"],
            np.stack([nodes["left"], nodes["right"]], axis=1).astype(np.int64) + _shifts(offsets),
            nodes["value"] * np.where(is_leaf, 1.0, estimator.learning_rate),  # leaves have been scaled already
            estimator._baseline_prediction.item(),
        )

    @classmethod
    def of_forest(cls, estimator: RandomForestClassifier) -> Self:
        """Convert a fitted binary classifier into trees that sum to its predicted probability of the second class."""
        trees = [tree.tree_ for tree in estimator.estimators_]
        offsets = _offsets([tree.feature for tree in trees])
        counts = np.concatenate([tree.value[:, 0] for tree in trees])  # (n_nodes, 2) of each class, or their shares
        children = [np.stack([tree.children_left, tree.children_right], axis=1) for tree in trees]
        return cls(
            offsets[:-1],
            np.maximum(np.concatenate([tree.feature for tree in trees]), LEAF),
            np.concatenate([tree.threshold for tree in trees]),
            np.concatenate(children) + _shifts(offsets),
            counts[:, 1] / counts.sum(axis=1) / len(trees),
        )

    @classmethod
    def of_lightgbm(cls, booster: Booster) -> Self:
        """Convert a fitted LightGBM model into trees that sum to the model's raw score."""
        nodes = booster.trees_to_dataframe()  # of each tree from the root down
        numbers = dict(zip(nodes["node_index"], range(len(nodes)), strict=True)) | {None: LEAF}
        columns = dict(zip(booster.feature_name(), range(booster.num_feature()), strict=True)) | {None: LEAF}
        children = [nodes[side].map(numbers).to_numpy(np.int64) for side in ("left_child", "right_child")]
        return cls(
            np.flatnonzero(nodes["node_depth"] == 1),
            nodes["split_feature"].map(columns).to_numpy(np.int64),
            nodes["threshold"].fillna(0.0).to_numpy(np.float64),
            np.stack(children, axis=1),
            nodes["value"].to_numpy(np.float64),
        )

    @property
    def mean(self) -> float:
        """Return the prediction before any split: the constant plus the sum of the values at the roots."""
        return float(self.constant + self.values[self.roots].sum())

    def predict(self, frame: np.ndarray) -> np.ndarray:
        """Return a prediction for each row, float64 (n,); `frame` holds finite features, float32 (n, n_features)."""
        return self.mean + self.contributions(frame, np.zeros(frame.shape[1], np.int64))[:, 0]

    def contributions(self, frame: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Return the contribution of each group of features to the predictions.

        Args:
            frame: float32 (n, n_features) rows of finite features.
            groups: int64 (n_features,) the group of each feature, from 0.

        Returns:
            float64 (n, n_groups); a row sums to the prediction minus `mean`.
        """
        n_groups = int(groups.max()) + 1
        added = np.zeros((len(frame), n_groups))
        size = max(1, CELLS_PER_PASS // len(self.roots))
        for start in range(0, len(frame), size):
            part = added[start : start + size]
            for rows, nodes, children in self._steps(frame[start : start + size]):
                cells = rows * n_groups + groups[self.features[nodes]]
                changes = self.values[children] - self.values[nodes]
                part += np.bincount(cells, changes, part.size).reshape(part.shape)
        return added

    def _steps(self, frame: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Send all rows through all trees, from the roots to the leaves, one level at a time.

        Yields:
            For each level, three arrays, int64 (m,) each, over the m pairs of a row and a tree in which the row has not
            yet reached a leaf: the row, the node that it has reached, and the child that it goes to next.
        """
        n_rows, n_features = frame.shape
        values, children_of = frame.ravel(), self.children.ravel()
        rows, nodes = np.repeat(np.arange(n_rows), len(self.roots)), np.tile(self.roots, n_rows)
        while len(splits := np.flatnonzero(self.features[nodes] != LEAF)):
            rows, nodes = rows[splits], nodes[splits]
            goes_right = values[rows * n_features + self.features[nodes]] > self.thresholds[nodes]
            children = children_of[2 * nodes + goes_right]
            yield rows, nodes, children
            nodes = children


def _offsets(trees: Sequence[np.ndarray]) -> np.ndarray:
    """Return the number of nodes before each tree and, at the end, the number of all nodes, int64 (n_trees + 1,)."""
    return np.cumsum([0, *map(len, trees)])


def _shifts(offsets: np.ndarray) -> np.ndarray:
    """Return, for each node, the number of nodes in the trees before its own, int64 (n_nodes, 1)."""
    return np.repeat(offsets[:-1], np.diff(offsets))[:, None]
