"""Popularity within given segments, worked by hand, and within those that the model finds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.segment_popularity import SegmentPopularity


@pytest.fixture
def given() -> Dataset:
    """Return two users of one segment, one of another, and one without a segment."""
    train = Dataset.from_arrays([0, 0, 1, 2, 3], [0, 1, 0, 2, 1])
    return replace(train, user_frame=train.user_frame.assign(segment=pd.Categorical(["a", "a", "b", None])))


def test_a_given_segments_shares_are_damped_towards_all_users(given):
    model = SegmentPopularity(damping=2.0).fit(given)
    scores = model.score(given.query(np.array([1, 2])))
    np.testing.assert_allclose(scores[0], [(2 + 2 * 0.5) / 4, (1 + 2 * 0.5) / 4, (0 + 2 * 0.25) / 4])
    np.testing.assert_allclose(scores[1], [(0 + 2 * 0.5) / 3, (0 + 2 * 0.5) / 3, (1 + 2 * 0.25) / 3])


def test_users_without_a_segment_and_unknown_users_get_the_shares_of_all_users(given):
    model = SegmentPopularity().fit(given)
    assert not model.uses_history
    scores = model.score(Query(np.array([3, -1]), History.of_items([[1], [2]])))
    np.testing.assert_allclose(scores, [[0.5, 0.5, 0.25]] * 2)


def test_given_segments_are_saved(given, tmp_path):
    SegmentPopularity().fit(given).save(tmp_path)
    loaded = load(tmp_path)
    assert not loaded.uses_history
    query = given.query(np.arange(4))
    np.testing.assert_array_equal(loaded.score(query), SegmentPopularity().fit(given).score(query))


def test_a_new_user_is_in_the_segment_of_users_with_similar_histories():
    rng = np.random.default_rng(0)
    users, items = (rng.random((40, 20)) < 0.6).nonzero()
    alike = users % 2 == items % 2
    train = Dataset.from_arrays(users[alike], items[alike], n_users=40, n_items=20)
    item_frame = train.item_frame.assign(genres=[["War"], ["Comedy"]] * 10)
    model = SegmentPopularity(n_segments=2).fit(replace(train, item_frame=item_frame))
    some, none = model.score(Query.of_histories(History.of_items([[1, 3, 5], []])))
    assert some[1::2].min() > some[::2].max()
    np.testing.assert_allclose(none, train.item_counts)


def test_damping_must_be_positive():
    with pytest.raises(UserError, match="damping must be above zero"):
        SegmentPopularity(damping=0)
