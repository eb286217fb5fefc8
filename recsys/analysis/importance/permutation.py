"""Permutation importance: how much the error grows when the values of features are permuted among the ratings.

Breiman, "Random Forests", Machine Learning 2001. The importance of a feature is underestimated if correlated features
carry the same information, so groups of features are permuted together as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.metrics import root_mean_squared_error

from recsys.analysis.importance.sample import Sample
from recsys.progress_bar import ProgressBar


def importances(
    trees: Any, sample: Sample, blocks: Mapping[str, Sequence[str]], n_repeats: int, seed: int, description: str
) -> pd.DataFrame:
    """Compute the permutation importance of blocks of columns; the columns of a block are permuted together.

    Args:
        trees: regressor that was fitted to the features in `sample.frame`.
        sample: ratings on which the error is measured.
        blocks: the columns of each block, keyed by the name of the block.
        n_repeats: number of permutations of each block.
        seed: seed of the permutations.
        description: label of the progress bar.

    Returns:
        A row for each block, indexed by its name, the most important block first: `increase` is the growth of the root
        mean squared error, averaged over the permutations, and `spread` is the standard deviation of this growth. Both
        are in stars.
    """
    identity = np.arange(len(sample.frame))
    sources = np.tile(identity[:, None], len(blocks))  # (m, n_blocks): the row that each block's values come from

    with ProgressBar(total=1 + n_repeats * len(blocks), desc=description) as bar:

        def negative_error(trees: Any, sources: np.ndarray, ratings: np.ndarray) -> float:
            frame = sample.frame.copy()
            for columns, source in zip(blocks.values(), sources.T, strict=True):
                if not np.array_equal(source, identity):
                    frame[columns] = frame[columns].take(source).set_axis(frame.index)
            bar.update()
            return -root_mean_squared_error(ratings, np.clip(trees.predict(frame), *sample.scale))

        # scikit-learn permutes single columns, so each block is represented by one column of row numbers
        result = permutation_importance(
            trees, sources, sample.ratings, scoring=negative_error, n_repeats=n_repeats, random_state=seed
        )
    columns = {"increase": result.importances_mean, "spread": result.importances_std}
    return pd.DataFrame(columns, index=list(blocks)).sort_values("increase", ascending=False)
