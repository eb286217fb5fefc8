"""Tests of importance, dependence and accuracy, with trees that depend on a known column."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recsys.analysis.importance.accuracy import calibration, coverage, errors
from recsys.analysis.importance.dependence import dependence, has_dependence
from recsys.analysis.importance.permutation import importances
from recsys.analysis.importance.sample import Intervals, Sample, draw_sample
from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Pairs
from recsys.evaluation.slices import quantile_bands
from recsys.models.trees import RandomForest

TEN_PAST = 10 * 3600


@pytest.fixture(scope="module")
def holdout() -> Holdout:
    """Users give four or five stars in the morning and one or two later, independently of user and film."""
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
    return draw_sample(model, holdout, seed=0)


def test_a_sample_has_the_predictions_and_features_of_its_ratings(sample, model, holdout):
    known, held_out = holdout.known, holdout.ratings
    users = np.arange(known.n_users)
    pairs = Pairs(known.query(users), held_out.users, held_out.items, held_out.times)
    np.testing.assert_array_equal(sample.predicted, model.predict(pairs))
    np.testing.assert_array_equal(sample.intervals.low, model.predict_intervals(pairs)[0])
    assert sample.frame["user ratings"].tolist() == known.user_counts[held_out.users].tolist()
    columns = [column for group in sample.groups.values() for column in group]
    assert sorted(columns) == sorted(sample.frame)
    assert "hour" in sample.groups["time"]
    assert sample.groups["predictions"] == ["by bias"]
    assert "demographics" not in sample.groups


def test_the_column_that_ratings_depend_on_and_its_group_are_most_important(sample, model):
    singles = {column: [column] for column in sample.frame}
    by_column = importances(model.trees, sample, singles, 2, seed=0, description="")
    by_group = importances(model.trees, sample, sample.groups, 2, seed=0, description="")
    assert by_column.index[0] == "hour"
    assert by_group.index[0] == "time"
    assert by_column["increase"].iloc[0] > 10 * by_column["increase"].drop("hour").abs().max()
    assert by_column["spread"].gt(0).any()
    pd.testing.assert_frame_equal(by_group, importances(model.trees, sample, sample.groups, 2, seed=0, description=""))


def test_columns_of_a_block_are_permuted_together():
    class Agreeing:
        """Predicts 1 where two columns agree."""

        def fit(self, *_):
            return self

        def predict(self, frame):
            return (frame["one"] == frame["other"]).to_numpy(float)

    same = np.arange(200) % 2
    frame = pd.DataFrame({"one": same, "other": same})
    sample = SimpleNamespace(frame=frame, ratings=np.ones(200), scale=(0, 1))
    blocks = {"both": ["one", "other"], "one": ["one"]}
    result = importances(Agreeing(), sample, blocks, 3, seed=0, description="")
    assert result.loc["both", "increase"] == 0
    assert result.loc["one", "increase"] > 0.5
    assert frame["one"].tolist() == same.tolist()


def test_dependence_recovers_the_effect_of_the_hour(sample, model):
    hours, stars = dependence(model.trees, sample.frame, "hour", seed=0)
    mean = stars.mean(axis=0)
    assert (mean[hours < 8] > 4).all()
    assert (mean[hours > 12] < 2).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 2.0, np.nan], True), ([1.0, 1.0], False), ([np.nan, np.nan], False), (["a", "b"], False)],
)
def test_only_numeric_columns_that_vary_have_a_dependence(values, expected):
    assert has_dependence(pd.Series(values)) == expected


def test_calibration_errors_and_coverage_equal_those_computed_by_hand(sample):
    n = 40
    by_hand = replace(
        sample,
        ratings=np.tile([1.0, 3.0], n // 2),
        predicted=np.repeat([2.0, 3.0], n // 2).astype(np.float32),
        bands={"user": quantile_bands(np.repeat([5, 90], n // 2))},
    )
    tenths = calibration(by_hand)
    assert tenths["predicted"].tolist() == [2.0] * 5 + [3.0] * 5
    assert tenths["actual"].tolist() == [2.0] * 10
    by_user = errors(by_hand)
    np.testing.assert_allclose(by_user["rmse"], [1, np.sqrt(2)])
    assert by_user["band"].tolist() == ["5-5", "90-90"]
    low, high = np.full(n, 1.0), np.repeat([2.0, 3.0], n // 2)
    shares = coverage(by_hand, Intervals(0.8, low, high)).set_index("band")
    assert shares.loc["all ratings", "mean"] == 0.75
    assert shares.loc[["5-5", "90-90"], "mean"].tolist() == [0.5, 1.0]
    assert shares.loc[["narrowest quarter", "widest quarter"], "width"].tolist() == [1.0, 2.0]
