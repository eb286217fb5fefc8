"""Histories that count for a visit: they change lists, and nothing of them is stored."""

import time

import pytest

from recsys.web import visits
from recsys.web.events import Event, Kind
from recsys.web.lists import UNLOGGED, ListOptions
from recsys.web.visits import BroughtHistory, Visits

VIEWER = "web-0123456789abcdef"
COMEDIES = BroughtHistory("ratings.csv (Letterboxd)", {"10": 5.0, "12": 5.0, "14": 1.0})
OPTIONS = ListOptions(k=5)


def test_a_visit_changes_the_list_and_is_not_stored(service, feedback):
    service.visits.begin(VIEWER, COMEDIES)
    assert service.opinions(VIEWER).ratings == COMEDIES.ratings
    listed = service.show_list(VIEWER, OPTIONS)
    assert not {film.film.movie_id for film in listed.films} & COMEDIES.ratings.keys()
    assert {film.movie_id for listed_film in listed.films for film in listed_film.reason_films} <= {"10", "12"}
    assert listed.list_id == UNLOGGED
    assert not any(feedback.counts().values())
    assert feedback.data() is None


def test_stored_ratings_come_after_those_of_the_visit(service):
    service.record(Event("rated", VIEWER, Kind.RATING, 1.0, "10", 2.0))
    service.visits.begin(VIEWER, COMEDIES)
    assert list(service.opinions(VIEWER).ratings.items()) == [("12", 5.0), ("14", 1.0), ("10", 2.0)]
    assert service.stored_opinions(VIEWER).ratings == {"10": 2.0}
    service.visits.end(VIEWER)
    assert service.opinions(VIEWER).ratings == {"10": 2.0}


def test_a_rating_from_a_list_of_a_visit_is_stored_without_the_list(service, feedback):
    service.visits.begin(VIEWER, COMEDIES)
    shown = {"run": "ease", "list_id": UNLOGGED, "position": 1}
    assert service.record(Event("rated", VIEWER, Kind.RATING, 1.0, "20", 4.0, **shown))
    assert not service.record(Event("clicked", VIEWER, Kind.CLICK, 1.0, "20", **shown))
    assert feedback.event("rated").list_id is None
    assert feedback.counts()["click"] == 0


def test_many_events_are_stored_in_batches(service, feedback, monkeypatch):
    monkeypatch.setattr("recsys.web.recommendation_service.EVENTS_AT_A_TIME", 2)
    service.record_all([Event(f"e{film}", VIEWER, Kind.RATING, 1.0, str(film), 4.0) for film in range(5)])
    assert len(feedback.opinions(VIEWER).ratings) == 5


def test_a_visit_is_of_one_viewer_and_ends(monkeypatch):
    all_visits = Visits()
    all_visits.begin("a", COMEDIES)
    assert all_visits.history("b") is None
    later = time.monotonic() + visits.VISIT_SECONDS + 1
    monkeypatch.setattr(visits.time, "monotonic", lambda: later)
    assert all_visits.history("a") is None


@pytest.mark.parametrize("used", [None, "a"])
def test_the_visit_that_was_used_least_recently_ends_first(monkeypatch, used):
    monkeypatch.setattr(visits, "MAX_VISITS", 2)
    all_visits = Visits()
    for viewer in ("a", "b"):
        all_visits.begin(viewer, COMEDIES)
    all_visits.history(used or "b")
    all_visits.begin("c", COMEDIES)
    assert [viewer for viewer in "abc" if all_visits.history(viewer)] == (["a", "c"] if used else ["b", "c"])
