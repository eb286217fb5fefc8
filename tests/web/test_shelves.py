"""Shelves of the page: their genres, and what is computed for them."""

from types import SimpleNamespace

import pytest

from recsys.web.lists import ListOptions
from recsys.web.pages.shelves import Shelf, build_shelves
from recsys.web.recommendation_service import RecommendationService


def shelves_of(service: RecommendationService, *genres: str) -> list[Shelf]:
    session = SimpleNamespace(site=SimpleNamespace(service=service), user_id="3", run=None)
    return build_shelves(session, ListOptions(genres=genres))


@pytest.fixture
def queries(service: RecommendationService, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The queries that the default run's model scores, one a list."""
    queries: list[object] = []
    model = service.loaded_run().model
    score = type(model).score
    monkeypatch.setattr(model, "score", lambda query: queries.append(query) or score(model, query))
    return queries


def test_the_genres_of_the_best_films_have_shelves(service: RecommendationService, queries: list[object]):
    shelves = shelves_of(service)
    assert {shelf.genre for shelf in shelves} == {"Comedy", "Drama"}
    assert len(queries) == 1 + len(shelves)


def test_nothing_but_the_shelves_is_computed_for_chosen_genres(service: RecommendationService, queries: list[object]):
    assert [shelf.genre for shelf in shelves_of(service, "Drama")] == ["Drama"]
    assert len(queries) == 1


def test_the_best_films_are_those_of_the_list(service: RecommendationService):
    listed = service.build_list("3", ListOptions(k=20))
    assert service.best_films("3", ListOptions(k=20)) == [film.film for film in listed.films]
