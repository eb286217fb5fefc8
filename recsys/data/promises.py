"""What splits promise: a sentence each for a reader, with a check that holds a split to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.data.dataset import Dataset, Holdout

if TYPE_CHECKING:
    from recsys.data.split import Split


@dataclass(frozen=True)
class Promise:
    """A sentence, and whether a split keeps it."""

    sentence: str
    kept: Callable[[Split], bool]


def n_older(ratings: Dataset, known: Dataset) -> int:
    """How many ratings are older than the newest that is known of the same user; 0 without times."""
    if ratings.times is None or known.times is None:
        return 0
    newest = np.full(known.n_users, np.iinfo(np.int64).min)
    np.maximum.at(newest, known.users, known.times)
    return int((ratings.times < newest[ratings.users]).sum())


def _stages(split: Split) -> Iterator[tuple[Holdout, Dataset]]:
    """What validation and test measure, each with what was learned from before."""
    yield split.valid, split.train
    yield split.test, split.refit_train


def _pairs_are_apart(split: Split) -> bool:
    parts = [split.train, split.valid.ratings, split.test.ratings]
    pairs = np.concatenate([part.pairs for part in parts])
    return len(np.unique(pairs)) == len(pairs)


def _one_to_find(split: Split) -> bool:
    return all((holdout.ratings.user_counts[holdout.users] == 1).all() for holdout, _ in _stages(split))


def _in_order_by_user(split: Split) -> bool:
    return all(n_older(holdout.ratings, holdout.known) == 0 for holdout, _ in _stages(split))


def _in_order(split: Split) -> bool:
    train, valid, test = split.train.times, split.valid.ratings.times, split.test.ratings.times
    if train is None or valid is None or test is None:
        return False
    return bool(train.max() < valid.min() and valid.max() < test.min())


def _all_are_trained_on(split: Split) -> bool:
    return all((split.train.user_counts[holdout.users] > 0).all() for holdout, _ in _stages(split))


def _nothing_is_left_out(split: Split) -> bool:
    return len(split.train) + len(split.valid.ratings) + len(split.test.ratings) == len(split.dataset)


def _films_are_unrated(split: Split) -> bool:
    return all((holdout.known.item_counts[holdout.ratings.items] == 0).all() for holdout, _ in _stages(split))


def _users_are_unlearned(split: Split) -> bool:
    return all(
        (learned.user_counts[holdout.users] == 0).all() and (holdout.known.user_counts[holdout.users] > 0).all()
        for holdout, learned in _stages(split)
    )


def _as_much_is_known(split: Split) -> bool:
    return all(
        len(np.unique(rated.user_counts[holdout.users])) == 1
        for holdout, _ in _stages(split)
        for rated in (holdout.known, holdout.unranked)
    )


def _test_is_the_sources(split: Split) -> bool:
    own, others = split.test.ratings.parts, split.refit_train.parts
    tested = split.dataset.part_names.index("test")
    return own is not None and others is not None and bool((own == tested).all() and (others != tested).all())


PAIRS_ARE_APART = Promise("No user and film meet in more than one of training, validation and test.", _pairs_are_apart)
ONE_TO_FIND = Promise("Whoever is tested has one rating to find, and one at validation.", _one_to_find)
IN_ORDER_BY_USER = Promise(
    "Where there are times, no rating to find is older than one that is known of the same user.", _in_order_by_user
)
IN_ORDER = Promise("All training ratings are older than validation, and all of validation than the test.", _in_order)
ALL_ARE_TRAINED_ON = Promise("Whoever is tested has ratings to train on.", _all_are_trained_on)
NOTHING_IS_LEFT_OUT = Promise("Every rating is trained on, validated on or tested on.", _nothing_is_left_out)
FILMS_ARE_UNRATED = Promise("No film to find has a rating that is known.", _films_are_unrated)
USERS_ARE_UNLEARNED = Promise(
    "Nothing is learned from users who are tested; a part of their ratings is known.", _users_are_unlearned
)
AS_MUCH_IS_KNOWN = Promise("As many ratings are known of each user, and as many not to be found.", _as_much_is_known)
TEST_IS_THE_SOURCES = Promise("The test ratings are all of the source's own, and no others.", _test_is_the_sources)
