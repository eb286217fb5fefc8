import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.linear_ar import LinearAR


def samples(data: Dataset, half_lives: list[float], step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The history before each step at each time scale, and the step's item, by a loop over steps, -1 for backwards."""
    inputs, targets = [], []
    for user in range(data.n_users):
        states = np.zeros((len(half_lives), data.n_items))
        for item in data.items[data.indptr[user] : data.indptr[user + 1]][::step]:
            inputs.append(states.ravel().copy())
            targets.append(np.eye(data.n_items)[item])
            states *= 2 ** (-1 / np.array(half_lives))[:, None]
            states[:, item] += 1
    return np.array(inputs), np.array(targets)


@pytest.mark.parametrize("half_lives", [[3.0], [0.5, 2.0, 12.0]])
@pytest.mark.parametrize("backward_weight", [0.0, 0.3])
def test_weights_are_the_ridge_regression_of_the_next_item_on_the_history_before_it(
    timed: Dataset, half_lives: list[float], backward_weight: float
):
    model = LinearAR(half_lives, l2=2.0, backward_weight=backward_weight).fit(timed)
    gram, products = 2.0 * np.eye(40 * len(half_lives)), 0.0
    for step, weight in ((1, 1.0), (-1, backward_weight)):
        inputs, targets = samples(timed, half_lives, step)
        gram, products = gram + weight * inputs.T @ inputs, products + weight * inputs.T @ targets
    np.testing.assert_allclose(model.item_weights, np.linalg.solve(gram, products), atol=2e-4)


def test_scores_are_products_of_weights_and_the_history_at_all_time_scales(timed: Dataset):
    model = LinearAR([1.0, 4.0], l2=2.0).fit(timed)
    scores = model.score(Query.of_histories(History.of_items([[2, 5]])))
    short, long = model.item_weights[:40], model.item_weights[40:]
    expected = short[5] + short[2] / 2 + long[5] + long[2] * 2 ** (-1 / 4)
    np.testing.assert_allclose(scores[0], expected, rtol=1e-4, atol=1e-6)


def test_what_follows_an_item_is_predicted_and_not_what_precedes_it():
    users = np.repeat(np.arange(20), 4)
    train = Dataset.from_arrays(users, np.tile([0, 1, 2, 3], 20), times=np.tile([1, 2, 3, 4], 20))
    scores = LinearAR([0.5, 4.0], l2=1.0).fit(train).score(Query.of_histories(History.of_items([[0, 1], [0]])))
    np.testing.assert_array_equal(scores.argmax(axis=1), [2, 1])


def test_single_ratings_and_long_or_repeating_histories_can_be_fitted():
    train = Dataset.from_arrays([0, 1], [0, 1], times=[1, 1])
    scores = LinearAR().fit(train).score(Query.of_histories(History.of_items([[0], [0, 1] * 400])))
    np.testing.assert_array_equal(scores, np.zeros((2, 2)))


def test_ratings_without_times_are_an_error(untimed: Dataset):
    with pytest.raises(UserError, match="LinearAR needs ratings with times"):
        LinearAR().fit(untimed)


def test_a_catalogue_too_large_for_memory_is_an_error(monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 32 * 10**9)
    train = Dataset.from_arrays([0, 1], [0, 1], times=[1, 2], n_items=84_000)
    with pytest.raises(UserError, match=r"LinearAR at 3 time scales on 84,000 items would take .* GB of memory"):
        LinearAR().fit(train)


@pytest.mark.parametrize(
    "setting", [{"half_lives": []}, {"half_lives": [1.0, 0.0]}, {"l2": 0.0}, {"backward_weight": -1.0}]
)
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must"):
        LinearAR(**setting)
