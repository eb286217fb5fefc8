"""Example recommendations: liked titles are the highest rated, and seen items are not recommended."""

import numpy as np

from recsys.data.dataset import Dataset
from recsys.models.popularity import Popularity
from recsys.studies.examples import examples, spread


def test_liked_items_are_the_highest_rated_latest_first():
    known = Dataset.from_arrays([0, 0, 0, 0], [3, 1, 2, 0], [5, 5, 2, 5], [30, 10, 40, 20], n_items=5)
    example = examples(Popularity().fit(known), known.query(np.array([0])), known, k=3)[0]
    assert example.liked == ["Film 3", "Film 0", "Film 1"]


def test_rated_items_are_not_recommended():
    known = Dataset.from_arrays([0, 0, 1], [0, 1, 2], n_items=4)
    first, second = examples(Popularity().fit(known), known.query(np.array([0, 1])), known, k=10)
    assert sorted(first.recommended) == ["Film 2", "Film 3"]
    assert sorted(second.recommended) == ["Film 0", "Film 1", "Film 3"]
    assert [place for place, _, _ in second.rows()] == [1, 2, 3]


def test_examples_are_evenly_spread_and_at_most_all():
    assert list(spread(100, 5)) == [0, 24, 49, 74, 99]
    assert list(spread(3, 5)) == [0, 1, 2]
