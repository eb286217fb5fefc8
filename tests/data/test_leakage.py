from dataclasses import replace

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.leakage import ON_OWN_FUTURE, ON_THE_FUTURE, Leakage
from recsys.data.split import (
    TEST,
    TRAIN,
    VALID,
    WITHHELD,
    ColdItems,
    ColdUsers,
    Folds,
    Given,
    GlobalTime,
    LeaveLastOut,
    LeaveOneOut,
    NewUsers,
    Ratio,
    Split,
    Splitter,
)

ALL = [LeaveLastOut(), LeaveOneOut(), GlobalTime(), Ratio(), Folds(), ColdItems(), ColdUsers(), NewUsers(), Given()]


@pytest.fixture
def parted(timed: Dataset) -> Dataset:
    """With training and test ratings of the source's own."""
    return replace(timed, parts=(np.arange(len(timed)) % 4 == 3).astype(np.int8), part_names=("train", "test"))


def relabelled(split: Split, old: int, new: int) -> Split:
    """The split with the first rating of one label under another; its fingerprint is left as it was."""
    labels = split.labels.copy()
    labels[np.flatnonzero(labels == old)[0]] = new
    return Split(split.dataset, split.name, split.fingerprint, labels, split.promises)


@pytest.mark.parametrize("splitter", ALL, ids=lambda splitter: splitter.name)
def test_every_split_keeps_its_promises(splitter, parted):
    leakage = Leakage(splitter(parted))
    assert leakage.split.promises
    assert leakage.broken == ()
    told = leakage.sentences()
    assert sum(sentence.startswith("Kept: ") for sentence in told) == len(leakage.split.promises)
    assert leakage.frame().loc["pairs of user and film also in train", "test"] == 0


@pytest.mark.parametrize(
    ("splitter", "old", "new", "broken"),
    [
        (LeaveLastOut(), TRAIN, TEST, "one rating to find"),
        (LeaveLastOut(), TRAIN, VALID, "older than one that is known of the same user"),
        (LeaveOneOut(), TRAIN, VALID, "one rating to find"),
        (GlobalTime(), TEST, TRAIN, "All training ratings are older"),
        (Ratio(), TRAIN, WITHHELD, "Every rating is trained on"),
        (Folds(), TEST, WITHHELD, "Every rating is trained on"),
        (ColdItems(), TEST, TRAIN, "No film to find has a rating"),
        (ColdUsers(), TEST, TRAIN, "Nothing is learned from users who are tested"),
        (NewUsers(), WITHHELD, TEST, "As many ratings are known of each user"),
        (Given(), TEST, TRAIN, "all of the source's own"),
        (Given(), TRAIN, TEST, "all of the source's own"),
    ],
)
def test_a_broken_promise_is_told(splitter: Splitter, old, new, broken, parted):
    leakage = Leakage(relabelled(splitter(parted), old, new))
    assert any(broken in sentence for sentence in leakage.broken)
    assert any(sentence.startswith("Broken: ") and broken in sentence for sentence in leakage.sentences())


def test_whoever_is_tested_without_training_is_told(untimed):
    split = Ratio()(untimed)
    labels = np.where((untimed.users == split.test.users[0]) & (split.labels == TRAIN), TEST, split.labels)
    leakage = Leakage(replace(split, labels=labels.astype(np.uint8)))
    assert leakage.broken == ("Whoever is tested has ratings to train on.",)


def test_a_pair_that_is_trained_on_and_tested_is_told():
    data = Dataset.from_arrays([0, 0, 0, 0], [0, 1, 2, 0], times=[0, 1, 2, 3])
    leakage = Leakage(LeaveLastOut()(data))
    assert leakage.broken == ("No user and film meet in more than one of training, validation and test.",)
    assert leakage.frame().loc["pairs of user and film also in train", "test"] == 1


def test_shares_are_counted_from_what_each_part_holds():
    #                  user 0: trained on, validated, tested   user 1, who ends before user 0 begins to be tested
    users, items, times = [0, 0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 0, 4, 2], [10, 11, 12, 13, 1, 2, 3]
    frame = Leakage(LeaveLastOut()(Dataset.from_arrays(users, items, times=times))).frame()
    assert frame["train"].dropna().to_dict() == {"ratings": 3, "users": 2, "films": 2}
    valid, test = frame["valid"], frame["test"]
    assert valid[["ratings", "users also in train", "films also in train"]].tolist() == [2, 2, 0]
    assert test[["films", "films also in train", "films also in valid"]].tolist() == [2, 0, 1]
    assert test[[ON_THE_FUTURE, ON_OWN_FUTURE]].tolist() == [0.5, 0]
    random = Leakage(relabelled(LeaveLastOut()(Dataset.from_arrays(users, items, times=times)), TRAIN, TEST))
    assert random.frame().loc[ON_OWN_FUTURE, "test"] == pytest.approx(1 / 3)


def test_a_film_under_two_ids_is_a_namesake(timed):
    split = ColdItems()(timed)
    hidden = split.test.candidates[0]
    titles = timed.item_frame["title"].to_numpy().copy()
    titles[hidden] = titles[np.flatnonzero(split.train.item_counts)[0]]
    doubled = replace(split, dataset=replace(timed, item_frame=timed.item_frame.assign(title=titles)))
    name = "other films with a namesake in train"
    assert Leakage(split).frame().loc[name, "test"] == 0
    assert Leakage(doubled).frame().loc[name, "test"] == 1


def test_films_without_titles_are_no_namesakes(timed):
    untitled = replace(timed, item_frame=timed.item_frame[["movie_id"]])
    assert Leakage(ColdItems()(untitled)).frame().loc["other films with a namesake in train", "test"] == 0


def test_what_no_times_can_tell_is_said(untimed):
    leakage = Leakage(LeaveOneOut()(untimed))
    assert ON_THE_FUTURE not in leakage.frame().index
    assert leakage.sentences()[-1].startswith("The source has no times")
