"""Conditions on the metadata of items."""

from dataclasses import replace

import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.filters import items_meeting
from recsys.errors import UserError


@pytest.fixture
def dataset() -> Dataset:
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
    ("conditions", "expected"),
    [
        ([], [0, 1, 2, 3]),
        (["genre=drama"], [0, 1]),
        (["genres!=Drama"], [2]),  # the genres of item 3 are missing
        (["year>=1996"], [1, 2]),
        (["year != 1996"], [0, 1]),
        (["genre=Crime", "year<1996"], [0]),
        (["director=pedro almodovar"], [1]),
        (["title=HEAT"], [0]),
        (["title!=heat"], [1, 2]),
        (["release_date>1996-01-01", "release_date<=1996-03-08"], [2]),
    ],
)
def test_items_must_meet_every_condition(dataset, conditions, expected):
    assert list(items_meeting(dataset, conditions)) == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("genre", "must be COLUMN=VALUE, .* movie_id, title, year, genres, directors, release_date"),
        ("colour=red", r"one of movie_id, title, year, genres, .* \(got 'colour'\)"),
        ("year>=old", r"must be a number \(got 'old'\)"),
        ("release_date>soon", "must be a date"),
        ("title>A", "must use = or !="),
        ("genre=Comdy", "did you mean Comedy"),
        ("genre=Zzz", "choose another value, such as .*Comedy, .*Drama"),
        ("genre=", "must be COLUMN=VALUE"),
        ("year>2050", "No item of arrays meets year>2050"),
    ],
)
def test_malformed_and_unmet_conditions_are_refused(dataset, condition, message):
    with pytest.raises(UserError, match=message):
        items_meeting(dataset, [condition])
