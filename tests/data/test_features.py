import numpy as np
import pandas as pd
import pytest

from recsys.data.features import features, vocabulary


@pytest.fixture
def films() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "genres": [["Drama", "War"], ["Drama"], [], ["War"]],
            "year": pd.array([1985, 1989, None, 2000], "Int16"),
            "certificate": pd.array(["R", None, "R", "PG"], "string"),
            "directors": [["Kurosawa"], ["Kurosawa"], ["Mann"], []],
        }
    )


def test_vocabulary_names_facts_of_enough_films_the_most_frequent_first(films):
    assert vocabulary(films, min_count=2).tolist() == [
        "genres=Drama",
        "genres=War",
        "year=1980s",
        "certificate=R",
        "directors=Kurosawa",
    ]
    assert vocabulary(films, ["directors"], 1).tolist() == ["directors=Kurosawa", "directors=?", "directors=Mann"]


def test_features_are_ones_where_facts_are_true_and_missing_is_a_fact(films):
    names = np.array(["genres=War", "genres=?", "year=1980s", "year=?", "certificate=?", "directors=Kurosawa"])
    expected = [[1, 0, 1, 0, 0, 1], [0, 0, 1, 0, 1, 1], [0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]]
    matrix = features(films, names)
    assert matrix.dtype == np.float32
    assert matrix.toarray().tolist() == expected


def test_new_films_are_laid_out_by_the_vocabulary_of_old_ones(films):
    names = vocabulary(films, ["genres", "directors"], min_count=1)
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


def test_years_may_be_floats(films):
    floats = films.assign(year=films["year"].astype("float64"))
    assert vocabulary(floats, ["year"], 1).tolist() == vocabulary(films, ["year"], 1).tolist()


def test_facts_that_no_film_has_are_left_out(films):
    assert vocabulary(films, ["actors"], 1).tolist() == []
    assert features(films, np.array([], str)).shape == (4, 0)
