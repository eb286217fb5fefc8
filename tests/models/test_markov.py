import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.markov import Markov


def counted(data: Dataset, window: int, power: float, backward_weight: float) -> np.ndarray:
    """N by a loop over all pairs of a user's ratings."""
    counts = np.zeros((data.n_items, data.n_items))
    for user in range(data.n_users):
        items = data.items[data.indptr[user] : data.indptr[user + 1]]
        for first in range(len(items)):
            for second in range(first + 1, min(len(items), first + window + 1)):
                weight = (second - first) ** -power
                counts[items[first], items[second]] += weight
                counts[items[second], items[first]] += backward_weight * weight
    return counts


@pytest.mark.parametrize("backward_weight", [0.0, 0.3])
def test_weights_are_shares_of_the_successions_that_a_loop_counts(timed: Dataset, backward_weight: float):
    model = Markov(window=3, distance_power=0.5, smoothing=2.0, backward_weight=backward_weight).fit(timed)
    counts = counted(timed, 3, 0.5, backward_weight)
    expected = counts / (counts.sum(axis=1, keepdims=True) + 2.0)
    np.testing.assert_allclose(model.item_weights.toarray(), expected, rtol=1e-5)


def test_later_items_of_the_history_count_for_more_worked_by_hand():
    train = Dataset.from_arrays([0, 0, 1, 1], [0, 2, 1, 3], times=[1, 2, 1, 2])  # 2 follows 0, 3 follows 1
    model = Markov(smoothing=1.0, place_power=1.0).fit(train)
    scores = model.score(Query.of_histories(History.of_items([[0, 1], [1, 0]])))
    np.testing.assert_allclose(scores, [[0, 0, 1 / 4, 1 / 2], [0, 0, 1 / 2, 1 / 4]])


def test_only_the_last_items_count():
    train = Dataset.from_arrays([0, 0, 1, 1], [0, 2, 1, 3], times=[1, 2, 1, 2])
    model = Markov(last_items=1).fit(train)
    scores = model.score(Query.of_histories(History.of_items([[0, 1], [1]])))
    np.testing.assert_array_equal(scores[0], scores[1])


def test_the_order_of_rows_decides_where_all_ratings_have_one_time():
    train = Dataset.from_arrays([0, 0, 0], [2, 0, 1], times=[7, 7, 7])
    weights = Markov(window=1, smoothing=0.0).fit(train).item_weights.toarray()
    np.testing.assert_array_equal(weights, [[0, 1, 0], [0, 0, 0], [1, 0, 0]])


def test_histories_of_one_rating_have_no_successions():
    train = Dataset.from_arrays([0, 1], [0, 1], times=[1, 2])
    scores = Markov().fit(train).score(train.query(np.array([0, 1])))
    np.testing.assert_array_equal(scores, np.zeros((2, 2)))


def test_a_history_may_repeat_an_item(timed: Dataset):
    scores = Markov().fit(timed).score(Query.of_histories(History.of_items([[3, 3, 3], [3] * 500])))
    assert np.isfinite(scores).all()


def test_ratings_without_times_are_an_error(untimed: Dataset):
    with pytest.raises(UserError, match=r"Markov needs ratings with times.*choose a model that ignores order"):
        Markov().fit(untimed)


def test_a_window_too_large_for_memory_is_an_error(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 10**4)
    with pytest.raises(UserError, match=r"lower window"):
        Markov(window=10).fit(timed)


@pytest.mark.parametrize("setting", [{"window": 0}, {"last_items": 0}, {"smoothing": -1.0}, {"backward_weight": -1.0}])
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must be"):
        Markov(**setting)


def test_the_score_is_the_sum_of_what_its_interactions_contribute(timed: Dataset):
    model, history = Markov(last_items=3, place_power=0.5).fit(timed), History.of_items([[5, 1, 7, 2, 9]])
    losses = model.removal_losses(history, np.arange(5), np.arange(timed.n_items))
    np.testing.assert_allclose(losses.sum(axis=0), model.score(Query.of_histories(history))[0], rtol=1e-5)
    assert losses[:2].max() == 0 < losses[2:].max(axis=1).min()
