"""The API: answers, errors of one form, and what it is protected against."""

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.websockets import WebSocketDisconnect

from recsys.web.app import make_app
from recsys.web.protection import Protection

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LIKED = [{"movie_id": 0}, {"movie_id": "2"}, {"movie_id": 4, "stars": 4}]


@pytest.fixture
def client(service) -> Iterator[TestClient]:
    with TestClient(make_app(service, Protection()), raise_server_exceptions=False) as client:
        yield client


def message(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert error["status"] == status
    return error["message"]


def test_somebody_new_is_recommended_films_with_reasons_at_once(client):
    answer = client.post("/api/recommend", json={"history": LIKED, "k": 3}).json()
    assert answer["run"] == "ease"
    assert [listed["film"]["genres"] for listed in answer["films"]] == [["Comedy"]] * 3
    assert answer["films"][0]["reason"]["sentence"].startswith("because you liked")


def test_feedback_changes_what_a_user_is_recommended_and_undo_takes_it_back(client):
    def listed() -> list[str]:
        films = client.post("/api/recommend", json={"user_id": 1, "k": 5}).json()["films"]
        return [listed["film"]["movie_id"] for listed in films]

    before = listed()
    told = {"key": "k1", "user_id": 1, "kind": "not_interested", "movie_id": before[0]}
    assert client.post("/api/feedback", json=told).json() == {"kept": True}
    assert client.post("/api/feedback", json=told).json() == {"kept": False}
    assert before[0] not in listed()
    undo = {"key": "k2", "user_id": 1, "kind": "undo", "undoes": "k1"}
    assert client.post("/api/feedback", json=undo).json() == {"kept": True}
    assert listed() == before


def test_somebody_of_feedback_alone_is_known(client):
    for place, film in enumerate(("0", "2", "4")):
        told = {"key": f"k{place}", "user_id": "web-1", "kind": "rating", "movie_id": film, "value": 5}
        assert client.post("/api/feedback", json=told).status_code == 200
    films = client.post("/api/recommend", json={"user_id": "web-1", "k": 3}).json()["films"]
    assert [listed["film"]["genres"] for listed in films] == [["Comedy"]] * 3


def test_a_list_that_is_shown_is_logged_and_names_itself_in_feedback(client, service):
    answer = client.post("/api/recommend", json={"user_id": 1, "k": 4, "show": True}).json()
    film = answer["films"][1]["film"]["movie_id"]
    told = {"key": "c", "user_id": 1, "kind": "click", "movie_id": film, "list_id": answer["list_id"], "position": 2}
    assert client.post("/api/feedback", json=told).status_code == 200
    assert service.store.impressions()["clicked"].tolist() == [False, True, False, False]


def test_films_are_searched_shown_and_placed_near_others(client):
    assert client.get("/api/films", params={"query": "matrx"}).json()[0]["title"] == "The Matrix"
    film = client.get("/api/films/0").json()
    assert film["title"] == "The Matrix"
    assert set(film["histogram"]) == {"1", "2", "3", "4", "5"}
    near = client.post("/api/similar", json={"movie_id": 0, "k": 2, "genres": ["Comedy"]}).json()
    assert near["film"]["movie_id"] == "0"
    assert len(near["films"]) == 2
    told = client.post("/api/explain", json={"movie_id": 6, "history": LIKED}).json()
    assert told["film"]["movie_id"] == "6"


def test_runs_tell_their_metrics_and_whom_they_serve(client):
    runs = client.get("/api/runs").json()
    assert [(run["name"], run["takes_new_people"]) for run in runs] == [("ease", True), ("ials", True), ("gmf", False)]
    assert "test/ndcg@10" in runs[0]["metrics"]


def test_health_and_metrics_tell_what_goes_on(client):
    assert client.get("/api/health").json() == {"status": "ok"}
    client.post("/api/recommend", json={"history": LIKED})
    client.post("/api/recommend", json={})
    text = client.get("/api/metrics").text
    assert 'recsys_requests_total{method="POST",route="/api/recommend",status="200"} 1.0' in text
    assert 'recsys_requests_total{method="POST",route="/api/recommend",status="422"} 1.0' in text
    assert 'recsys_request_seconds_count{route="/api/recommend"} 2.0' in text


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("recommend", {}, 422, "the history is empty, and there is no user_id: rate a film, or name a user"),
        ("recommend", {"user_id": "nobody"}, 404, "Nothing is known of user 'nobody': give a history, or a user of"),
        ("recommend", {"history": [{"movie_id": 1}, {"movie_id": "1"}]}, 422, "film 1 is rated twice in the history"),
        ("recommend", {"history": [{"movie_id": "x"}]}, 404, "There is no film 'x' in files"),
        (
            "recommend",
            {"history": [{"movie_id": 1, "stars": 9}]},
            422,
            "A rating cannot be 9 stars: it is one of 1, 2, 3, 4, 5",
        ),
        ("recommend", {"user_id": 1, "k": 0}, 422, "k: Input should be greater than or equal to 1"),
        ("recommend", {"user_id": 1, "runn": "x"}, 422, "runn: Extra inputs are not permitted"),
        ("recommend", {"user_id": 1, "run": "x"}, 404, "There is no run 'x' here"),
        ("recommend", {"user_id": 1, "genres": ["Comdy"]}, 422, "There is no genre 'Comdy'"),
        ("recommend", {"history": LIKED, "run": "gmf"}, 422, "GMF ignores what somebody new likes"),
        ("recommend", {"history": LIKED, "show": True}, 422, "show=true logs what a user sees"),
        ("recommend", {"history": [{"movie_id": i} for i in range(3000)]}, 422, "at most 2000 items"),
        ("similar", {"movie_id": "../../etc/passwd"}, 404, "There is no film"),
        ("similar", {"movie_id": "1' OR '1'='1"}, 404, "There is no film"),
        ("feedback", {"key": "k", "user_id": 1, "kind": "rating", "movie_id": 1, "value": 4.2}, 422, "cannot be 4.2"),
        ("feedback", {"key": "k", "user_id": 1, "kind": "rating", "movie_id": 1}, 422, "value is the stars"),
        ("feedback", {"key": "k", "user_id": 1, "kind": "impression", "movie_id": 1}, 422, "impressions are logged by"),
        ("feedback", {"key": "k", "user_id": 1, "kind": "undo", "undoes": "x"}, 422, "There is no event x to undo"),
        ("feedback", {"key": "k", "user_id": "a\x00b", "kind": "seen", "movie_id": 1}, 422, "user_id"),
    ],
)
def test_bad_input_is_told_in_one_sentence(client, path, body, status, told):
    assert told in message(client.post(f"/api/{path}", json=body), status)


