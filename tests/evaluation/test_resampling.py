"""The crossed bootstrap: what is resampled, its intervals, and its p-values."""

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation import resampling
from recsys.evaluation.resampling import compare, resampled_means, split_means


def users(*values: float) -> pd.Series:
    return pd.Series(values, dtype=float)


def test_users_count_equally_within_a_split_and_splits_count_equally():
    model = {(0, "a"): users(1.0, 0.0, 0.0, 0.0), (1, "a"): users(1.0, 1.0, 1.0, 1.0), (0, "b"): users(0.2)}
    assert split_means(model).to_dict() == pytest.approx({"a": 0.625, "b": 0.2})
    none = {(0, "a"): users(0.0, 0.0, 0.0, 0.0), (0, "b"): users(0.0)}
    assert compare(model, none).interval.mean == pytest.approx((0.625 + 0.2) / 2)


def test_only_users_and_splits_on_which_both_were_tested_are_compared():
    model = {(0, "a"): pd.Series([0.5, 0.3, np.nan, 0.9], index=[1, 2, 3, 4]), (0, "b"): users(1.0)}
    other = {(0, "a"): pd.Series([0.1, 0.1, 0.7], index=[1, 2, 3])}
    found = compare(model, other)
    assert (found.n_users, found.interval.mean) == (2, pytest.approx(0.3))
    assert compare(model, {(0, "c"): users(1.0)}) is None
    assert compare(model, {(0, "a"): pd.Series([0.7], index=[3])}) is None


def test_models_that_are_equal_for_every_user_do_not_differ():
    own = {(0, "a"): users(0.1, 0.4, 0.9)}
    found = compare(own, own)
    assert (found.p_value, found.interval.mean) == (1.0, 0.0)
    assert np.isnan(found.interval.low)


def test_the_error_of_one_split_and_seed_is_that_of_the_mean_over_users():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.1, 1.0, 500)
    found = compare({(0, "a"): pd.Series(differences)}, {(0, "a"): pd.Series(np.zeros(500))})
    expected = differences.std(ddof=1) / np.sqrt(500)
    assert found.standard_error == pytest.approx(expected, rel=0.03)
    assert found.interval.low == pytest.approx(differences.mean() - 1.96 * expected, abs=0.01)
    assert found.equivalence.low == pytest.approx(differences.mean() - 1.645 * expected, abs=0.01)
    assert found.is_equivalent(0.3)
    assert not found.is_equivalent(0.1)


@pytest.mark.parametrize("kind", ["seeds", "splits"])
def test_means_of_few_units_are_resampled_without_bias(kind):
    """Users do not vary here, so that the error is that of the mean over seeds or splits."""
    levels = np.array([0.1, 0.4, 0.3, 0.9])
    keys = [(seed, "a") if kind == "seeds" else (0, str(seed)) for seed in range(4)]
    model = {key: pd.Series(np.full(5, level)) for key, level in zip(keys, levels, strict=True)}
    none = {(0, split): pd.Series(np.zeros(5)) for split in {split for _, split in keys}}
    assert compare(model, none).standard_error == pytest.approx(levels.std(ddof=1) / 2, rel=0.03)


def test_intervals_contain_the_difference_about_as_often_as_their_level_says(monkeypatch):
    monkeypatch.setattr(resampling, "N_RESAMPLES", 299)
    rng = np.random.default_rng(1)
    n_covered = 0
    for _ in range(60):
        level = rng.normal(size=100)[:, None, None] + 0.05 * rng.normal(size=5)  # of users and splits
        level = level.swapaxes(1, 2)  # (users, splits, 1)
        models = [level + 0.05 * rng.normal(size=3) + 0.5 * rng.normal(size=(100, 5, 3)) for _ in range(2)]
        pair = [{(seed, str(s)): pd.Series(own[:, s, seed]) for seed in range(3) for s in range(5)} for own in models]
        interval = compare(*pair).interval
        n_covered += interval.low <= 0 <= interval.high
    assert n_covered >= 54  # 57 are expected; intervals of a bootstrap over users alone contain it 33 times


def test_p_values_keep_their_level_for_skewed_hits(monkeypatch):
    monkeypatch.setattr(resampling, "N_RESAMPLES", 299)
    hits = np.random.default_rng(0).random((2, 150, 300)) < 0.1
    pairs = [[{(0, "a"): pd.Series(one.astype(float))} for one in both] for both in zip(*hits, strict=True)]
    assert np.mean([compare(*pair).p_value <= 0.05 for pair in pairs]) <= 0.1  # 0.05 is expected


def test_p_values_are_never_zero_and_do_not_depend_on_batches(monkeypatch):
    model, none = ({(0, "a"): pd.Series(np.full(40, level) + np.arange(40) / 80)} for level in (0.5, -9.0))
    found = compare(model, none)
    assert found.p_value == 2 / 10_000
    monkeypatch.setattr(resampling, "_BATCH_SIZE", 40 * 1000)
    assert compare(model, none).p_value == found.p_value


def test_models_share_the_weights_of_users_in_each_draw():
    level = np.random.default_rng(3).random(50)
    draws = resampled_means({"one": {(0, "a"): pd.Series(level)}, "two": {(0, "a"): pd.Series(level + 1)}})
    np.testing.assert_allclose(draws["two"] - draws["one"], 1.0, rtol=1e-5)


def test_splits_count_equally_though_one_was_tested_with_more_seeds():
    """Levels differ between splits, so that a mean over pairs of seed and split would favour the model."""
    splits = {str(n): pd.Series(np.full(20, 0.5 if n < 10 else 0.1)) for n in range(20)}
    baseline = {(0, split): values for split, values in splits.items()}
    model = baseline | {(seed, str(n)): splits[str(n)] for seed in range(1, 5) for n in range(10)}
    found = compare(model, baseline)
    assert found.interval.mean == pytest.approx(0)
    assert found.interval.low < 0 < found.interval.high
    draws = resampled_means({"model": model})["model"]
    assert np.nanmean(draws) == pytest.approx(split_means(model).mean(), abs=0.01)


def test_a_single_user_split_and_seed_are_no_evidence():
    found = compare({(0, "a"): users(0.9)}, {(0, "a"): users(0.1)})
    assert (found.interval.mean, found.p_value) == (pytest.approx(0.8), 1.0)
    assert np.isnan(found.interval.low)
    assert compare({(0, "a"): users(0.9, 0.7)}, {(0, "a"): users(0.1, 0.1)}).p_value < 1


@pytest.mark.parametrize(("n", "quantile"), [(3, -4.302653), (31, -2.042272), (2001, -1.961)])
def test_lower_bounds_of_few_users_are_those_of_students_t(n, quantile):
    found = compare({(0, "a"): pd.Series(np.arange(n))}, {(0, "a"): pd.Series(np.zeros(n))})
    expected = found.interval.mean + quantile * found.standard_error
    assert found.lower_bound(0.025) == pytest.approx(expected, rel=1e-3)
