import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recsys.evaluation.significance import holm, mean_interval, paired


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
