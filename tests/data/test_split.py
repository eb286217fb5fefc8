"""Splits: adapted to warm starts, and joined with segments of users."""

import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.segments import join_segments
from recsys.data.split import TEST, TRAIN, VALID, WITHHELD, Split
from recsys.data.splitters import LeaveLastOut


@pytest.fixture
def split() -> Split:
    """Two users with a training, a validation and a test rating each."""
    return LeaveLastOut()(Dataset.from_arrays([0, 0, 0, 1, 1, 1], [0, 1, 2, 1, 2, 0], times=[1, 2, 3, 1, 2, 3]))


def test_warm_starts_hold_out_no_rating_that_the_model_was_trained_on(split):
    learned = split.dataset.users == 0
    adapted = split.for_warm_start(learned)
    assert adapted.labels.tolist() == [TRAIN, TRAIN, WITHHELD, TRAIN, VALID, TEST]
    assert adapted.test.unranked.user_counts.tolist() == [3, 2]
    assert adapted.refit_train.pairs.tolist() == split.refit_train.pairs.tolist()
    assert adapted.fingerprint == split.fingerprint


def test_segments_join_users_by_id_and_keep_their_categories(split):
    names = pd.Categorical(["late", "early"], categories=["early", "unused", "late"])
    joined = join_segments(split, pd.DataFrame({"user_id": ["7", "1"], "segment": names}))
    segment = joined.test.known.user_frame["segment"]
    assert segment.astype(object).where(segment.notna(), None).tolist() == [None, "early"]
    assert segment.cat.categories.tolist() == ["early", "unused", "late"]
    assert joined.fingerprint == split.fingerprint
    assert "segment" not in split.dataset.user_frame
