"""Data sets of arrays: what is not one rating of a known user and item for each place is refused."""

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.errors import UserError


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"users": [], "items": []}, r"must have at least one rating \(got none\)"),
        ({"items": [0, 1, 2]}, r"one value for each rating \(got 2 users, 3 items\)"),
        ({"times": [7]}, r"one value for each rating \(got 2 users, 2 items, 1 times\)"),
        ({"users": [0, -1]}, r"users must be whole numbers from 0 to 0 \(got -1\)"),
        ({"items": [0, 3], "n_items": 3}, r"items must be whole numbers from 0 to 2 \(got 3\)"),
        ({"users": [0.5, 1.0]}, r"users must be whole numbers from 0 \(got 0.5\)"),
        ({"items": ["a", "b"]}, r"items must be whole numbers from 0 \(got 'a'\)"),
        ({"ratings": [1.0, np.nan]}, "ratings must be finite numbers"),
    ],
)
def test_arrays_that_are_no_ratings_are_refused(arrays: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        Dataset.from_arrays(**{"users": [0, 1], "items": [0, 1], **arrays})
