"""Conditions on films as people type them."""

from dataclasses import replace

import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.filters import films_passing
from recsys.errors import UserError


@pytest.fixture
def films() -> Dataset:
    frame = pd.DataFrame(
        {
            "movie_id": range(4),
            "title": pd.array(["Heat", "Volver", "Fargo", None], "string"),
            "year": pd.array([1995, 2006, 1996, None], "Int16"),
            "genres": [["Crime", "Drama"], ["Comedy", "Drama"], ["Crime"], []],
            "directors": [["Michael Mann"], ["Pedro Almodóvar"], ["Joel Coen", "Ethan Coen"], []],
            "release_date": pd.to_datetime(["1995-12-15", "2006-03-17", "1996-03-08", None]),
        }
    )
    return replace(Dataset.from_arrays([0, 0, 0, 0], [0, 1, 2, 3]), item_frame=frame)


@pytest.mark.parametrize(
    ("conditions", "passing"),
    [
        ([], [0, 1, 2, 3]),
        (["genre=drama"], [0, 1]),
        (["genres!=Drama"], [2]),  # of film 3 no genre is known
        (["year>=1996"], [1, 2]),
        (["year != 1996"], [0, 1]),
        (["genre=Crime", "year<1996"], [0]),
        (["director=pedro almodovar"], [1]),
        (["title=HEAT"], [0]),
        (["title!=heat"], [1, 2]),
        (["release_date>1996-01-01", "release_date<=1996-03-08"], [2]),
    ],
)
def test_films_pass_all_conditions_or_none(films, conditions, passing):
    assert list(films_passing(films, conditions)) == passing


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("genre", "write COLUMN=VALUE, .* movie_id, title, year, genres, directors, release_date"),
        ("colour=red", "no 'colour' .* movie_id, title, year, genres"),
        ("year>=old", "'old'"),
        ("release_date>soon", "a date"),
        ("title>A", "= and != alone"),
        ("genre=Comdy", "did you mean Comedy"),
        ("genre=", "is no filter"),
        ("year>2050", "No film of arrays passes year>2050"),
    ],
)
def test_a_filter_that_cannot_be_read_or_met_is_one_sentence(films, condition, said):
    with pytest.raises(UserError, match=said):
        films_passing(films, [condition])
