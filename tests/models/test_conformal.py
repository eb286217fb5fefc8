"""Intervals contain the requested share of ratings that were not trained on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from recsys.data.dataset import Dataset
from recsys.data.query import History, Pairs, Query
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.conformal import Margins
from recsys.models.trees import GradientBoosting, RandomForest

LIGHT = {
    "models": {"bias": {"_target_": "recsys.models.bias.Bias"}},
    "n_trees": 20,
    "min_samples_leaf": 20,
    "n_folds": 5,
    "n_segments": 2,
}


def noisy(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return targets on a line, with noise that grows along it."""
    rng = np.random.default_rng(seed)
    x = rng.random(n)
    return pd.DataFrame({"x": x}), 3 + x + rng.normal(size=n) * (0.1 + x)


@pytest.fixture(scope="module")
def rated() -> tuple[Dataset, Dataset]:
    """Return training and test ratings of good and bad items by users, half of whom rate with much more noise."""
    rng = np.random.default_rng(0)
    users, items = (rng.random((120, 60)) < 0.5).nonzero()
    noisy_users = users % 2 == 1
    values = np.clip(np.rint(2 + items % 3 + rng.normal(size=len(users)) * np.where(noisy_users, 1.5, 0.6)), 1, 5)
    ratings = Dataset.from_arrays(users, items, values, n_users=120, n_items=60)
    ratings.item_frame["genres"] = [["Drama"], ["Comedy"]] * 30
    is_train = rng.random(len(ratings)) < 0.75
    return ratings.select(is_train), ratings.select(~is_train)


@pytest.fixture(scope="module")
def model(rated) -> GradientBoosting:
    return GradientBoosting(**LIGHT, lr=0.2, interval=0.8).fit(rated[0])


def pairs(train: Dataset, test: Dataset) -> Pairs:
    return Pairs(train.query(np.arange(train.n_users)), test.users, test.items)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_margins_contain_the_share_and_are_wider_where_noise_is_larger(share):
    frame, targets = noisy(2000, seed=0)
    estimator = HistGradientBoostingRegressor(max_iter=30, random_state=0)
    margins = Margins(share).fit(estimator, frame, targets, np.arange(2000) % 4)
    fresh, actual = noisy(5000, seed=1)
    predicted, widths = estimator.fit(frame, targets).predict(fresh), margins.predict(fresh)
    within = np.abs(actual - predicted) <= widths
    assert within.mean() == pytest.approx(share, abs=0.03)
    quiet, loud = fresh["x"] < 0.2, fresh["x"] > 0.8
    assert widths[loud].mean() > 2 * widths[quiet].mean()
    assert within[quiet].mean() == pytest.approx(within[loud].mean(), abs=0.1)


def test_margins_from_too_few_ratings_are_infinite():
    frame, targets = noisy(8, seed=0)
    margins = Margins(0.9).fit(HistGradientBoostingRegressor(), frame, targets, np.arange(8) % 2)
    assert np.isinf(margins.predict(frame)).all()


def test_intervals_contain_new_ratings_within_the_scale(model, rated):
    train, test = rated
    low, high = model.predict_intervals(pairs(train, test))
    assert low.dtype == high.dtype == np.float32
    assert low.shape == high.shape == (len(test),)
    assert low.min() >= 1
    assert high.max() <= 5
    within = (low <= test.ratings) & (test.ratings <= high)
    assert within.mean() == pytest.approx(0.8, abs=0.05)
    predicted = model.predict(pairs(train, test))
    assert ((low <= predicted) & (predicted <= high)).all()
    is_noisy = test.users % 2 == 1
    assert (high - low)[is_noisy].mean() > 1.3 * (high - low)[~is_noisy].mean()


def test_a_loaded_model_has_the_same_intervals(model, rated, tmp_path: Path):
    model.save(tmp_path)
    loaded = load(tmp_path, trusted=True)
    np.testing.assert_array_equal(loaded.predict_intervals(pairs(*rated)), model.predict_intervals(pairs(*rated)))


def test_predictions_are_the_same_with_and_without_intervals(model, rated):
    without = GradientBoosting(**LIGHT, lr=0.2).fit(rated[0])
    np.testing.assert_array_equal(without.predict(pairs(*rated)), model.predict(pairs(*rated)))


def test_a_model_without_intervals_says_how_to_train_them():
    query = Query.of_histories(History.of_items([[]]))
    with pytest.raises(UserError, match=r"give model\.interval=0\.9"):
        RandomForest().predict_intervals(Pairs(query, np.array([0]), np.array([0])))


@pytest.mark.parametrize("share", [0, 1, 90, -0.1])
def test_an_interval_must_be_a_share(share):
    with pytest.raises(UserError, match="between 0 and 1"):
        RandomForest(interval=share)
