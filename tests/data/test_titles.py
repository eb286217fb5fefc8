"""Titles as people type them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.item_names import item_names
from recsys.data.titles import find_item
from recsys.errors import UserError

TITLES = [
    ("Toy Story", 1995),
    ("Toy Story 2", 1999),
    ("Heat", 1995),
    ("Sabrina", 1954),
    ("Sabrina", 1995),
    ("The Matrix", 1999),
    ("Terminator 2: Judgment Day", 1991),
    ("The Terminator", 1984),
    ("Amélie (Le fabuleux destin d'Amélie Poulain)", 2001),
    ("Chasing Amy", 1997),
    ("Chasing Amy", 1997),
    (None, None),
    ("Star Wars: Episode IV - A New Hope", 1977),
    ("Star Wars: Episode V - The Empire Strikes Back", 1980),
    ("Sense and Sensibility", 1995),
    ("The Others", 2001),
    ("Others", 2003),
]


@pytest.fixture
def films() -> Dataset:
    """Film 10 is rated twice, the others once."""
    items = [*range(len(TITLES)), 10]
    frame = pd.DataFrame(TITLES, columns=["title", "year"])
    frame = frame.assign(movie_id=frame.index + 1, title=frame["title"].astype("string"))
    frame["year"] = frame["year"].astype("Int16")
    return replace(Dataset.from_arrays(np.arange(len(items)), items), item_frame=frame)


@pytest.mark.parametrize(
    ("typed", "film"),
    [
        ("toy story", 0),  # and not the second one, which holds it
        ("HEAT", 2),
        ("Matrix", 5),
        ("Matrix, The (1999)", 5),
        ("Sabrina (1954)", 3),
        ("amelie", 8),
        ("le fabuleux destin d'amelie poulain", 8),
        ("Sense & Sensibility", 14),
        ("terminator 2", 6),
        ("empire strikes back", 13),
        ("Toy Stroy", 0),
        ("The Matrx", 5),
        ("others", 16),  # and not the one with an article
        ("Others, The", 15),
        ("chasing amy", 10),  # of two of that name, the one with more ratings
    ],
)
def test_a_title_is_known_in_another_case_and_without_accents_articles_or_some_letters(films, typed, film):
    assert find_item(films, typed) == film


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("sabrina", ["Sabrina (1954)", "Sabrina (1995)"]),
        ("star wars", ["A New Hope (1977)", "The Empire Strikes Back (1980)"]),
    ],
)
def test_candidates_are_shown_for_an_ambiguous_title(films, typed, named):
    with pytest.raises(UserError, match="may be") as error:
        find_item(films, typed)
    assert all(name in str(error.value) for name in named)


def test_a_film_of_another_year_is_suggested_and_not_taken(films):
    with pytest.raises(UserError, match=r"There is no film 'Heat \(1994\)' in arrays: did you mean Heat \(1995\)\?$"):
        find_item(films, "Heat (1994)")


@pytest.mark.parametrize("typed", ["Zabriskie Point", "???", ""])
def test_an_unknown_film_is_an_error_of_one_sentence(films, typed):
    with pytest.raises(UserError, match="There is no film"):
        find_item(films, typed)


def test_a_film_is_named_by_title_and_year_as_far_as_they_are_known():
    frame = pd.DataFrame(
        {"movie_id": [7, 8, 9], "title": ["Heat", None, "Kolya"], "year": pd.array([1995, 1996, None], "Int16")}
    )
    assert list(item_names(frame)) == ["Heat (1995)", "film 8", "Kolya"]
