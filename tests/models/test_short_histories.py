import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.blend import Blend
from recsys.models.ease import EASE
from recsys.models.short_histories import DAY, LONG, next_popularity


def with_times(users: list[int], items: list[int], days: list[float]) -> Dataset:
    return Dataset.from_arrays(np.array(users), np.array(items), times=np.array(days) * DAY, fingerprint="times")


def query(*lengths: int) -> Query:
    return Query.of_histories(History.of_items([list(range(n)) for n in lengths]))


@pytest.fixture(scope="module")
def train() -> Dataset:
    rng = np.random.default_rng(0)
    cells = rng.choice(40 * 30, 1000, replace=False)
    return with_times((cells // 30).tolist(), (cells % 30).tolist(), rng.integers(0, 90, 1000).tolist())


def test_popularity_counts_what_follows_the_first_interactions():
    counts = next_popularity(with_times([0, 0, 0, 1, 1], [2, 0, 1, 0, 2], [1, 2, 3, 1, 2]))
    spread = 3 * np.array([2, 1, 2]) / 5
    following = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(counts[:4], [[2, 1, 2], *(following + spread)], rtol=1e-6)


def test_older_interactions_count_less_in_popularity_with_a_half_life():
    counts = next_popularity(with_times([0, 0, 1], [0, 1, 1], [0, 10, 20]), half_life=10.0)
    np.testing.assert_allclose(counts[:2], [[1 / 4, 3 / 2], [2 / 7, 1 / 2 + 12 / 7]], rtol=1e-6)


def test_without_times_all_interactions_count(untimed: Dataset):
    np.testing.assert_array_equal(next_popularity(untimed, half_life=3.0), np.tile(untimed.item_counts, (LONG, 1)))


def test_short_histories_move_towards_popularity_and_long_ones_do_not(train: Dataset):
    alone, model = EASE(5.0).fit(train), EASE(5.0, prior_strength=2.0).fit(train)
    asked = query(1, 10, 19, 20, 25)
    added = model.score(asked) - alone.score(asked)
    spread, counts = alone.score(asked).std(axis=1), next_popularity(train)
    for row, n in enumerate((1, 10, 19)):
        standardised = (counts[n] - counts[n].mean()) / counts[n].std()
        np.testing.assert_allclose(
            added[row], 2.0 * ((20 / n) ** 2 - 1) * spread[row] * standardised, rtol=1e-3, atol=1e-5
        )
    assert not added[3:].any()


def test_with_a_strong_prior_one_interaction_is_ranked_by_what_follows_it(train: Dataset):
    ranked = EASE(5.0, prior_strength=1e4).fit(train).score(query(1))[0].argsort()
    counts = next_popularity(train)[1]
    assert (np.diff(counts[ranked]) >= 0).all()


def test_users_without_a_history_get_recent_popularity_with_a_half_life(train: Dataset):
    scores = EASE(5.0, popularity_half_life=7.0).fit(train).score(query(0, 25))
    np.testing.assert_array_equal(scores[0], next_popularity(train, 7.0)[0])
    np.testing.assert_array_equal(scores[1], EASE(5.0).fit(train).score(query(25))[0])


def test_where_a_model_scores_nothing_the_prior_decides(train: Dataset):
    model = EASE(5.0, prior_strength=1.0).fit(train)
    model.item_weights[:] = 0
    assert model.score(query(2))[0].argmax() == next_popularity(train)[2].argmax()


def test_a_loaded_model_has_its_prior(train: Dataset, tmp_path):
    model = EASE(5.0, prior_strength=1.0, popularity_half_life=30.0).fit(train)
    model.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).score(query(0, 3)), model.score(query(0, 3)))


def test_users_whose_scores_are_not_the_models_alone_are_named(train: Dataset):
    assert EASE(prior_strength=1.0).falls_back(query(0, 1, 19, 20)).tolist() == [True, True, True, False]
    assert EASE().falls_back(query(0, 1)).tolist() == [True, False]


def test_the_models_of_a_blend_have_priors_of_their_own(train: Dataset):
    ease = {"_target_": "recsys.models.ease.EASE", "l2": 5.0}
    blend = Blend({"a": ease | {"prior_strength": 1e6}, "b": ease | {"prior_strength": 1e6}}).fit(train)
    assert blend.score(query(1))[0].argmax() == next_popularity(train)[1].argmax()


@pytest.mark.parametrize("setting", [{"prior_strength": -1.0}, {"popularity_half_life": 0.0}])
def test_a_bad_prior_is_refused(setting):
    with pytest.raises(UserError, match=next(iter(setting))):
        EASE(**setting)
