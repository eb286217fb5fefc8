"""Out-of-fold features: training ratings described by what was learned from the other folds of the ratings.

Wolpert, "Stacked Generalization", Neural Networks 1992. The features of a training rating are then about as inexact as
those of an unseen rating, or slightly more so, since one fold is missing and counts are slightly smaller.
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
    """Return a random fold for each rating, int64 (n_ratings,) from 0; sizes of folds differ by at most one."""
    return np.random.default_rng(seed).permutation(n_ratings) % n_folds


def out_of_fold_features(
    train: Dataset, n_folds: int, seed: int, describe: Callable[[Dataset, Pairs], pd.DataFrame]
) -> pd.DataFrame:
    """Compute the features of training ratings, fold by fold.

    Args:
        train: the ratings.
        n_folds: number of folds.
        seed: seed of the assignment to folds.
        describe: function that learns from ratings (those of the other folds), then returns the features of pairs
            (those of the fold), a row each. The histories of the pairs are the ratings that it learns from.

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
    """Yield the positions of each fold's ratings, int64 (m,), and the other folds, with a fingerprint of their own."""
    fold_of = assign_folds(len(train), n_folds, seed)
    for fold in range(n_folds):
        others = train.select(fold_of != fold)
        if train.fingerprint:
            others = replace(others, fingerprint=f"{train.fingerprint}/without {fold} of {n_folds}, {seed}")
        yield np.flatnonzero(fold_of == fold), others