def test_a_key_that_names_something_else_is_a_conflict(client):
    told = {"key": "k", "user_id": 1, "kind": "seen", "movie_id": 1}
    assert client.post("/api/feedback", json=told).status_code == 200
    assert "another event k" in message(client.post("/api/feedback", json={**told, "movie_id": 2}), 409)


def test_what_is_no_json_no_route_or_no_method_has_the_same_form(client):
    json = {"content-type": "application/json"}
    assert "The body is no JSON" in message(client.post("/api/recommend", content="[1", headers=json), 400)
    message(client.get("/api/nowhere"), 404)
    message(client.get("/api/recommend"), 405)


def test_a_store_out_of_reach_is_told_and_nothing_else_falters(client, service, tmp_path):
    service.store.close()
    (tmp_path / "feedback.sqlite").unlink()
    (tmp_path / "feedback.sqlite").mkdir()
    message(client.get("/api/health"), 503)
    told = {"key": "k", "user_id": 1, "kind": "seen", "movie_id": 1}
    message(client.post("/api/feedback", json=told), 503)
    assert client.post("/api/recommend", json={"history": LIKED}).status_code == 200


def guarded(service, **protection) -> TestClient:
    return TestClient(make_app(service, Protection(**protection)), base_url="http://localhost:8080")


