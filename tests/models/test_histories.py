from dataclasses import replace

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.blend import Blend
from recsys.models.ease import EASE
from recsys.models.histories import LONG
from recsys.models.popularity_context import DAMPING, DAY, group_factors, next_popularity, recent_popularity


def with_times(users: list[int], items: list[int], days: list[float]) -> Dataset:
    return Dataset.from_arrays(np.array(users), np.array(items), times=np.array(days) * DAY, fingerprint="times")


def query(*lengths: int) -> Query:
    return Query.of_histories(History.of_items([list(range(n)) for n in lengths]))


@pytest.fixture(scope="module")
def train() -> Dataset:
    rng = np.random.default_rng(0)
    cells = rng.choice(40 * 30, 1000, replace=False)
    return with_times((cells // 30).tolist(), (cells % 30).tolist(), rng.integers(0, 90, 1000).tolist())


def with_genders(train: Dataset, genders: list[str | None]) -> Dataset:
    return replace(train, user_frame=train.user_frame.assign(gender=genders))


@pytest.fixture(scope="module")
def of_genders(train: Dataset) -> Dataset:
    return with_genders(train, ["f", "m", "m", None] * 10)


def test_popularity_counts_what_follows_the_first_interactions():
    counts = next_popularity(with_times([0, 0, 0, 1, 1], [2, 0, 1, 0, 2], [1, 2, 3, 1, 2]), 4)
    spread = 3 * np.array([2, 1, 2]) / 5
    following = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(counts, [[2, 1, 2], *(following + spread)], rtol=1e-6)


def test_without_times_all_interactions_follow_the_first_ones(untimed: Dataset):
    np.testing.assert_array_equal(next_popularity(untimed, LONG), np.tile(untimed.item_counts, (LONG, 1)))


def test_recent_popularity_halves_the_weight_of_older_interactions_and_counts_no_later_ones():
    moments, counts = recent_popularity(with_times([0, 0, 1], [0, 1, 1], [0, 10, 20]), half_life=10.0)
    np.testing.assert_array_equal(moments, np.array([0, 10, 20]) * DAY)
    np.testing.assert_allclose(counts, [[1, 0], [1 / 2, 1], [1 / 4, 3 / 2]], rtol=1e-6)


def test_without_times_no_interaction_is_recent(untimed: Dataset):
    assert not recent_popularity(untimed, half_life=3.0)[1].any()


def test_a_group_factor_is_the_damped_share_of_its_users_over_that_of_all():
    train = with_genders(with_times([0, 1, 2, 2], [0, 0, 0, 1], [0, 1, 2, 3]), ["f", "f", "m"])
    groups, factors = group_factors(train, ["gender", "occupation"])
    share = DAMPING / 3  # of all users who rated item 1
    expected = [[1, 1], [1, share / (2 + DAMPING) * 3], [1, (1 + share) / (1 + DAMPING) * 3]]
    np.testing.assert_allclose(factors[:, :2], expected, rtol=1e-6)
    assert groups.tolist() == [[0, 1], [0, 1], [0, 2], [0, 0]]


def test_short_histories_move_towards_popularity_and_long_ones_do_not(train: Dataset):
    alone, model = EASE(5.0).fit(train), EASE(5.0, prior_strength=2.0).fit(train)
    asked = query(1, 10, 19, 20, 25)
    added = model.score(asked) - alone.score(asked)
    spread, counts = alone.score(asked).std(axis=1), next_popularity(train, LONG)
    for row, n in enumerate((1, 10, 19)):
        standardised = (counts[n] - counts[n].mean()) / counts[n].std()
        np.testing.assert_allclose(
            added[row], 2.0 * ((20 / n) ** 2 - 1) * spread[row] * standardised, rtol=1e-3, atol=1e-5
        )
    assert not added[3:].any()


def test_with_a_strong_prior_one_interaction_is_ranked_by_what_follows_it(train: Dataset):
    ranked = EASE(5.0, prior_strength=1e4).fit(train).score(query(1))[0].argsort()
    counts = next_popularity(train, LONG)[1]
    assert (np.diff(counts[ranked]) >= 0).all()


def test_with_a_half_life_recent_popularity_is_added_but_not_to_short_histories(train: Dataset):
    alone = EASE(5.0, prior_strength=1.0).fit(train)
    model = EASE(5.0, prior_strength=1.0, popularity_half_life=7.0).fit(train)
    asked = query(0, 1, 19, 25)
    added = model.score(asked) - alone.score(asked)
    recent = recent_popularity(train, 7.0)[1][-1]
    standardised = (recent - recent.mean()) / recent.std()
    for row in (0, 3):
        np.testing.assert_allclose(added[row], alone.score(asked)[row].std() * standardised, rtol=1e-3, atol=1e-4)
    assert not added[1:3].any()


def test_popularity_is_that_before_the_moment_of_the_query(train: Dataset):
    model = EASE(5.0, popularity_half_life=7.0).fit(train)
    moments, counts = recent_popularity(train, 7.0)
    moment = 20
    assert moments[moment - 1] < moments[moment] < moments[moment + 1]
    asked = [replace(query(0), times=np.array([time])) for time in (moments[moment], moments[moment + 1] - 1)]
    before, same = (model.score(each)[0] for each in asked)
    np.testing.assert_array_equal(before, same)
    shift = before - model.popularity
    assert np.corrcoef(shift, counts[moment])[0, 1] == pytest.approx(1)
    now = model.score(query(0))[0] - model.popularity
    assert np.corrcoef(now, counts[-1])[0, 1] == pytest.approx(1)


def test_without_times_a_half_life_changes_nothing(untimed: Dataset):
    asked = query(0, 3, 25)
    plain, model = EASE(5.0).fit(untimed), EASE(5.0, popularity_half_life=7.0).fit(untimed)
    np.testing.assert_array_equal(model.score(asked), plain.score(asked))


def test_popularity_differs_by_attributes_of_users(of_genders: Dataset):
    model = EASE(5.0, popularity_by=["gender"]).fit(of_genders)
    empty = History.of_items([[]] * 4)
    scores = model.score(Query(np.array([0, 1, 3, -1]), empty))
    factors = group_factors(of_genders, ["gender"])[1]
    np.testing.assert_allclose(scores[:2], model.popularity * factors[[1, 2]], rtol=1e-5)
    np.testing.assert_array_equal(scores[2:], np.tile(model.popularity, (2, 1)))


def test_a_prior_by_attributes_decides_where_a_model_scores_nothing(of_genders: Dataset):
    model = EASE(5.0, prior_strength=1.0, popularity_by=["gender"]).fit(of_genders)
    model.item_weights[:] = 0
    expected = next_popularity(of_genders, LONG)[2] * group_factors(of_genders, ["gender"])[1][1]
    asked = Query(np.array([0]), History.of_items([[0, 1]]))
    assert np.corrcoef(model.score(asked)[0], expected)[0, 1] == pytest.approx(1)


def test_attributes_that_the_data_lack_change_nothing(train: Dataset):
    asked = query(0, 3)
    model = EASE(5.0, prior_strength=1.0, popularity_by=["gender"]).fit(train)
    np.testing.assert_array_equal(model.score(asked), EASE(5.0, prior_strength=1.0).fit(train).score(asked))


def test_where_a_model_scores_nothing_the_prior_decides(train: Dataset):
    model = EASE(5.0, prior_strength=1.0).fit(train)
    model.item_weights[:] = 0
    assert model.score(query(2))[0].argmax() == next_popularity(train, LONG)[2].argmax()


def test_a_loaded_model_adds_the_same_popularity(of_genders: Dataset, tmp_path):
    model = EASE(5.0, prior_strength=1.0, popularity_half_life=30.0, popularity_by=["gender"]).fit(of_genders)
    model.save(tmp_path)
    asked = Query(np.array([0, 1, -1]), query(0, 3, 25).history)
    np.testing.assert_array_equal(load(tmp_path).score(asked), model.score(asked))


def test_users_to_whose_scores_popularity_is_added_are_named(train: Dataset):
    assert EASE(prior_strength=1.0).falls_back(query(0, 1, 19, 20)).tolist() == [True, True, True, False]
    assert EASE().falls_back(query(0, 1)).tolist() == [True, False]
    assert EASE(popularity_half_life=7.0).falls_back(query(0, 30)).all()


def test_the_models_of_a_blend_have_their_own_priors(train: Dataset):
    ease = {"_target_": "recsys.models.ease.EASE", "l2": 5.0}
    blend = Blend({"a": ease | {"prior_strength": 1e6}, "b": ease | {"prior_strength": 1e6}}).fit(train)
    assert blend.score(query(1))[0].argmax() == next_popularity(train, LONG)[1].argmax()


@pytest.mark.parametrize("setting", [{"prior_strength": -1.0}, {"popularity_half_life": 0.0}])
def test_a_bad_prior_is_refused(setting):
    with pytest.raises(UserError, match=next(iter(setting))):
        EASE(**setting)
