import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recsys.evaluation import significance
from recsys.evaluation.significance import (
    bootstrap_interval,
    bootstrap_ratio,
    effect_size,
    holm,
    mean_interval,
    paired,
    randomisation,
)


def test_intervals_hold_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(3.0, 2.0, 5)) for _ in range(4000)]
    held = np.mean([interval.low <= 3.0 <= interval.high for interval in intervals])
    assert held == pytest.approx(0.95, abs=0.011)


def test_one_value_has_no_interval():
    assert str(mean_interval([0.25])) == "0.2500"


def test_a_test_finds_nothing_as_often_as_it_should_where_there_is_nothing():
    rng = np.random.default_rng(1)
    p_values = [paired([pd.Series(rng.normal(size=30))], [pd.Series(np.zeros(30))])[1] for _ in range(2000)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_a_user_on_several_splits_counts_once():
    own = pd.Series([0.1, 0.4, 0.2], index=[7, 8, 9])
    nothing = pd.Series(0.0, index=[7, 8, 9])
    assert paired([own] * 3, [nothing] * 3)[1] == pytest.approx(paired([own], [nothing])[1])


def test_models_that_are_equal_for_every_user_do_not_differ():
    own = pd.Series([0.1, 0.4])
    assert paired([own], [own])[1] == 1.0


def test_holm_adjusts_the_smallest_most_and_keeps_the_order():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])


def test_only_users_that_both_were_tested_on_are_compared():
    own, other = pd.Series([0.5, 0.3, np.nan, 0.9], index=[1, 2, 3, 4]), pd.Series([0.1, 0.1, 0.7], index=[1, 2, 3])
    difference, p_value = paired([own], [other])
    assert difference.mean == pytest.approx(0.3)
    assert p_value == pytest.approx(stats.ttest_1samp([0.4, 0.2], 0).pvalue)


def test_randomisation_agrees_with_every_pattern_of_signs():
    differences = np.array([0.3, -0.1, 0.4, 0.2, 0.0, 0.5, -0.2, 0.3, 0.1])
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1)
    exact = np.mean(np.abs(differences @ signs) >= abs(differences.sum()) - 1e-9)
    assert randomisation(differences) == pytest.approx(exact, abs=0.01)


def test_randomisation_finds_nothing_as_often_as_it_should_in_skewed_hits():
    rng = np.random.default_rng(2)
    hits = rng.random((2, 300, 40)) < 0.1
    p_values = [
        randomisation(own.astype(float) - other, seed) for seed, (own, other) in enumerate(zip(*hits, strict=True))
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.08  # at most, as few users differ


def test_randomisation_never_says_never_and_draws_in_parts_alike(monkeypatch):
    differences = np.random.default_rng(3).normal(1.0, 1.0, 400)
    p_value = randomisation(differences)
    assert p_value == 1 / 10_000
    monkeypatch.setattr(significance, "_AT_ONCE", 70_000)
    assert randomisation(differences) == p_value
    assert randomisation(np.zeros(5)) == 1.0
    assert randomisation(np.empty(0)) == 1.0


def test_bootstrap_intervals_hold_the_mean_of_skewed_values_about_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(significance, "N_RESAMPLES", 499)
    rng = np.random.default_rng(4)
    intervals = [bootstrap_interval(rng.exponential(1.0, 60), seed) for seed in range(400)]
    held = np.mean([interval.low <= 1.0 <= interval.high for interval in intervals])
    assert held == pytest.approx(0.95, abs=0.035)


def test_values_that_are_all_the_same_have_no_interval_and_no_effect_size():
    assert str(bootstrap_interval(np.full(4, 0.25))) == "0.2500"
    assert np.isnan(effect_size(np.full(4, 0.25)))
    assert np.isnan(bootstrap_interval(np.empty(0)).mean)


def test_effect_size_is_the_t_statistic_by_the_root_of_the_number_of_users():
    differences = np.array([0.4, 0.2, -0.1, 0.3])
    assert effect_size(differences) == pytest.approx(stats.ttest_1samp(differences, 0).statistic / 2)


def test_intervals_of_ratios_hold_the_ratio_about_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(significance, "N_RESAMPLES", 999)
    rng = np.random.default_rng(4)
    intervals = []
    for _ in range(200):
        lists = rng.integers(1, 6, 60)
        intervals.append(bootstrap_ratio(rng.poisson(0.7 * lists), lists))
    assert np.mean([interval.low <= 0.7 <= interval.high for interval in intervals]) == pytest.approx(0.95, abs=0.05)


def test_a_ratio_that_all_users_share_has_no_interval():
    assert str(bootstrap_ratio([1, 2, 3], [2, 4, 6])) == "0.5000"
    assert str(bootstrap_ratio([0, 0], [0, 0])) == "nan"


def test_a_ratio_that_few_users_have_a_part_in_warns_of_nothing(recwarn):
    assert bootstrap_ratio([1, 0, 0, 0], [2, 3, 0, 0]).mean == 0.2
    assert not recwarn.list
