"""Popularity within segments: given ones, worked by hand, and found ones."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset, History
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.segment_popularity import SegmentPopularity


@pytest.fixture
def given() -> Dataset:
    """Two users of one segment, one of another, and one of none."""
    train = Dataset.from_arrays([0, 0, 1, 2, 3], [0, 1, 0, 2, 1])
    return replace(train, user_frame=train.user_frame.assign(segment=pd.Categorical(["a", "a", "b", None])))


def test_a_given_segments_shares_are_damped_towards_all_users(given):
    model = SegmentPopularity(damping=2.0).fit(given)
    scores = model.score(np.array([1, 2]), given.history(np.array([1, 2])))
    np.testing.assert_allclose(scores[0], [(2 + 2 * 0.5) / 4, (1 + 2 * 0.5) / 4, (0 + 2 * 0.25) / 4])
    np.testing.assert_allclose(scores[1], [(0 + 2 * 0.5) / 3, (0 + 2 * 0.5) / 3, (1 + 2 * 0.25) / 3])


def test_users_without_a_segment_and_unknown_ones_get_what_all_users_watch(given):
    model = SegmentPopularity().fit(given)
    assert not model.uses_history
    scores = model.score(np.array([3, -1]), History.of_items([[1], [2]]))
    np.testing.assert_allclose(scores, [[0.5, 0.5, 0.25]] * 2)


def test_given_segments_are_saved(given, tmp_path):
    SegmentPopularity().fit(given).save(tmp_path)
    loaded = load(tmp_path)
    assert not loaded.uses_history
    users = np.arange(4)
    history = given.history(users)
    np.testing.assert_array_equal(loaded.score(users, history), SegmentPopularity().fit(given).score(users, history))


def test_somebody_new_is_in_the_segment_of_those_who_watch_alike():
    rng = np.random.default_rng(0)
    users, items = (rng.random((40, 20)) < 0.6).nonzero()
    alike = users % 2 == items % 2
    train = Dataset.from_arrays(users[alike], items[alike], n_users=40, n_items=20)
    films = train.item_frame.assign(genres=[["War"], ["Comedy"]] * 10)
    model = SegmentPopularity(n_segments=2).fit(replace(train, item_frame=films))
    fan, nobody = model.score(np.array([-1, -1]), History.of_items([[1, 3, 5], []]))
    assert fan[1::2].min() > fan[::2].max()
    np.testing.assert_allclose(nobody, train.item_counts / 40)


def test_a_damping_of_nothing_is_refused():
    with pytest.raises(UserError, match="damping=0"):
        SegmentPopularity(damping=0)
