"""Leakage reports: invariants that hold, invariants that are violated, and the counts."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.leakage import OLDER_THAN_HISTORY, OLDER_THAN_TRAINING, Leakage
from recsys.data.split import TEST, TRAIN, VALID, WITHHELD, Split
from recsys.data.splitters import (
    ColdItems,
    ColdUsers,
    Folds,
    Given,
    GlobalTime,
    LeaveLastOut,
    LeaveOneOut,
    NewUsers,
    Ratio,
    Splitter,
)

ALL = [
    LeaveLastOut(),
    LeaveOneOut(),
    GlobalTime(),
    GlobalTime(target="successive"),
    Ratio(),
    Folds(),
    ColdItems(),
    ColdUsers(),
    NewUsers(),
    Given(),
]


@pytest.fixture
def parted(timed: Dataset) -> Dataset:
    """The timed data with the source's own parts `train` and `test`."""
    return replace(timed, parts=(np.arange(len(timed)) % 4 == 3).astype(np.int8), part_names=("train", "test"))


def relabelled(split: Split, old: int, new: int) -> Split:
    """Give the first rating of one label another label; the fingerprint stays the same."""
    labels = split.labels.copy()
    labels[np.flatnonzero(labels == old)[0]] = new
    return Split(split.dataset, split.name, split.fingerprint, labels, split.invariants)


@pytest.mark.parametrize("splitter", ALL, ids=lambda splitter: splitter.name)
def test_every_splitter_satisfies_its_invariants(splitter, parted):
    leakage = Leakage(splitter(parted))
    assert leakage.split.invariants
    assert leakage.violated == ()
    sentences = leakage.sentences()
    assert sum(sentence.startswith("Holds: ") for sentence in sentences) == len(leakage.split.invariants)
    assert leakage.frame().loc["pairs of user and film also in train", "test"] == 0


@pytest.mark.parametrize(
    ("splitter", "old", "new", "violated"),
    [
        (LeaveLastOut(), TRAIN, TEST, "one held-out rating"),
        (LeaveLastOut(), TRAIN, VALID, "older than a rating in the history of its user"),
        (LeaveOneOut(), TRAIN, VALID, "one held-out rating"),
        (GlobalTime(), TEST, TRAIN, "All training ratings are older"),
        (Ratio(), TRAIN, WITHHELD, "Every rating is a training, validation or test"),
        (Folds(), TEST, WITHHELD, "Every rating is a training, validation or test"),
        (ColdItems(), TEST, TRAIN, "No held-out item has a rating"),
        (ColdUsers(), TEST, TRAIN, "No held-out user has training ratings"),
        (NewUsers(), WITHHELD, TEST, "equally many ratings that are not ranked"),
        (Given(), TEST, TRAIN, "exactly those of the source's own"),
        (Given(), TRAIN, TEST, "exactly those of the source's own"),
    ],
)
def test_violated_invariants_are_reported(splitter: Splitter, old, new, violated, parted):
    leakage = Leakage(relabelled(splitter(parted), old, new))
    assert any(violated in sentence for sentence in leakage.violated)
    assert any(sentence.startswith("Violated: ") and violated in sentence for sentence in leakage.sentences())


def test_test_users_without_training_ratings_are_reported(untimed):
    split = Ratio()(untimed)
    labels = np.where((untimed.users == split.test.users[0]) & (split.labels == TRAIN), TEST, split.labels)
    leakage = Leakage(replace(split, labels=labels.astype(np.uint8)))
    assert leakage.violated == ("Every validation and every test user has training ratings.",)


def test_pairs_in_both_training_and_test_are_reported():
    data = Dataset.from_arrays([0, 0, 0, 0], [0, 1, 2, 0], times=[0, 1, 2, 3])
    leakage = Leakage(LeaveLastOut()(data))
    assert leakage.violated == ("Training, validation and test have no pair of user and item in common.",)
    assert leakage.frame().loc["pairs of user and film also in train", "test"] == 1


def test_counts_and_shares_are_those_of_each_part():
    #                  user 0: a rating at 10 .. 13    user 1: all ratings before those of user 0
    users, items, times = [0, 0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 0, 4, 2], [10, 11, 12, 13, 1, 2, 3]
    frame = Leakage(LeaveLastOut()(Dataset.from_arrays(users, items, times=times))).frame()
    assert frame["train"].dropna().to_dict() == {"ratings": 3, "users": 2, "films": 2}
    valid, test = frame["valid"], frame["test"]
    assert valid[["ratings", "users also in train", "films also in train"]].tolist() == [2, 2, 0]
    assert test[["films", "films also in train", "films also in valid"]].tolist() == [2, 0, 1]
    assert test[[OLDER_THAN_TRAINING, OLDER_THAN_HISTORY]].tolist() == [0.5, 0]
    random = Leakage(relabelled(LeaveLastOut()(Dataset.from_arrays(users, items, times=times)), TRAIN, TEST))
    assert random.frame().loc[OLDER_THAN_HISTORY, "test"] == pytest.approx(1 / 3)


def test_items_with_one_title_and_year_are_namesakes(timed):
    split = ColdItems()(timed)
    hidden = split.test.candidates[0]
    titles = timed.item_frame["title"].to_numpy().copy()
    titles[hidden] = titles[np.flatnonzero(split.train.item_counts)[0]]
    doubled = replace(split, dataset=replace(timed, item_frame=timed.item_frame.assign(title=titles)))
    name = "other films with a namesake in train"
    assert Leakage(split).frame().loc[name, "test"] == 0
    assert Leakage(doubled).frame().loc[name, "test"] == 1


def test_items_without_titles_are_not_namesakes(timed):
    untitled = replace(timed, item_frame=timed.item_frame[["movie_id"]])
    assert Leakage(ColdItems()(untitled)).frame().loc["other films with a namesake in train", "test"] == 0


def test_reports_on_data_without_times_say_so(untimed):
    leakage = Leakage(LeaveOneOut()(untimed))
    assert OLDER_THAN_TRAINING not in leakage.frame().index
    assert leakage.sentences()[-1].startswith("The source has no times")
