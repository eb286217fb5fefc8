"""Metadata as indicator features."""

import numpy as np
import pandas as pd
import pytest

from recsys.data.features import features, vocabulary


@pytest.fixture
def items() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "genres": [["Drama", "War"], ["Drama"], [], ["War"]],
            "year": pd.array([1985, 1989, None, 2000], "Int16"),
            "certificate": pd.array(["R", None, "R", "PG"], "string"),
            "directors": [["Kurosawa"], ["Kurosawa"], ["Mann"], []],
        }
    )


def test_vocabulary_lists_frequent_values_the_most_frequent_first(items):
    assert vocabulary(items, min_count=2).tolist() == [
        "genres=Drama",
        "genres=War",
        "year=1980s",
        "certificate=R",
        "directors=Kurosawa",
    ]
    assert vocabulary(items, ["directors"], 1).tolist() == ["directors=Kurosawa", "directors=?", "directors=Mann"]


def test_features_are_one_for_values_that_are_present_or_missing(items):
    names = np.array(["genres=War", "genres=?", "year=1980s", "year=?", "certificate=?", "directors=Kurosawa"])
    expected = [[1, 0, 1, 0, 0, 1], [0, 0, 1, 0, 1, 1], [0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]]
    matrix = features(items, names)
    assert matrix.dtype == np.float32
    assert matrix.toarray().tolist() == expected


def test_further_items_are_encoded_by_the_vocabulary(items):
    names = vocabulary(items, ["genres", "directors"], min_count=1)
    new = pd.DataFrame({"genres": [["War", "War", "Sport"], ["Drama"]]}, index=[7, 8])
    row, other = features(new, names).toarray()
    assert dict(zip(names, row, strict=True)) == {
        "genres=Drama": 0,
        "genres=War": 1,
        "genres=?": 0,
        "directors=Kurosawa": 0,
        "directors=?": 1,
        "directors=Mann": 0,
    }
    assert other[0] == 1


def test_years_may_be_floats(items):
    floats = items.assign(year=items["year"].astype("float64"))
    assert vocabulary(floats, ["year"], 1).tolist() == vocabulary(items, ["year"], 1).tolist()


def test_columns_that_the_frame_lacks_are_left_out(items):
    assert vocabulary(items, ["actors"], 1).tolist() == []
    assert features(items, np.array([], str)).shape == (4, 0)
