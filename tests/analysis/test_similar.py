"""Tests of similar films: by the ratings of the same users, and by metadata."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.models.similar import SimilarItems

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "similar"
TITLES = ["Alien", "Aliens Return", "Notting Hill", "Love Actually", "Alien Planet", "Rain"]


@pytest.fixture
def dataset() -> Dataset:
    """Of 100 users, 40 rated films 0 and 1, and 40 others films 2 and 3; films 4 and 5 have no ratings."""
    users = np.repeat(np.arange(80), 2)
    items = np.where(np.arange(160) < 80, np.tile([0, 1], 80), np.tile([2, 3], 80))
    data = Dataset.from_arrays(users, items, n_users=100, n_items=6)
    frame = pd.DataFrame({"movie_id": range(6), "title": TITLES})
    frame["genres"] = [["Horror"], ["Horror"], ["Romance"], ["Romance"], ["Horror"], ["Drama"]]
    return replace(data, item_frame=frame)


def test_the_correlation_is_that_of_rated_and_unrated_with_shrunk_variances(timed):
    rated = timed.matrix().toarray().astype(float)
    expected = np.cov(rated[:, 3], rated[:, 7], bias=True)
    together = len(rated) * expected[0, 1]
    first, second = len(rated) * np.diag(expected)
    found = SimilarItems(timed).correlations(3)[7]
    assert found == pytest.approx(max(together, 0) / np.sqrt((first + 50) * (second + 50)))


def test_films_of_the_same_users_and_words_are_nearest(dataset):
    near = SimilarItems(dataset).nearest(0, np.arange(6), 5)
    assert [item for item, _ in near] == [1, 4]  # film 4 shares words alone; the others share nothing
    assert near[0][1] > near[1][1] > 0


def test_films_without_metadata_are_similar_by_ratings(dataset):
    untitled = replace(dataset, item_frame=pd.DataFrame({"movie_id": range(6), "title": [None] * 6}))
    assert [item for item, _ in SimilarItems(untitled).nearest(0, np.arange(6), 5)] == [1]


def test_only_candidates_are_listed(dataset):
    assert [item for item, _ in SimilarItems(dataset).nearest(0, np.array([2, 4]), 5)] == [4]


def test_related_films_are_of_one_series_or_of_one_director_and_genre(monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENT)
    from related import related_films, series_name

    sys.modules.pop("related")
    assert series_name("Star Trek III: The Search for Spock") == "star trek"
    assert series_name("The Godfather: Part II") == series_name("The Godfather") == "godfather"
    assert series_name("Jaws 3-D") == series_name("Jaws 2") == "jaws"
    assert series_name("Home Alone, Part Two") == "home alone"
    items = pd.DataFrame({"title": ["Jaws", "Jaws 2", "The Jaws", "Duel"]})
    items["directors"] = [["Spielberg"], ["Szwarc"], [], ["Spielberg"]]
    items["genres"] = [["Thriller"], ["Thriller"], ["Thriller"], ["Thriller", "Action"]]
    related = related_films(items, np.full(4, 10))
    assert related == {"series": {0: {1}, 1: {0, 2}, 2: {1}}, "director": {0: {3}, 3: {0}}}
    assert related_films(items, np.array([10, 9, 9, 9])) == {"series": {}, "director": {}}


def test_differences_of_recall_resample_groups_of_related_films(monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENT)
    from measure import difference, groups

    for name in ("measure", "related"):
        sys.modules.pop(name)
    related = {4: {3}, 3: {4, 1}, 1: {3}, 0: {5}, 5: {0}}
    assert groups(related, 6).tolist() == [1, 1, 1, 0, 0]
    recalls = np.repeat([1.0, 0.0], 20)
    alone = difference(recalls, np.zeros(40), np.arange(40))
    together = difference(recalls, np.zeros(40), np.arange(40) // 4)
    assert alone.mean == together.mean == 0.5
    assert together.high - together.low > alone.high - alone.low
