"""Invariants of splits: properties that a splitter guarantees, each with a sentence and a function that checks it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.split import Invariant, Split


def n_older(ratings: Dataset, known: Dataset) -> int:
    """Count the ratings that are older than their user's newest rating in `known`; 0 if there are no times."""
    if ratings.times is None or known.times is None:
        return 0
    newest = np.full(known.n_users, np.iinfo(np.int64).min)
    np.maximum.at(newest, known.users, known.times)
    return int((ratings.times < newest[ratings.users]).sum())


def _stages(split: Split) -> Iterator[tuple[Holdout, Dataset]]:
    """Yield the holdouts of validation and test, each with the training ratings of the model evaluated on it."""
    yield split.valid, split.train
    yield split.test, split.refit_train


def _pairs_are_disjoint(split: Split) -> bool:
    parts = [split.train, split.valid.ratings, split.test.ratings]
    pairs = np.concatenate([part.pairs for part in parts])
    return len(np.unique(pairs)) == len(pairs)


def _one_is_held_out(split: Split) -> bool:
    return all((holdout.ratings.user_counts[holdout.users] == 1).all() for holdout, _ in _stages(split))


def _histories_are_older(split: Split) -> bool:
    return all(n_older(holdout.ratings, holdout.known) == 0 for holdout, _ in _stages(split))


def _stages_are_in_order(split: Split) -> bool:
    train, valid, test = split.train.times, split.valid.ratings.times, split.test.ratings.times
    if train is None or valid is None or test is None:
        return False
    return bool(train.max() < valid.min() and valid.max() < test.min())


def _users_are_trained_on(split: Split) -> bool:
    return all((split.train.user_counts[holdout.users] > 0).all() for holdout, _ in _stages(split))


def _all_ratings_are_used(split: Split) -> bool:
    return len(split.train) + len(split.valid.ratings) + len(split.test.ratings) == len(split.dataset)


def _items_are_cold(split: Split) -> bool:
    return all((holdout.known.item_counts[holdout.ratings.items] == 0).all() for holdout, _ in _stages(split))


def _users_are_untrained(split: Split) -> bool:
    return all((train.user_counts[holdout.users] == 0).all() for holdout, train in _stages(split))


def _users_are_cold(split: Split) -> bool:
    return _users_are_untrained(split) and all(
        (holdout.known.user_counts[holdout.users] > 0).all() for holdout, _ in _stages(split)
    )


def _equally_many_are_unranked(split: Split) -> bool:
    return all(len(np.unique(holdout.unranked.user_counts[holdout.users])) == 1 for holdout, _ in _stages(split))


def _test_is_given(split: Split) -> bool:
    test, train = split.test.ratings.parts, split.refit_train.parts
    code = split.dataset.part_names.index("test")
    return test is not None and train is not None and bool((test == code).all() and (train != code).all())


PAIRS_ARE_DISJOINT = Invariant(
    "Training, validation and test have no pair of user and item in common.", _pairs_are_disjoint
)
ONE_IS_HELD_OUT = Invariant("Every validation and every test user has one held-out rating.", _one_is_held_out)
HISTORIES_ARE_OLDER = Invariant(
    "Where ratings have times, no held-out rating is older than a rating in the history of its user.",
    _histories_are_older,
)
STAGES_ARE_IN_ORDER = Invariant(
    "All training ratings are older than the validation ratings, and these are older than the test ratings.",
    _stages_are_in_order,
)
USERS_ARE_TRAINED_ON = Invariant("Every validation and every test user has training ratings.", _users_are_trained_on)
ALL_RATINGS_ARE_USED = Invariant("Every rating is a training, validation or test rating.", _all_ratings_are_used)
ITEMS_ARE_COLD = Invariant("No held-out item has a rating in any history.", _items_are_cold)
USERS_ARE_COLD = Invariant("No held-out user has training ratings, and every one has a history.", _users_are_cold)
USERS_ARE_UNTRAINED = Invariant("No held-out user has training ratings.", _users_are_untrained)
EQUALLY_MANY_ARE_UNRANKED = Invariant(
    "All held-out users have equally many ratings that are not ranked.", _equally_many_are_unranked
)
TEST_IS_GIVEN = Invariant("The test ratings are exactly those of the source's own test part.", _test_is_given)
