"""A store that does not answer, and what goes on without it."""

import shutil
import sqlite3
from collections import namedtuple
from threading import Event, active_count

import pytest
from fastapi.testclient import TestClient

from recsys.web import deadline
from recsys.web.app import create_app
from recsys.web.deadline import Deadline
from recsys.web.protection import Protection
from recsys.web.recommendation_service import RecommendationService
from recsys.web.store import StoreError
from tests.web.conftest import LIMIT, dataset_of

LIKED = [{"movie_id": 2, "stars": 5}]


@pytest.fixture
def frozen():
    """A call that returns once the event is set."""
    thawed = Event()
    yield thawed
    thawed.set()


def test_a_call_gives_its_result_or_its_error():
    call = Deadline(LIMIT)
    assert call(pow, 2, 3) == 8
    with pytest.raises(ZeroDivisionError):
        call(divmod, 1, 0)


def test_callers_stop_waiting_for_a_frozen_store_and_finally_do_not_wait_at_all(frozen, monkeypatch):
    monkeypatch.setattr(deadline, "N_CALLS", 3)
    call = Deadline(0.001)
    for _ in range(3):
        with pytest.raises(StoreError, match=r"did not answer within 0\.001 s"):
            call(frozen.wait)
    before = active_count()
    with pytest.raises(StoreError, match="has not answered 3 earlier requests"):
        call(frozen.wait)
    assert active_count() == before


@pytest.fixture
def client(runs, feedback) -> TestClient:
    service = RecommendationService(runs, dataset_of, feedback, deadline=Deadline(0.001))
    service.loaded_run()
    return TestClient(create_app(service, Protection(requests_per_minute=10**6)), base_url="http://localhost:8080")


def test_lists_that_need_no_store_are_given_while_it_is_locked_and_health_says_so(client, tmp_path):
    locking = sqlite3.connect(tmp_path / "feedback.sqlite", isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    health = [client.get("/api/health") for _ in range(deadline.N_CALLS + 1)]
    assert {answer.status_code for answer in health} == {503}
    assert "feedback store is not available" in health[0].json()["error"]["message"]
    assert client.post("/api/recommend", json={"history": LIKED}).status_code == 200
    locking.rollback()
    locking.close()


def test_a_full_disk_shows_in_health(feedback, monkeypatch):
    feedback.check()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(StoreError, match=r"disk of the feedback store .* is full \(1,000 bytes are free\)"):
        feedback.check()
