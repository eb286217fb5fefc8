import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Pairs, Query
from recsys.errors import UserError
from recsys.models.bias import Bias
from recsys.models.ease import EASE
from recsys.models.popularity import Popularity
from recsys.models.recent_popularity import RecentPopularity


def test_popularity_scores_are_rating_counts():
    train = Dataset.from_arrays([0, 0, 1, 2], [1, 2, 1, 1], n_items=4)
    scores = Popularity().fit(train).score(Query(np.array([0, -1]), History.of_items([[], []])))
    np.testing.assert_array_equal(scores, [[0, 3, 1, 0]] * 2)


def test_ease_solves_the_constrained_regression(timed: Dataset):
    """Each column is the ridge regression of an item on all others."""
    l2 = 3.0
    weights = EASE(l2).fit(timed).item_weights
    interactions = timed.matrix().toarray().astype(float)
    for item in (0, 17, 39):
        others = np.delete(interactions, item, axis=1)
        ridge = np.linalg.solve(others.T @ others + l2 * np.eye(39), others.T @ interactions[:, item])
        np.testing.assert_allclose(np.delete(weights[:, item], item), ridge, atol=1e-5)
    assert (np.diag(weights) == 0).all()


def test_ease_scores_follow_the_history_in_the_query(timed: Dataset):
    model = EASE(3.0).fit(timed)
    scores = model.score(Query.of_histories(History.of_items([[2, 5]])))
    np.testing.assert_allclose(scores[0], model.item_weights[2] + model.item_weights[5], rtol=1e-5)


def test_bias_is_the_damped_deviation_worked_by_hand():
    train = Dataset.from_arrays([0, 0, 1], [0, 1, 0], [5.0, 2.0, 2.0])  # mean 3
    model = Bias(item_damping=2.0, user_damping=1.0).fit(train)
    np.testing.assert_allclose(model.item_bias, [(2 - 1) / (2 + 2), -1 / (2 + 1)])
    user_bias = ((5 - 3.25) + (2 - 3 + 1 / 3)) / (1 + 2)
    scores = model.score(train.query(np.array([0])))
    np.testing.assert_allclose(scores, [[3.25 + user_bias, 3 - 1 / 3 + user_bias]], rtol=1e-6)


def test_without_damping_items_and_users_without_ratings_deviate_by_nothing():
    train = Dataset.from_arrays([0, 0, 1], [0, 1, 0], [5.0, 2.0, 2.0], n_items=3)  # mean 3
    model = Bias(item_damping=0.0, user_damping=0.0).fit(train)
    [scores] = model.score(Query.of_histories(History.of_items([[]])))
    np.testing.assert_allclose(scores, [3.5, 2.0, 3.0])


def test_bias_predictions_stay_on_the_scale():
    train = Dataset.from_arrays([0, 0, 1, 1], [0, 1, 0, 2], [5.0, 5.0, 1.0, 1.0])
    model = Bias(item_damping=0.01, user_damping=0.01).fit(train)
    query = train.query(np.array([0, 1]))
    predicted = model.predict(Pairs(query, np.arange(2), np.array([1, 2])))
    assert predicted.max() <= 5
    assert predicted.min() >= 1
    assert model.score(query).max() > 5


def test_bias_predicts_better_than_the_mean(timed: Dataset):
    rng = np.random.default_rng(0)
    item_quality, strictness = rng.normal(0, 0.5, timed.n_items), rng.normal(0, 0.5, timed.n_users)
    ratings = np.clip(3 + item_quality[timed.items] + strictness[timed.users], 1, 5)
    data = Dataset.from_arrays(timed.users, timed.items, ratings, n_users=timed.n_users, n_items=timed.n_items)
    is_test = rng.random(len(data)) < 0.2
    train, test = data.select(~is_test), data.select(is_test)
    pairs = Pairs(train.query(np.arange(timed.n_users)), test.users, test.items)
    predicted = Bias(1.0, 1.0).fit(train).predict(pairs)
    assert np.mean((predicted - test.ratings) ** 2) < 0.5 * np.var(test.ratings)


@pytest.mark.parametrize("model", [Popularity(), EASE(), Bias()], ids=lambda m: type(m).__name__)
def test_refit_returns_a_new_model_and_leaves_the_old_one_unchanged(model, timed: Dataset):
    half = timed.select(np.arange(len(timed)) % 2 == 0)
    query = half.query(np.array([3, 9]))
    before = model.fit(half).score(query)
    refit = model.refit(timed)
    assert refit is not model
    np.testing.assert_array_equal(model.score(query), before)
    assert not np.array_equal(refit.score(query), before)


def test_a_catalogue_too_large_for_ease_is_an_error(monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 32 * 10**9)
    train = Dataset.from_arrays([0, 1], [0, 1], n_items=84_000)
    with pytest.raises(UserError, match=r"would take 169\.3 GB of memory, but only 32\.0 GB .*choose item_knn"):
        EASE().fit(train)


def test_recent_popularity_counts_the_last_days_and_breaks_ties_by_all_ratings():
    day = 24 * 3600
    train = Dataset.from_arrays([0, 1, 2, 3, 4], [0, 0, 1, 2, 0], times=[0, day, 9 * day, 10 * day, 8 * day])
    scores = RecentPopularity(days=2.0).fit(train).score(train.query(np.array([0])))[0]
    np.testing.assert_allclose(scores, [0 + 3 / 6, 1 + 1 / 6, 1 + 1 / 6])


def test_recent_popularity_after_a_pause_counts_what_users_rate_first_when_they_come_back():
    hour = 3600
    times = [0, hour, 31 * hour, 32 * hour, 30 * hour, 54 * hour, 54 * hour]
    train = Dataset.from_arrays([0, 0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 3, 4, 5], times=times)
    ties = train.item_counts / 4
    np.testing.assert_allclose(RecentPopularity(days=2.0, pause=24.0).fit(train).scores - ties, [0, 0, 1, 0, 1, 0])
    np.testing.assert_allclose(RecentPopularity(days=0.5, pause=24.0).fit(train).scores - ties, [0, 0, 0, 0, 1, 0])


def test_recent_popularity_needs_times_and_a_number_of_days(untimed: Dataset):
    with pytest.raises(UserError, match="RecentPopularity needs ratings with times"):
        RecentPopularity().fit(untimed)
    with pytest.raises(UserError, match="days must be above zero"):
        RecentPopularity(days=0)
    with pytest.raises(UserError, match="pause must be above zero"):
        RecentPopularity(pause=0)
