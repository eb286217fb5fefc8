"""Out-of-fold features: the features of a training rating are learned from the other folds of the ratings.

Wolpert, "Stacked Generalization", Neural Networks 1992. The features of a training rating do not depend on the rating
itself, so they are almost as accurate as the features of an unseen rating. They are slightly less accurate, since they
are learned from fewer ratings. For the same reason, features that count ratings are slightly smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.query import Pairs
from recsys.progress_bar import ProgressBar


def assign_folds(n_ratings: int, n_folds: int, seed: int) -> np.ndarray:
    """Assign each rating to a random fold; the sizes of the folds differ by at most one.

    Returns:
        int64 (n_ratings,) folds, numbered from 0.
    """
    return np.random.default_rng(seed).permutation(n_ratings) % n_folds


def out_of_fold_features(
    train: Dataset, n_folds: int, seed: int, describe: Callable[[Dataset, Pairs], pd.DataFrame]
) -> pd.DataFrame:
    """Compute the features of training ratings, fold by fold.

    Args:
        train: the ratings.
        n_folds: number of folds.
        seed: seed of the assignment to folds.
        describe: function that learns from its first argument, the ratings of all other folds, and returns a row of
            features for each pair of user and item in its second argument, the ratings of one fold. The histories in
            these pairs consist of the ratings of the other folds.

    Returns:
        One row per rating, in the order of the training ratings.
    """
    frames, positions = [], []
    for held_out, others in ProgressBar(_folds(train, n_folds, seed), total=n_folds, desc="out-of-fold"):
        ratings = train.select(held_out)
        pairs = Pairs(others.query(np.arange(others.n_users)), ratings.users, ratings.items, ratings.times)
        frames.append(describe(others, pairs))
        positions.append(held_out)
    order = np.argsort(np.concatenate(positions))
    return pd.concat(frames, ignore_index=True).iloc[order].reset_index(drop=True)


def _folds(train: Dataset, n_folds: int, seed: int) -> Iterator[tuple[np.ndarray, Dataset]]:
    """Yield, for each fold, the positions of its ratings, int64 (m,), and the ratings of all other folds.

    The fingerprint of the other ratings identifies the fold that is missing.
    """
    fold_of = assign_folds(len(train), n_folds, seed)
    for fold in range(n_folds):
        others = train.select(fold_of != fold)
        if train.fingerprint:
            others = replace(others, fingerprint=f"{train.fingerprint}/without {fold} of {n_folds}, {seed}")
        yield np.flatnonzero(fold_of == fold), others
