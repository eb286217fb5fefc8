"""What is measured of trees that were made to go by a known column."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recsys.analysis.importance import (
    Intervals,
    Sample,
    calibration,
    can_be_followed,
    coverage,
    dependence,
    draw,
    errors,
    importances,
)
from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Pairs
from recsys.evaluation.evaluate import bands
from recsys.models.trees import RandomForest

TEN_PAST = 10 * 3600


@pytest.fixture(scope="module")
def holdout() -> Holdout:
    """People give four or five stars in the morning and one or two later, whoever they are and whatever the film."""
    rng = np.random.default_rng(0)
    users, items = (rng.random((60, 40)) < 0.6).nonzero()
    times = rng.integers(0, 30 * 86_400, len(users))
    is_early = times % 86_400 < TEN_PAST
    ratings = Dataset.from_arrays(users, items, rng.integers(1, 3, len(users)) + 3 * is_early, times)
    ratings.item_frame["genres"] = [["Drama"], ["Comedy"]] * 20
    is_known = rng.random(len(ratings)) < 0.7
    return Holdout(ratings.select(~is_known), ratings.select(is_known))


@pytest.fixture(scope="module")
def model(holdout) -> RandomForest:
    light = {"n_trees": 20, "n_folds": 2, "n_segments": 2, "interval": 0.8}
    base_models = {"bias": {"_target_": "recsys.models.bias.Bias"}}
    return RandomForest(models=base_models, max_features=1.0, **light).fit(holdout.known)


@pytest.fixture(scope="module")
def sample(model, holdout) -> Sample:
    return draw(model, holdout, seed=0)


def test_a_sample_has_what_the_model_says_of_ratings_and_what_is_known(sample, model, holdout):
    known, found = holdout.known, holdout.ratings
    users = np.arange(known.n_users)
    pairs = Pairs(known.query(users), found.users, found.items, found.times)
    np.testing.assert_array_equal(sample.predicted, model.predict(pairs))
    np.testing.assert_array_equal(sample.intervals.low, model.predict_intervals(pairs)[0])
    assert sample.frame["user ratings"].tolist() == known.user_counts[found.users].tolist()
    columns = [column for of_group in sample.groups.values() for column in of_group]
    assert sorted(columns) == sorted(sample.frame)
    assert "hour" in sample.groups["time"]
    assert sample.groups["predictions"] == ["by bias"]
    assert "demographics" not in sample.groups


def test_a_planted_column_and_its_group_are_found_most_important(sample, model):
    singles = {column: [column] for column in sample.frame}
    of_columns = importances(model.trees, sample, singles, 2, seed=0, doing="")
    of_groups = importances(model.trees, sample, sample.groups, 2, seed=0, doing="")
    assert of_columns.index[0] == "hour"
    assert of_groups.index[0] == "time"
    assert of_columns["increase"].iloc[0] > 10 * of_columns["increase"].drop("hour").abs().max()
    assert of_columns["spread"].gt(0).any()
    pd.testing.assert_frame_equal(of_groups, importances(model.trees, sample, sample.groups, 2, seed=0, doing=""))


def test_columns_of_a_block_are_dealt_out_together():
    class Agreeing:
        """Predicts 1 where two columns agree."""

        def fit(self, *_):
            return self

        def predict(self, frame):
            return (frame["one"] == frame["other"]).to_numpy(float)

    same = np.arange(200) % 2
    frame = pd.DataFrame({"one": same, "other": same})
    agreed = SimpleNamespace(frame=frame, ratings=np.ones(200), scale=(0, 1))
    blocks = {"both": ["one", "other"], "one": ["one"]}
    found = importances(Agreeing(), agreed, blocks, 3, seed=0, doing="")
    assert found.loc["both", "increase"] == 0
    assert found.loc["one", "increase"] > 0.5
    assert frame["one"].tolist() == same.tolist()


def test_dependence_follows_the_planted_column(sample, model):
    hours, stars = dependence(model.trees, sample.frame, "hour", seed=0)
    mean = stars.mean(axis=0)
    assert (mean[hours < 8] > 4).all()
    assert (mean[hours > 12] < 2).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 2.0, np.nan], True), ([1.0, 1.0], False), ([np.nan, np.nan], False), (["a", "b"], False)],
)
def test_only_numbers_that_differ_can_be_followed(values, expected):
    assert can_be_followed(pd.Series(values)) == expected


def test_tenths_errors_and_coverage_are_those_worked_by_hand(sample):
    n = 40
    by_hand = replace(
        sample,
        ratings=np.tile([1.0, 3.0], n // 2),
        predicted=np.repeat([2.0, 3.0], n // 2).astype(np.float32),
        bands={"user": bands(np.repeat([5, 90], n // 2))},
    )
    tenths = calibration(by_hand)
    assert tenths["predicted"].tolist() == [2.0] * 5 + [3.0] * 5
    assert tenths["actual"].tolist() == [2.0] * 10
    of_users = errors(by_hand)
    np.testing.assert_allclose(of_users["rmse"], [1, np.sqrt(2)])
    assert of_users["band"].tolist() == ["5-5", "90-90"]
    low, high = np.full(n, 1.0), np.repeat([2.0, 3.0], n // 2)
    held = coverage(by_hand, Intervals(0.8, low, high)).set_index("band")
    assert held.loc["all ratings", "mean"] == 0.75
    assert held.loc[["5-5", "90-90"], "mean"].tolist() == [0.5, 1.0]
    assert held.loc[["narrowest quarter", "widest quarter"], "width"].tolist() == [1.0, 2.0]
