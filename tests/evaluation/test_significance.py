import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recsys.evaluation.significance import effect_size, holm, user_differences


def test_a_user_on_several_splits_counts_once():
    own = pd.Series([0.1, 0.4, 0.2], index=[7, 8, 9])
    nothing = pd.Series(0.0, index=[7, 8, 9])
    assert user_differences([own] * 3, [nothing] * 3).tolist() == pytest.approx([0.1, 0.4, 0.2])


def test_holm_adjusts_the_smallest_most_and_keeps_the_order():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])


def test_only_users_that_both_were_tested_on_are_compared():
    own, other = pd.Series([0.5, 0.3, np.nan, 0.9], index=[1, 2, 3, 4]), pd.Series([0.1, 0.1, 0.7], index=[1, 2, 3])
    assert user_differences([own], [other]).tolist() == pytest.approx([0.4, 0.2])


def test_values_that_are_all_equal_have_no_effect_size():
    assert np.isnan(effect_size(np.full(4, 0.25)))


def test_effect_size_is_the_t_statistic_by_the_root_of_the_number_of_users():
    differences = np.array([0.4, 0.2, -0.1, 0.3])
    assert effect_size(differences) == pytest.approx(stats.ttest_1samp(differences, 0).statistic / 2)
