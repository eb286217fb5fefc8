import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recsys.evaluation import significance
from recsys.evaluation.significance import effect_size, holm, randomisation_test, user_differences


def test_a_user_on_several_splits_counts_once():
    own = pd.Series([0.1, 0.4, 0.2], index=[7, 8, 9])
    nothing = pd.Series(0.0, index=[7, 8, 9])
    assert user_differences([own] * 3, [nothing] * 3).tolist() == pytest.approx([0.1, 0.4, 0.2])


def test_models_that_are_equal_for_every_user_do_not_differ():
    own = pd.Series([0.1, 0.4])
    assert randomisation_test(user_differences([own], [own])) == 1.0


def test_holm_adjusts_the_smallest_most_and_keeps_the_order():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])


def test_only_users_that_both_were_tested_on_are_compared():
    own, other = pd.Series([0.5, 0.3, np.nan, 0.9], index=[1, 2, 3, 4]), pd.Series([0.1, 0.1, 0.7], index=[1, 2, 3])
    assert user_differences([own], [other]).tolist() == pytest.approx([0.4, 0.2])


def test_randomisation_agrees_with_every_pattern_of_signs():
    differences = np.array([0.3, -0.1, 0.4, 0.2, 0.0, 0.5, -0.2, 0.3, 0.1])
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1)
    exact = np.mean(np.abs(differences @ signs) >= abs(differences.sum()) - 1e-9)
    assert randomisation_test(differences) == pytest.approx(exact, abs=0.01)


def test_randomisation_agrees_with_scipy():
    differences = np.random.default_rng(5).normal(0.1, 1.0, 200)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", vectorized=True, rng=np.random.default_rng(0)
    )
    assert randomisation_test(differences) == pytest.approx(expected.pvalue, abs=0.02)


def test_randomisation_keeps_its_level_for_skewed_hits():
    rng = np.random.default_rng(2)
    hits = rng.random((2, 300, 40)) < 0.1
    p_values = [
        randomisation_test(own.astype(float) - other, seed) for seed, (own, other) in enumerate(zip(*hits, strict=True))
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.08  # at most, as few users differ


def test_randomisation_has_no_p_value_of_zero_and_does_not_depend_on_its_batches(monkeypatch):
    differences = np.random.default_rng(3).normal(1.0, 1.0, 400)
    p_value = randomisation_test(differences)
    assert p_value == 1 / 10_000
    monkeypatch.setattr(significance, "_BATCH_SIZE", 70_000)
    assert randomisation_test(differences) == p_value
    assert randomisation_test(np.zeros(5)) == 1.0
    assert randomisation_test(np.empty(0)) == 1.0


def test_values_that_are_all_equal_have_no_effect_size():
    assert np.isnan(effect_size(np.full(4, 0.25)))


def test_effect_size_is_the_t_statistic_by_the_root_of_the_number_of_users():
    differences = np.array([0.4, 0.2, -0.1, 0.3])
    assert effect_size(differences) == pytest.approx(stats.ttest_1samp(differences, 0).statistic / 2)