def test_requests_under_other_names_or_from_other_sites_are_refused(service):
    client = guarded(service, hosts=["localhost"])
    assert client.get("/api/runs").status_code == 200
    assert "not called 'evil.example'" in message(client.get("/api/runs", headers={"host": "evil.example"}), 403)
    assert "another site" in message(client.get("/api/runs", headers={"origin": "http://evil.example"}), 403)
    assert client.get("/api/runs", headers={"origin": "http://localhost:8080"}).status_code == 200


def test_a_token_is_asked_for_by_everything_but_health(service):
    client = guarded(service, token="s3cret")
    assert "Give the token" in message(client.get("/api/runs"), 401)
    assert "Give the token" in message(client.get("/"), 401)
    message(client.get("/api/metrics"), 401)
    message(client.get("/api/runs", headers={"authorization": "Bearer wrong"}), 401)
    assert client.get("/api/runs", headers={"authorization": "Bearer s3cret"}).status_code == 200
    assert client.get("/api/health").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"host": "["}, {"origin": "http://["}, {"cookie": "a,b=1; user@x=2; =; recsys_token"}]
)
def test_odd_headers_are_no_servers_error(service, headers):
    client = guarded(service, token="s3cret")
    answer = client.get("/api/health", headers=headers)
    assert answer.status_code in (200, 400), answer.text
    assert client.get("/api/runs", headers=headers).status_code in (400, 401)
    kept = {"cookie": "a,b=1; user@x=2; recsys_token=s3cret"}
    assert client.get("/api/runs", headers=kept).status_code == 200


def test_a_browser_that_brings_the_token_once_keeps_it_as_a_cookie(service):
    client = guarded(service, token="s3cret")
    brought = client.get("/api/runs?token=s3cret", follow_redirects=False)
    assert brought.status_code == 303
    assert brought.headers["location"] == "/api/runs"  # without the token
    away = guarded(service, token="s3cret").get(
        "http://localhost:8080//evil.example/?token=s3cret", follow_redirects=False
    )
    assert away.headers["location"] == "/evil.example/"
    cookie = brought.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/api/runs").status_code == 200


def test_a_socket_is_held_to_origin_and_token_too(service):
    for client, headers in (
        (guarded(service), {"origin": "http://evil.example"}),
        (guarded(service, token="s3cret"), {}),
    ):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_nicegui_ws/socket.io", headers=headers):
            pass


def test_more_requests_than_allowed_wait(service):
    client = guarded(service, requests_per_minute=3)
    assert [client.get("/api/health").status_code for _ in range(4)] == [200, 200, 200, 429]
    guessing = guarded(service, token="s3cret", requests_per_minute=2)
    assert [guessing.get(f"/?token={guess}").status_code for guess in range(3)] == [401, 401, 429]
    refused = client.get("/api/health")
    assert "More than 3 requests in a minute" in message(refused, 429)
    assert refused.headers["retry-after"] == "1"


def test_a_body_too_large_is_refused_whether_it_says_so_or_not(service):
    client = guarded(service, max_bytes=1000)
    body = b'{"history": [' + b" " * 2000 + b"]}"
    json = {"content-type": "application/json"}
    assert "1,000 bytes" in message(client.post("/api/recommend", content=body, headers=json), 413)
    chunks = (body[i : i + 100] for i in range(0, len(body), 100))
    assert "1,000 bytes" in message(client.post("/api/recommend", content=chunks, headers=json), 413)


def test_answers_carry_headers_that_keep_browsers_safe(service):
    headers = guarded(service).get("/api/health").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_fuzzing_by_the_schema_finds_no_answer_outside_it(service, mode):
    app = make_app(service, Protection(requests_per_minute=10**6))
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 9
    for operation in operations:
        takes_something = any(operation.iter_parameters()) or len(operation.body)
        if mode is GenerationMode.NEGATIVE and not takes_something:
            continue  # nothing can be wrong with it

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(operation.as_strategy(mode))
        def fuzz(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        fuzz()
