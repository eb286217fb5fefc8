import numpy as np
import pytest
from scipy import stats

from recsys.evaluation.significance import effect_size, holm


def test_holm_adjusts_the_smallest_most_and_keeps_the_order():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])


def test_values_that_are_all_equal_have_no_effect_size():
    assert np.isnan(effect_size(np.full(4, 0.25)))
    values = np.random.default_rng(0).random(50)
    assert np.ptp(values + 0.1 - values) > 0  # by rounding
    assert np.isnan(effect_size(values + 0.1 - values))
    assert np.isnan(effect_size(np.array([0.0, 1e-17, -1e-17])))


def test_effect_size_is_the_t_statistic_by_the_root_of_the_number_of_users():
    differences = np.array([0.4, 0.2, -0.1, 0.3])
    assert effect_size(differences) == pytest.approx(stats.ttest_1samp(differences, 0).statistic / 2)
