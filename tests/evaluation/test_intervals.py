import numpy as np
import pytest

from recsys.evaluation import intervals
from recsys.evaluation.intervals import bootstrap_ratio, mean_interval


def test_intervals_contain_the_mean_as_often_as_their_level_says():
    rng = np.random.default_rng(0)
    found = [mean_interval(rng.normal(3.0, 2.0, 5)) for _ in range(2000)]
    covered = np.mean([interval.low <= 3.0 <= interval.high for interval in found])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval():
    assert str(mean_interval([0.25])) == "0.2500"


def test_intervals_contain_the_ratio_about_as_often_as_their_level_says(monkeypatch):
    monkeypatch.setattr(intervals, "N_RESAMPLES", 999)
    rng = np.random.default_rng(4)
    found = []
    for _ in range(200):
        lists = rng.integers(1, 6, 60)
        found.append(bootstrap_ratio(rng.poisson(0.7 * lists), lists))
    assert np.mean([interval.low <= 0.7 <= interval.high for interval in found]) == pytest.approx(0.95, abs=0.05)


def test_a_ratio_that_all_users_share_has_no_interval():
    assert str(bootstrap_ratio([1, 2, 3], [2, 4, 6])) == "0.5000"
    assert str(bootstrap_ratio([0, 0], [0, 0])) == "nan"


def test_a_ratio_of_few_nonzero_users_raises_no_warning(recwarn):
    assert bootstrap_ratio([1, 0, 0, 0], [2, 3, 0, 0]).mean == 0.2
    assert not recwarn.list
