import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.ease import EASE
from recsys.models.ials import IALS
from recsys.models.knn import UserKNN
from recsys.models.recency import DAY, check_half_life, recency_weights
from recsys.models.support import removal_losses


def history_of_two() -> History:
    times = np.array([0, 30, 60, 90, 5]) * DAY
    return History(np.array([0, 4, 4, 5]), np.arange(5, dtype=np.int32), np.ones(5, np.float32), times)


def test_weights_halve_every_so_many_items_before_the_latest():
    np.testing.assert_allclose(recency_weights(history_of_two(), 1), [1 / 8, 1 / 4, 1 / 2, 1, 1])
    np.testing.assert_allclose(recency_weights(history_of_two(), 1.5)[0], 1 / 4)


def test_weights_halve_every_so_many_days_before_the_latest():
    np.testing.assert_allclose(recency_weights(history_of_two(), "60 days"), [2**-1.5, 1 / 2, 2**-0.5, 1, 1])


def test_ratings_at_one_second_are_weighted_by_items_and_not_by_days():
    history = History(np.array([0, 2]), np.array([0, 1], np.int32), np.ones(2, np.float32), np.array([9, 9]))
    np.testing.assert_array_equal(recency_weights(history, "1 day"), [1, 1])
    np.testing.assert_array_equal(recency_weights(history, 1), [1 / 2, 1])


def test_empty_histories_have_no_weights():
    empty = History(np.zeros(3, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int64))
    assert recency_weights(empty, "1 day").shape == recency_weights(empty, 2).shape == (0,)


def test_histories_without_times_count_as_rated_at_one_moment():
    np.testing.assert_array_equal(recency_weights(History.of_items([[1, 2]]), "3 days"), [1, 1])


@pytest.mark.parametrize("half_life", [0, -1.0, "0 days", "days", "3 weeks", "3"])
def test_a_half_life_must_be_a_number_of_items_or_of_days(half_life):
    with pytest.raises(UserError, match="half_life must be"):
        check_half_life(half_life)


def test_ease_scores_are_weighted_sums(timed: Dataset):
    model = EASE(3.0, half_life=1).fit(timed)
    scores = model.score(Query.of_histories(History.of_items([[2, 5]])))
    np.testing.assert_allclose(scores[0], model.item_weights[2] / 2 + model.item_weights[5], rtol=1e-5)


def test_training_is_the_same_with_recency(timed: Dataset):
    np.testing.assert_array_equal(EASE(3.0, half_life=1).fit(timed).item_weights, EASE(3.0).fit(timed).item_weights)


def test_ials_solves_for_the_weighted_history(timed: Dataset):
    model = IALS(embedding_dim=4, l2=0.1, frequency_power=0.0, half_life=1).fit(timed)
    own, alpha = model.item_factors, model.unobserved_weight
    system = alpha * own.T @ own + 0.1 * np.eye(4) + np.outer(own[2], own[2]) / 2 + np.outer(own[5], own[5])
    expected = np.linalg.solve(system, own[2] / 2 + own[5])
    np.testing.assert_allclose(model.embed(History.of_items([[2, 5]]))[0], expected, rtol=1e-3)


@pytest.mark.parametrize("half_life", ["99999999 days", 1e9])
@pytest.mark.parametrize("cls", [EASE, UserKNN])
def test_a_very_long_half_life_scores_as_none_does(cls, half_life, timed: Dataset):
    query = timed.query(np.arange(10))
    plain = cls().fit(timed).score(query)
    np.testing.assert_allclose(cls(half_life=half_life).fit(timed).score(query), plain, rtol=1e-4, atol=1e-6)


def test_reasons_leave_out_one_item_and_let_earlier_ones_move_up(timed: Dataset):
    model = EASE(3.0, half_life=1).fit(timed)
    history = History.of_items([[2, 5, 7]])
    losses = removal_losses(model, -1, history, np.array([2, 0]), np.arange(timed.n_items))
    both, rest = (model.score(Query.of_histories(History.of_items([items])))[0] for items in ([2, 5, 7], [2, 5]))
    np.testing.assert_allclose(losses[0], both - rest, atol=1e-6)
    np.testing.assert_allclose(losses[1], model.item_weights[2] / 4, atol=1e-6)


def test_recency_needs_training_ratings_with_times(untimed: Dataset):
    with pytest.raises(UserError, match="EASE needs ratings with times"):
        EASE(half_life=2).fit(untimed)
