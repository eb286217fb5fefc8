"""Splitters: which ratings each of them holds out, and which settings and data it refuses."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from recsys.data.dataset import Dataset, Holdout, StepHoldout
from recsys.data.query import Query
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
)
from recsys.data.targets import AFTER_A_CUT
from recsys.data.ties import share_of_tied_last_ratings, shuffle_ties, tied
from recsys.errors import UserError

ALL = [LeaveLastOut(), LeaveOneOut(), GlobalTime(), Ratio(), Folds(), ColdItems(), ColdUsers(), NewUsers()]
RANDOM = [LeaveOneOut(), Ratio(), Folds(), ColdItems(), ColdUsers(), NewUsers()]

BY_TIME = [LeaveLastOut(), GlobalTime(), GlobalTime(target="successive"), ColdUsers(), NewUsers()]


@pytest.fixture
def running() -> Dataset:
    """Three users with ratings before and after second 60; item 7 is rated after it alone, and user 2 too."""
    return Dataset.from_arrays(
        [0, 0, 0, 0, 1, 1, 2, 2], [5, 0, 1, 2, 6, 7, 3, 4], times=[10, 50, 60, 70, 40, 90, 61, 62]
    )


def pairs(dataset: Dataset) -> set[tuple[int, int]]:
    return set(zip(dataset.users.tolist(), dataset.items.tolist(), strict=True))


def with_parts(dataset: Dataset, names: tuple[str, ...], codes: np.ndarray) -> Dataset:
    return replace(dataset, parts=codes.astype(np.int8), part_names=names)


@pytest.mark.parametrize("splitter", ALL, ids=lambda splitter: splitter.name)
class TestEverySplit:
    def test_held_out_ratings_are_in_neither_training_nor_history(self, splitter, timed):
        split = splitter(timed)
        train, valid, test = pairs(split.train), pairs(split.valid.ratings), pairs(split.test.ratings)
        assert train
        assert not train & valid
        assert not valid & pairs(split.valid.known)
        assert not test & (
            pairs(split.test.known) | pairs(split.refit_train) | pairs(split.valid.known) | valid | train
        )

    def test_histories_at_test_hold_all_ratings_before_it_including_validation(self, splitter, timed):
        split = splitter(timed)
        withheld = pairs(timed.select(split.labels == WITHHELD))
        assert pairs(split.test.known) == pairs(timed) - pairs(split.test.ratings) - withheld
        assert pairs(split.test.unranked) == pairs(split.test.known) | withheld
        assert pairs(split.valid.known) <= pairs(split.refit_train) <= pairs(split.test.known)
        assert pairs(split.refit_train) >= pairs(split.train) | pairs(split.valid.ratings)

    def test_is_deterministic(self, splitter, timed):
        once, again = splitter(timed), splitter(timed)
        np.testing.assert_array_equal(once.labels, again.labels)
        assert once.fingerprint == again.fingerprint

    def test_fingerprint_depends_on_the_data(self, splitter, timed):
        assert splitter(timed).fingerprint != splitter(replace(timed, fingerprint="other")).fingerprint


@pytest.mark.parametrize("splitter", RANDOM, ids=lambda splitter: splitter.name)
class TestEveryRandomSplit:
    def test_does_not_depend_on_the_order_of_source_rows(self, splitter, untimed):
        shuffled = np.random.default_rng(1).permutation(len(untimed))
        columns = (untimed.users[shuffled], untimed.items[shuffled], untimed.ratings[shuffled])
        other = Dataset.from_arrays(*columns, n_users=60, n_items=40)
        assert (other.items != untimed.items).any()
        for part in ("train", "refit_train"):
            assert pairs(getattr(splitter(untimed), part)) == pairs(getattr(splitter(other), part))

    def test_depends_on_its_seed(self, splitter, timed):
        one, other = splitter(timed), replace(splitter, seed=1)(timed)
        assert pairs(one.test.ratings) != pairs(other.test.ratings)
        assert one.fingerprint != other.fingerprint


def latest_by_user(dataset: Dataset) -> np.ndarray:
    latest = np.full(dataset.n_users, -1)
    np.maximum.at(latest, dataset.users, dataset.times)
    return latest


def earliest_held_out(holdout: Holdout) -> np.ndarray:
    earliest = np.full(holdout.ratings.n_users, np.iinfo(np.int64).max)
    np.minimum.at(earliest, holdout.ratings.users, holdout.ratings.times)
    return earliest


@pytest.mark.parametrize(
    "splitter", [LeaveLastOut(), GlobalTime(), ColdUsers(), NewUsers()], ids=lambda splitter: splitter.name
)
def test_later_ratings_of_a_user_never_enter_train(splitter, timed):
    split = splitter(timed)
    assert (latest_by_user(split.train) <= earliest_held_out(split.valid)).all()
    assert (latest_by_user(split.valid.known) <= earliest_held_out(split.valid)).all()
    assert (latest_by_user(split.refit_train) <= earliest_held_out(split.test)).all()
    assert (latest_by_user(split.test.known) <= earliest_held_out(split.test)).all()


def test_among_equal_times_the_last_source_row_is_the_latest():
    #                            user 0, all at one time   user 1, the latest stands first
    data = Dataset.from_arrays([0, 0, 0, 0, 1, 1, 1], [3, 1, 2, 0, 4, 2, 3], times=[7, 7, 7, 7, 9, 5, 8])
    split = LeaveLastOut()(data)
    assert pairs(split.test.ratings) == {(0, 0), (1, 4)}
    assert pairs(split.valid.ratings) == {(0, 2), (1, 3)}
    assert pairs(split.train) == {(0, 3), (0, 1), (1, 2)}


def test_leave_one_out_holds_out_one_rating_per_user_for_test_and_validation(untimed):
    split = LeaveOneOut()(untimed)
    assert (split.test.ratings.user_counts == 1).all()
    assert (split.valid.ratings.user_counts == 1).all()


def test_leave_one_out_draws_every_rating_equally_often():
    data = Dataset.from_arrays(np.repeat(np.arange(4000), 4), np.tile(np.arange(4), 4000))
    tested = LeaveOneOut()(data).test.ratings.item_counts
    assert (abs(tested - 1000) < 5 * np.sqrt(4000 * 0.25 * 0.75)).all()


@pytest.mark.parametrize("splitter", [LeaveLastOut, LeaveOneOut])
def test_users_with_too_few_ratings_are_refused_with_both_remedies(splitter):
    data = Dataset.from_arrays([0, 0, 0, 1, 1, 3, 3, 3], [0, 1, 2, 0, 1, 0, 1, 2], times=range(8), n_users=4)
    with pytest.raises(
        UserError, match=r"\(got 1 user of arrays with fewer, such as 1 with 2\).*data\.cleaning\..*train_only_below=3"
    ):
        splitter()(data)
    split = splitter(train_only_below=3)(data)
    assert split.train.user_counts.tolist() == [1, 2, 0, 1]


def test_splits_in_time_refuse_data_without_times(untimed):
    for splitter in (LeaveLastOut(), GlobalTime()):
        with pytest.raises(UserError, match=f"split={splitter.name} needs ratings with times, .* leave_one_out, ratio"):
            splitter(untimed)


def test_equal_times_are_on_one_side_of_a_cut(timed):
    split = GlobalTime(0.5, 0.75)(timed)
    train, valid, test = split.train.times, split.valid.ratings.times, split.test.ratings.times
    assert train.max() < valid.min()
    assert valid.max() < test.min()
    assert abs(len(test) / len(timed) - 0.25) < 0.05


def test_global_time_cuts_at_dates():
    data = Dataset.from_arrays([0, 0, 1, 1], [0, 1, 0, 1], times=[0, 86_399, 86_400, 172_800])
    split = GlobalTime("1970-01-02", "1970-01-03")(data)
    assert split.labels.tolist() == [TRAIN, TRAIN, VALID, TEST]
    with pytest.raises(UserError, match=r"valid_from must be an ISO date, such as .* \(got 'soon'\)"):
        GlobalTime("soon")(data)
    with pytest.raises(UserError, match="valid_from must be earlier than test_from"):
        GlobalTime("1970-01-03", "1970-01-02")(data)


def sequences(query: Query) -> list[list[int]]:
    """The items of each history, in order."""
    return [row.tolist() for row in np.split(query.history.items, query.history.indptr[1:-1])]


def test_targets_after_a_cut_are_the_first_the_last_or_each_rating_of_a_user(running):
    chosen = {"all": [1, 2, 7, 3, 4], "first": [1, 7, 3], "last": [2, 7, 4], "successive": [1, 2, 7, 3, 4]}
    for target, items in chosen.items():
        split = GlobalTime(0.3, "1970-01-01T00:01:00+00:00", target)(running)
        assert split.test.ratings.items.tolist() == items
        assert len(split.refit_train) == len(running) - 5  # the model is the same for every target


def test_histories_continue_past_the_cut_for_the_last_and_for_successive_ratings(running):
    histories = {
        "all": [[5, 0], [6], []],
        "first": [[5, 0], [6], []],
        "last": [[5, 0, 1], [6], [3]],
        "successive": [[5, 0], [5, 0, 1], [6], [], [3]],
    }
    for target, expected in histories.items():
        test = GlobalTime(0.3, "1970-01-01T00:01:00+00:00", target)(running).test
        rows = np.arange(test.n_queries)
        assert sequences(test.query(rows)) == expected, target
        assert [len(row) for row in expected] == test.history_lengths.tolist()
        np.testing.assert_array_equal(test.query(rows).users, test.query_users)
        np.testing.assert_array_equal(test.seen(rows).items, test.query(rows).history.items)
        np.testing.assert_array_equal(test.relevant(rows).items, test.ratings.items)


def test_every_step_is_predicted_from_all_ratings_before_it_as_in_a_slow_loop(timed):
    split = GlobalTime(target="successive")(timed)
    for holdout, label in ((split.valid, VALID), (split.test, TEST)):
        assert isinstance(holdout, StepHoldout)
        steps = np.flatnonzero(split.labels == label)
        expected = [timed.items[timed.indptr[timed.users[step]] : step].tolist() for step in steps]
        assert sequences(holdout.query(np.arange(len(steps)))) == expected
        assert holdout.ratings.items.tolist() == timed.items[steps].tolist()
        assert (holdout.known.times < holdout.ratings.times.min()).all()


def test_each_target_has_its_own_fingerprint(timed):
    assert len({GlobalTime(target=target)(timed).fingerprint for target in AFTER_A_CUT}) == len(AFTER_A_CUT)


def test_unknown_targets_and_orders_of_ties_are_refused(timed):
    with pytest.raises(UserError, match=r"target must be one of all, first, last, successive \(got 'next'\)"):
        GlobalTime(target="next")(timed)
    with pytest.raises(UserError, match=r"ties must be one of last_row, shuffled \(got 'random'\)"):
        LeaveLastOut(ties="random")(timed)


def test_shuffled_ties_change_only_the_order_within_a_second():
    dataset = Dataset.from_arrays([0] * 9 + [1] * 3, [*range(9), 0, 1, 2], times=[1] * 4 + [2] * 4 + [3, 1, 2, 3])
    orders = {tuple(shuffle_ties(dataset, seed).items) for seed in range(30)}
    assert len(orders) > 20
    for order in orders:
        assert sorted(order[:4]) == [0, 1, 2, 3]
        assert sorted(order[4:8]) == [4, 5, 6, 7]
        assert order[8:] == (8, 0, 1, 2)


@pytest.mark.parametrize("splitter", BY_TIME, ids=lambda splitter: splitter.name)
def test_shuffled_ties_change_the_histories_of_a_split_and_its_fingerprint(splitter, timed):
    usual, *shuffled = splitter(timed), *(replace(splitter, ties="shuffled", ties_seed=s)(timed) for s in (0, 0, 1))
    first, again, other = shuffled
    assert len({usual.fingerprint, first.fingerprint, other.fingerprint}) == 3
    assert first.fingerprint == again.fingerprint
    np.testing.assert_array_equal(first.dataset.items, again.dataset.items)
    assert not np.array_equal(first.dataset.items, usual.dataset.items)
    np.testing.assert_array_equal(first.dataset.times, usual.dataset.times)
    assert pairs(first.dataset) == pairs(usual.dataset)


def test_shares_of_tied_ratings_worked_by_hand():
    dataset = Dataset.from_arrays([0, 0, 0, 1, 1, 2], [0, 1, 2, 0, 1, 0], times=[1, 5, 5, 5, 6, 6], n_users=4)
    assert tied(dataset).tolist() == [False, False, True, False, False, False]
    assert share_of_tied_last_ratings(dataset) == pytest.approx(1 / 3)
    assert not tied(replace(dataset, times=None)).any()


@pytest.mark.parametrize(
    ("splitter", "fingerprint"),
    [
        (LeaveLastOut(), "c216cf15d0732270"),
        (GlobalTime(), "a01ee3ed0f29dc54"),
        (ColdUsers(), "a4a12e2e230d429e"),
        (NewUsers(n_known=2, found_after=4), "54696283b6319b1f"),
        (Ratio(), "557b115436463131"),
        (ColdItems(), "38a848283bb829d2"),
        (LeaveOneOut(), "e2ac0f7782614d16"),
    ],
)
def test_settings_that_were_added_later_leave_fingerprints_as_they_are(splitter, fingerprint):
    rng = np.random.default_rng(0)
    drawn = rng.permutation(12 * 20)[:120]
    ratings, times = rng.integers(1, 6, 120), rng.integers(10**9, 10**9 + 40, 120)
    dataset = Dataset.from_arrays(
        drawn // 20, drawn % 20, ratings, times, n_users=12, n_items=20, fingerprint="made-up"
    )
    assert splitter(dataset).fingerprint == fingerprint


def test_ratio_holds_out_shares_of_each_user_rounded_down():
    data = Dataset.from_arrays([0] * 10 + [1] * 4 + [2], [*range(10), *range(4), 0])
    split = Ratio(valid=0.3, test=0.5)(data)
    assert split.test.ratings.user_counts.tolist() == [5, 2, 0]
    assert split.valid.ratings.user_counts.tolist() == [3, 1, 0]
    assert split.train.user_counts.tolist() == [2, 1, 1]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.0, 0.2), (-0.1, 0.2)])
def test_impossible_shares_are_refused(shares, untimed):
    for splitter in (Ratio(*shares), ColdItems(*shares), ColdUsers(*shares)):
        with pytest.raises(UserError, match="must be above 0 and sum to less than 1"):
            splitter(untimed)


def held_out_by_fold(data: Dataset, n_folds: int) -> list[set[tuple[int, int]]]:
    return [pairs(Folds(fold=fold)(data).test.ratings) for fold in range(1, n_folds + 1)]


def test_random_folds_partition_the_ratings_evenly(untimed):
    tested = held_out_by_fold(untimed, 5)
    assert set.union(*tested) == pairs(untimed)
    assert sum(map(len, tested)) == len(untimed)
    assert max(map(len, tested)) - min(map(len, tested)) <= 1


def test_folds_of_the_source_come_before_random_ones(timed):
    codes = np.arange(len(timed)) % 3
    data = with_parts(timed, ("u1", "u2", "u3"), codes)
    assert held_out_by_fold(data, 3) == [pairs(data.select(codes == code)) for code in range(3)]
    with pytest.raises(UserError, match=r"fold must be from 1 to 3 for arrays \(got 4\)"):
        Folds(fold=4)(data)
    with pytest.raises(UserError, match=r"n_folds must be above zero \(got 0\)"):
        Folds(n_folds=0)(timed)


def test_cold_items_have_no_ratings_in_histories(timed):
    split = ColdItems(valid=0.1, test=0.2)(timed)
    assert len(split.valid.candidates) == 4
    assert len(split.test.candidates) == 8
    assert (split.valid.known.item_counts[split.valid.candidates] == 0).all()
    assert (split.test.known.item_counts[split.test.candidates] == 0).all()
    assert set(split.test.ratings.items) == set(split.test.candidates)
    assert not set(split.test.candidates) & set(split.valid.candidates)


def test_cold_items_one_by_one_are_predicted_from_the_training_ratings_before_each(timed):
    split = ColdItems(valid=0.1, test=0.2, target="successive")(timed)
    for holdout, label in ((split.valid, VALID), (split.test, TEST)):
        targets = np.flatnonzero(split.labels == label)
        expected = [
            [timed.items[p] for p in range(timed.indptr[timed.users[target]], target) if split.labels[p] < label]
            for target in targets
        ]
        rows = np.arange(holdout.n_queries)
        assert sequences(holdout.query(rows)) == expected
        assert holdout.history_lengths.tolist() == [len(row) for row in expected]
        np.testing.assert_array_equal(holdout.relevant(rows).items, timed.items[targets])
    together, last = (ColdItems(valid=0.1, test=0.2, target=target)(timed) for target in ("all", "last"))
    np.testing.assert_array_equal(split.labels, together.labels)
    assert len({split.fingerprint, together.fingerprint, last.fingerprint}) == 3
    for each in (split, together, last):
        assert all(invariant.holds(each) for invariant in each.invariants)
    final = np.flatnonzero(np.diff(split.test.query_users, append=-1))
    assert sequences(last.test.query(np.arange(len(final)))) == sequences(split.test.query(final))


def test_cold_items_one_by_one_need_times_and_a_known_target(untimed, timed):
    with pytest.raises(UserError, match=r"split=cold_items split.target=successive needs ratings with times"):
        ColdItems(target="successive")(untimed)
    with pytest.raises(UserError, match=r"target must be one of all, last, successive \(got 'first'\)"):
        ColdItems(target="first")(timed)


@pytest.mark.parametrize("with_times", [True, False])
def test_cold_users_have_a_history_and_no_training_ratings(with_times, timed, untimed):
    data = timed if with_times else untimed
    split = ColdUsers(valid=0.1, test=0.2, known=0.5)(data)
    assert len(split.valid.users) == 6
    assert len(split.test.users) == 12
    for holdout, trained_on in ((split.valid, split.train), (split.test, split.refit_train)):
        counts, known = data.user_counts[holdout.users], holdout.known.user_counts[holdout.users]
        assert (trained_on.user_counts[holdout.users] == 0).all()
        assert (known == counts // 2).all()


@pytest.mark.parametrize("with_times", [True, False])
def test_new_users_have_histories_of_the_given_length(with_times, timed, untimed):
    data = timed if with_times else untimed
    split = NewUsers(valid=0.1, test=0.2, n_known=3, found_after=6)(data)
    n_eligible = (data.user_counts > 6).sum()
    assert (len(split.valid.users), len(split.test.users)) == (n_eligible // 10, n_eligible // 5)
    for holdout, trained_on in ((split.valid, split.train), (split.test, split.refit_train)):
        assert (trained_on.user_counts[holdout.users] == 0).all()
        assert (holdout.known.user_counts[holdout.users] == 3).all()
        assert (holdout.unranked.user_counts[holdout.users] == 6).all()
        assert (holdout.ratings.user_counts == np.where(holdout.ratings.user_counts, data.user_counts - 6, 0)).all()


@pytest.mark.parametrize("with_times", [True, False])
def test_new_users_rank_the_same_items_for_every_length_of_history(with_times, timed, untimed):
    data = timed if with_times else untimed
    holdouts = [NewUsers(valid=0.2, test=0.2, n_known=n, found_after=6)(data).test for n in (1, 3, 6)]
    for fewer, more in pairwise(holdouts):
        assert pairs(fewer.ratings) == pairs(more.ratings)
        assert pairs(fewer.known) < pairs(more.known)
        users = fewer.users
        np.testing.assert_array_equal(fewer.unranked.matrix()[users].toarray(), more.unranked.matrix()[users].toarray())
    assert holdouts[-1].rated is None


def test_new_users_can_have_no_history(timed):
    split = NewUsers(n_known=0, found_after=6)(timed)
    for holdout, trained_on in ((split.valid, split.train), (split.test, split.refit_train)):
        assert not holdout.query(np.arange(holdout.n_queries)).history.lengths.any()
        assert not trained_on.user_counts[holdout.users].any()


def test_users_are_assigned_to_several_lengths_of_history_in_turn(timed):
    holdout = NewUsers(test=0.5, n_known=[1, 3, 6], found_after=6)(timed).test
    lengths, n_users = np.unique(holdout.history_lengths, return_counts=True)
    assert lengths.tolist() == [1, 3, 6]
    assert np.ptp(n_users) <= 1
    assert (holdout.unranked.user_counts[holdout.users] == 6).all()


@pytest.mark.parametrize("n_known", [-1, 11, [3, 11], []])
def test_new_users_refuse_an_impossible_length_of_history(n_known, timed):
    with pytest.raises(UserError, match=r"n_known must be from 0 to found_after=10 \(got "):
        NewUsers(n_known=n_known)(timed)


@pytest.mark.parametrize("splitter", [GlobalTime(), NewUsers()], ids=lambda splitter: splitter.name)
def test_a_query_is_at_the_time_of_the_first_held_out_rating(splitter, timed):
    holdout = splitter(timed).test
    rows = np.arange(holdout.n_queries)[::-2]
    times = [holdout.relevant(np.array([row])).times.min() for row in rows]
    np.testing.assert_array_equal(holdout.query(rows).times, times)


def test_a_query_of_a_single_rating_is_at_its_time(running):
    holdout = GlobalTime(valid_from=0.4, test_from=0.6, target="successive")(running).test
    np.testing.assert_array_equal(holdout.query(np.arange(holdout.n_queries)).times, holdout.ratings.times)


def test_the_refit_trains_on_cold_users_of_validation(timed):
    split = ColdUsers()(timed)
    assert (split.refit_train.user_counts[split.valid.users] == timed.user_counts[split.valid.users]).all()


def test_given_parts_become_the_parts_of_the_split(timed):
    codes = np.arange(len(timed)) % 3
    split = Given()(with_parts(timed, ("test", "train", "valid"), codes))
    assert pairs(split.test.ratings) == pairs(timed.select(codes == 0))
    assert pairs(split.train) == pairs(timed.select(codes == 1))
    assert pairs(split.valid.ratings) == pairs(timed.select(codes == 2))


def given_train_and_test(data: Dataset) -> Split:
    codes = np.zeros(len(data))
    codes[data.indptr[1:] - 1] = 1
    return Given()(with_parts(data, ("train", "test"), codes))


def test_given_without_validation_holds_out_one_training_rating_of_each_user(timed, untimed):
    last_two = LeaveLastOut()(timed)
    np.testing.assert_array_equal(given_train_and_test(timed).labels, last_two.labels)
    split = given_train_and_test(untimed)
    assert (split.valid.ratings.user_counts == 1).all()
    assert pairs(split.test.ratings) == pairs(last_two.test.ratings)


def test_given_refuses_ratings_without_a_part(timed):
    codes = np.arange(len(timed)) % 2
    codes[5] = -1
    with pytest.raises(
        UserError, match=r"Every rating must belong to a part for split=given \(got 1 rating of arrays without one\)"
    ):
        Given()(with_parts(timed, ("train", "test"), codes))


def test_given_refuses_data_without_train_and_test_parts(timed):
    with pytest.raises(UserError, match=r"named train, test and optionally valid .*\(got none\)"):
        Given()(timed)
    with pytest.raises(UserError, match=r"\(got u1, u2\)"):
        Given()(with_parts(timed, ("u1", "u2"), np.arange(len(timed)) % 2))


def test_splits_with_an_empty_part_are_refused():
    data = Dataset.from_arrays([0, 0, 1, 1], [0, 1, 0, 1])
    with pytest.raises(UserError, match=r"Ratio\(valid=0.1, test=0.2, seed=0\) leaves no rating of arrays to validate"):
        Ratio()(data)
