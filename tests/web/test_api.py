"""The API: responses, errors of one form, and protection."""

import re
import shutil
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from limits.storage import memory
from starlette.responses import HTMLResponse
from starlette.websockets import WebSocketDisconnect

from recsys.data.rating_scale import rating_values
from recsys.errors import UserError
from recsys.web.api import add_api
from recsys.web.app import create_app
from recsys.web.connections import HEADER_BYTES
from recsys.web.exploration import Exploration
from recsys.web.http_server import ServerSettings
from recsys.web.index import IndexSettings
from recsys.web.protection import UPLOAD_BYTES, Protection, RequestGuard
from recsys.web.rate_limit import RateLimit
from recsys.web.recommendation_service import NO_STORE, RecommendationService
from recsys.web.request_metrics import RequestMetrics
from recsys.web.store import Store
from tests.web.conftest import dataset_of

LIKED = [{"movie_id": 0}, {"movie_id": "2"}, {"movie_id": 4, "stars": 4}]


@pytest.fixture(scope="module")
def running(loaded_service) -> Iterator[TestClient]:
    """The application, which all tests share: building its routes takes longer than most of them."""
    app = create_app(loaded_service, Protection(requests_per_minute=10**6))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(running, service) -> TestClient:
    """The application over the store of a test."""
    return running


@pytest.fixture(scope="module")
def unguarded(loaded_service) -> FastAPI:
    """The API without protection."""
    app = FastAPI(openapi_url="/api/openapi.json")
    add_api(app, loaded_service, RequestMetrics())
    return app


@pytest.fixture
def guarded(unguarded, service) -> Callable[..., TestClient]:
    """The API over the store of a test, with protection by settings."""

    def guarded(**protection) -> TestClient:
        required = Protection(**protection)
        app = RequestGuard(unguarded, required, RequestMetrics(), RateLimit(required.requests_per_minute))
        return TestClient(app, base_url="http://localhost:8080")

    return guarded


def message(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert error["status"] == status
    return error["message"]


def test_a_new_user_gets_recommendations_with_reasons(client):
    answer = client.post("/api/recommend", json={"history": LIKED, "k": 3}).json()
    assert answer["run"] == "ease"
    assert [listed["film"]["genres"] for listed in answer["films"]] == [["Comedy"]] * 3
    assert answer["films"][0]["reason"]["sentence"].startswith("liked by")


def test_a_viewer_without_ratings_gets_the_popular_films(client, service):
    films = client.post("/api/recommend", json={"history": [], "k": 3}).json()["films"]
    counts = service.loaded_run().dataset.item_counts
    best = {str(film) for film in counts.argsort()[-6:]}
    assert {film["film"]["movie_id"] for film in films} <= best


def test_feedback_changes_recommendations_until_undone(client):
    def listed() -> list[str]:
        films = client.post("/api/recommend", json={"user_id": 1, "k": 5}).json()["films"]
        return [listed["film"]["movie_id"] for listed in films]

    before = listed()
    event = {"key": "k1", "user_id": 1, "kind": "not_interested", "movie_id": before[0]}
    assert client.post("/api/feedback", json=event).json() == {"kept": True}
    assert client.post("/api/feedback", json=event).json() == {"kept": False}
    assert before[0] not in listed()
    undo = {"key": "k2", "user_id": 1, "kind": "undo", "undoes": "k1"}
    assert client.post("/api/feedback", json=undo).json() == {"kept": True}
    assert listed() == before


def test_a_film_to_watch_later_is_not_recommended_until_then(client):
    def listed() -> list[str]:
        films = client.post("/api/recommend", json={"user_id": 1, "k": 5}).json()["films"]
        return [listed["film"]["movie_id"] for listed in films]

    before = listed()
    event = {"key": "k1", "user_id": 1, "kind": "watch_later", "movie_id": before[0]}
    assert client.post("/api/feedback", json=event).json() == {"kept": True}
    assert listed()[:4] == before[1:]
    assert client.post("/api/feedback", json={**event, "key": "k2", "value": 4}).status_code == 422
    assert client.post("/api/feedback", json={**event, "key": "k3", "movie_id": "none"}).status_code == 404


def test_a_list_is_ordered_by_year_on_request(client):
    def years(order: str) -> list[int]:
        answer = client.post("/api/recommend", json={"user_id": 1, "k": 5, "order": order})
        return [listed["film"]["year"] for listed in answer.json()["films"]]

    assert years("newest") == sorted(years("best"), reverse=True) == years("oldest")[::-1]


def test_films_drawn_at_random_are_marked(client, service):
    service.explore = Exploration(places=3, pool=30)
    films = client.post("/api/recommend", json={"user_id": 1, "k": 6, "show": True}).json()["films"]
    assert [listed["explored"] for listed in films] == [False] * 3 + [True] * 3
    assert [listed["reason"] is None for listed in films][3:] == [True] * 3


def test_a_user_with_feedback_only_is_known(client):
    for place, film in enumerate(("0", "2", "4")):
        event = {"key": f"k{place}", "user_id": "web-1", "kind": "rating", "movie_id": film, "value": 5}
        assert client.post("/api/feedback", json=event).status_code == 200
    films = client.post("/api/recommend", json={"user_id": "web-1", "k": 3}).json()["films"]
    assert [listed["film"]["genres"] for listed in films] == [["Comedy"]] * 3


def test_a_shown_list_is_logged_and_feedback_names_it(client, service):
    answer = client.post("/api/recommend", json={"user_id": 1, "k": 4, "show": True}).json()
    film = answer["films"][1]["film"]["movie_id"]
    event = {"key": "c", "user_id": 1, "kind": "click", "movie_id": film, "list_id": answer["list_id"], "position": 2}
    assert client.post("/api/feedback", json=event).status_code == 200
    assert service.store.impressions()["clicked"].tolist() == [False, True, False, False]


def test_films_are_found_described_and_compared(client):
    assert client.get("/api/films", params={"query": "matrx"}).json()[0]["title"] == "The Matrix"
    film = client.get("/api/films/0").json()
    assert film["title"] == "The Matrix"
    assert set(film["histogram"]) == {"1", "2", "3", "4", "5"}
    assert (film["plot"], film["runtime"], film["links"]) == ("", None, {})
    near = client.post("/api/similar", json={"movie_id": 0, "k": 2, "genres": ["Comedy"]}).json()
    assert near["film"]["movie_id"] == "0"
    assert len(near["films"]) == 2
    explained = client.post("/api/explain", json={"movie_id": 6, "history": LIKED}).json()
    assert explained["film"]["movie_id"] == "6"


def test_runs_have_metrics_and_say_whether_they_serve_new_users(client):
    runs = client.get("/api/runs").json()
    takes_new_people = {run["name"]: run["takes_new_people"] for run in runs}
    assert takes_new_people == {"ease": True, "ials": True, "lightgcn": False}
    assert "test/ndcg@10" in runs[0]["metrics"]


def test_health_and_metrics_describe_the_server(service):
    client = TestClient(create_app(service, Protection()))
    assert client.get("/api/health").json() == {"status": "ok"}
    client.post("/api/recommend", json={"history": LIKED})
    client.post("/api/recommend", json={})
    text = client.get("/api/metrics").text
    assert 'recsys_requests_total{method="POST",route="/api/recommend",status="200"} 1.0' in text
    assert 'recsys_requests_total{method="POST",route="/api/recommend",status="422"} 1.0' in text
    assert 'recsys_request_seconds_count{route="/api/recommend"} 2.0' in text


@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    [
        ("recommend", {}, 422, "the request must have a user_id or a history, which may be empty (got neither)"),
        ("recommend", {"user_id": "nobody"}, 404, "User 'nobody' is unknown: give a history, or a user of"),
        (
            "recommend",
            {"history": [{"movie_id": 1}, {"movie_id": "1"}]},
            422,
            "the history must hold each film once (got film 1 twice)",
        ),
        ("recommend", {"history": [{"movie_id": "x"}]}, 404, "There is no film 'x' in files"),
        (
            "recommend",
            {"history": [{"movie_id": 1, "stars": 9}]},
            422,
            "A rating must be one of 1, 2, 3, 4, 5 stars (got 9)",
        ),
        ("recommend", {"user_id": 1, "k": 0}, 422, "k: Input should be greater than or equal to 1"),
        ("recommend", {"user_id": 1, "runn": "x"}, 422, "runn: Extra inputs are not permitted"),
        ("recommend", {"user_id": 1, "run": "x"}, 404, "There is no run 'x' here"),
        ("recommend", {"user_id": 1, "genres": ["Comdy"]}, 422, "There is no genre 'Comdy'"),
        (
            "recommend",
            {"history": LIKED, "run": "lightgcn"},
            422,
            "LightGCN does not score by histories, so it cannot serve new viewers",
        ),
        (
            "recommend",
            {"history": LIKED, "show": True},
            422,
            "show=true must come with a user_id and without a history",
        ),
        ("recommend", {"history": [{"movie_id": i} for i in range(3000)]}, 422, "at most 2000 items"),
        ("similar", {"movie_id": "../../etc/passwd"}, 404, "There is no film"),
        ("similar", {"movie_id": "1' OR '1'='1"}, 404, "There is no film"),
        ("feedback", {"key": "k", "user_id": 1, "kind": "rating", "movie_id": 1, "value": 4.2}, 422, "(got 4.2)"),
        ("feedback", {"key": "k", "user_id": 1, "kind": "rating", "movie_id": 1}, 422, "must be given for a rating"),
        ("feedback", {"key": "k", "user_id": 1, "kind": "impression", "movie_id": 1}, 422, "impressions are logged by"),
        ("feedback", {"key": "k", "user_id": 1, "kind": "undo", "undoes": "x"}, 422, "There is no event x to undo"),
        ("feedback", {"key": "k", "user_id": "a\x00b", "kind": "seen", "movie_id": 1}, 422, "user_id"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(client, path, body, status, expected):
    assert expected in message(client.post(f"/api/{path}", json=body), status)


def test_a_key_of_another_event_is_a_conflict(client):
    event = {"key": "k", "user_id": 1, "kind": "seen", "movie_id": 1}
    assert client.post("/api/feedback", json=event).status_code == 200
    assert "Another event k" in message(client.post("/api/feedback", json={**event, "movie_id": 2}), 409)


def test_invalid_json_unknown_routes_and_wrong_methods_have_the_same_form(client):
    json = {"content-type": "application/json"}
    assert "The body is not valid JSON" in message(client.post("/api/recommend", content="[1", headers=json), 400)
    message(client.get("/api/nowhere"), 404)
    message(client.get("/api/recommend"), 405)
    assert client.put("/api/films").headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("kind", "body", "status", "expected"),
    [
        (None, '{"history": []}', 415, "The Content-Type header must be application/json."),
        ("application/x-www-form-urlencoded", '{"history": []}', 415, "The Content-Type header must be"),
        ("application/json", "", 422, "The body must be a JSON object."),
        ("application/json", "[]", 422, "The body must be a JSON object."),
        ("application/json; charset=utf-8", '{"history": []}', 200, None),
        ("Application/JSON", '{"history": []}', 200, None),
        ("application/vnd.films+json", '{"history": []}', 200, None),
    ],
)
def test_a_body_must_be_a_json_object_and_its_header_say_so(client, kind, body, status, expected):
    headers = {} if kind is None else {"content-type": kind}
    answer = client.post("/api/recommend", content=body, headers=headers)
    assert answer.status_code == status
    if expected is not None:
        assert expected in message(answer, status)


def test_an_invalid_parameter_is_named_as_in_the_request(client):
    assert message(client.get("/api/films"), 422) == "query: Field required"
    assert message(client.get("/api/films/"), 422) == "movie_id: String should have at least 1 character"


def logged_by_the_service(caplog) -> list[str]:
    return [record.message for record in caplog.records if record.name == "recsys.web.recommendation_service"]


def test_recommendations_continue_without_the_store_and_one_line_reports_the_outage(client, service, tmp_path, caplog):
    service.store.close()
    (tmp_path / "feedback.sqlite").unlink()
    (tmp_path / "feedback.sqlite").mkdir()
    message(client.get("/api/health"), 503)
    event = {"key": "k", "user_id": 1, "kind": "seen", "movie_id": 1}
    assert message(client.post("/api/feedback", json=event), 503) == NO_STORE
    assert client.post("/api/recommend", json={"history": LIKED}).status_code == 200
    assert client.post("/api/feedback", json=event).status_code == 503
    assert len(logged_by_the_service(caplog)) == 1
    (tmp_path / "feedback.sqlite").rmdir()
    service.store = Store.open(service.store.address)
    assert client.post("/api/feedback", json=event).status_code == 200
    assert logged_by_the_service(caplog)[1:] == ["The feedback store answers again."]


def test_requests_under_other_names_or_from_other_sites_are_refused(guarded):
    client = guarded(hosts=["localhost"])
    assert client.get("/api/runs").status_code == 200
    assert "not called 'evil.example'" in message(client.get("/api/runs", headers={"host": "evil.example"}), 403)
    assert "another site" in message(client.get("/api/runs", headers={"origin": "http://evil.example"}), 403)
    assert client.get("/api/runs", headers={"origin": "http://localhost:8080"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("[::1]:8080", 200),
        ("films.example.com", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("localhost@evil.example", 403),
        ("[::2]", 403),
        ("", 403),
        ("[", 400),
    ],
)
def test_hosts_are_compared_by_name_without_the_port(guarded, host, status):
    client = guarded(hosts=["localhost", "::1", "*.example.com"])
    answer = client.get("/api/health", headers={"host": host})
    assert answer.status_code == status
    assert "x-frame-options" in answer.headers


@pytest.mark.parametrize("host", ["*foo", "a.*.example.com", "*.*"])
def test_a_name_with_a_wildcard_in_the_wrong_place_is_refused_at_the_start(host):
    with pytest.raises(UserError, match=re.escape("such as *.example.com (got")):
        ServerSettings(hosts=[host])


def test_every_route_but_health_needs_the_token(service):
    client = TestClient(create_app(service, Protection(token="s3cret")), base_url="http://localhost:8080")
    assert "Give the token" in message(client.get("/api/runs"), 401)
    assert "Give the token" in message(client.get("/"), 401)
    message(client.get("/api/metrics"), 401)
    message(client.get("/api/runs", headers={"authorization": "Bearer wrong"}), 401)
    assert client.get("/api/runs", headers={"authorization": "Bearer s3cret"}).status_code == 200
    assert client.get("/api/health").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"host": "["}, {"origin": "http://["}, {"cookie": "a,b=1; user@x=2; =; recsys_token"}]
)
def test_malformed_headers_are_not_a_server_error(guarded, headers):
    client = guarded(token="s3cret")
    answer = client.get("/api/health", headers=headers)
    assert answer.status_code in (200, 400), answer.text
    assert client.get("/api/runs", headers=headers).status_code in (400, 401)
    with_token = {"cookie": "a,b=1; user@x=2; recsys_token=s3cret"}
    assert client.get("/api/runs", headers=with_token).status_code == 200


def test_the_token_in_an_address_becomes_a_cookie(guarded):
    client = guarded(token="s3cret")
    redirect = client.get("/api/runs?token=s3cret", follow_redirects=False)
    assert redirect.status_code == 303
    assert redirect.headers["location"] == "/api/runs"  # without the token
    away = guarded(token="s3cret").get("http://localhost:8080//evil.example/?token=s3cret", follow_redirects=False)
    assert away.headers["location"] == "/evil.example/"
    cookie = redirect.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    secure = guarded(token="s3cret").get("https://localhost/api/runs?token=s3cret", follow_redirects=False)
    assert "Secure" in secure.headers["set-cookie"]
    assert client.get("/api/runs").status_code == 200


def test_websockets_need_origin_and_token_too(guarded):
    for client, headers in (
        (guarded(), {"origin": "http://evil.example"}),
        (guarded(token="s3cret"), {}),
    ):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_nicegui_ws/socket.io", headers=headers):
            pass


def test_packets_beyond_the_rate_end_a_socket(monkeypatch):
    monkeypatch.setattr(memory, "time", SimpleNamespace(time=lambda: 2e9))

    async def count(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        await send({"type": "websocket.close", "code": message["code"]})

    client = TestClient(RequestGuard(count, Protection(), RequestMetrics(), RateLimit(3)))
    with client.websocket_connect("/") as socket:
        for text in "ab":
            socket.send_text(text)
            assert socket.receive_text() == text
        socket.send_text("c")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


def test_a_browser_that_is_refused_sees_a_page(guarded, monkeypatch):
    monkeypatch.setattr(memory, "time", SimpleNamespace(time=lambda: 2e9))
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    client = guarded(token="s3cret", hosts=["localhost"], requests_per_minute=3)
    for path, host, status, sentence in (
        ("/film/1", "localhost:8080", 401, "open the page once as /?token=TOKEN"),
        ("/", "<b>.example", 403, "&#x27;&lt;b&gt;.example&#x27;"),
        ("/", "localhost:8080", 401, "Give the token"),
        ("/", "localhost:8080", 401, "Give the token"),
        ("/", "localhost:8080", 429, "More than 3 requests in a minute"),
    ):
        answer = client.get(path, headers={**browser, "host": host})
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")
        assert sentence in answer.text
    message(client.get("/api/runs", headers=browser), 429)
    message(client.get("/style.css", headers={"accept": "text/css,*/*"}), 429)


def test_requests_beyond_the_rate_are_refused(guarded, monkeypatch):
    monkeypatch.setattr(memory, "time", SimpleNamespace(time=lambda: 2e9))  # or a minute could end between requests
    client = guarded(requests_per_minute=3)
    assert [client.get("/api/health").status_code for _ in range(4)] == [200, 200, 200, 429]
    guessing = guarded(token="s3cret", requests_per_minute=2)
    assert [guessing.get(f"/?token={guess}").status_code for guess in range(3)] == [401, 401, 429]
    refused = client.get("/api/health")
    assert "More than 3 requests in a minute" in message(refused, 429)
    assert refused.headers["retry-after"] == "1"


def test_a_body_too_large_is_refused_with_and_without_its_length(guarded):
    client = guarded(max_bytes=1000)
    body = b'{"history": [' + b" " * 2000 + b"]}"
    json = {"content-type": "application/json"}
    assert "1,000 bytes" in message(client.post("/api/recommend", content=body, headers=json), 413)
    chunks = (body[i : i + 100] for i in range(0, len(body), 100))
    assert "1,000 bytes" in message(client.post("/api/recommend", content=chunks, headers=json), 413)
    upload = "/_nicegui/client/1/upload/2"  # of a history
    assert client.post(upload, content=b"x" * 10_000).status_code == 404
    assert "bytes" in message(client.post(upload, content=b"x" * (UPLOAD_BYTES + 1)), 413)


def test_a_body_whose_end_is_ambiguous_is_refused_and_its_connection_closed(client):
    headers = {"content-type": "application/json", "content-length": "2", "transfer-encoding": "chunked"}
    answer = client.post("/api/recommend", content=b"{}", headers=headers)
    assert "both a Content-Length and a Transfer-Encoding" in message(answer, 400)
    assert answer.headers["connection"] == "close"


def test_headers_in_one_packet_have_the_same_limit_as_others(client):
    at_most = {"x": "y" * (HEADER_BYTES - 1000)}
    assert client.get("/api/health", headers=at_most).status_code == 200
    many = {f"x-{place}": "y" * 100 for place in range(HEADER_BYTES // 100)}
    for headers in ({"x": "y" * HEADER_BYTES}, many):
        assert f"{HEADER_BYTES:,} bytes" in message(client.get("/api/health", headers=headers), 431)


def test_responses_have_security_headers(guarded):
    headers = guarded().get("/api/health").headers
    policy = headers["content-security-policy"]
    assert all(f"{part};" in f"{policy};" for part in ("default-src 'self'", "base-uri 'none'", "form-action 'self'"))
    assert headers["x-content-type-options"] == "nosniff"


def test_head_is_answered_like_get(client):
    for path in ("/api/health", "/api/films/0", "/api/films/none", "/api/recommend"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.headers["content-length"]) == (get.status_code, get.headers["content-length"])


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_fuzzing_finds_no_response_outside_the_schema(service, mode):
    import schemathesis  # here, since it takes a second of each process that collects tests
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    app = create_app(service, Protection(requests_per_minute=10**6))
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    names = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    checked = [not_a_server_error, *(getattr(checks, name) for name in names)]
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 9
    for operation in operations:
        takes_something = any(operation.iter_parameters()) or len(operation.body)
        if mode == "negative" and not takes_something:
            continue  # there is no invalid request

        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(operation.as_strategy(schemathesis.GenerationMode(mode)))
        def fuzz(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=checked)

        fuzz()


@pytest.fixture(scope="module")
def behind_pages(loaded_service) -> TestClient:
    """The API with a page at every other address, as NiceGUI adds them: its errors are HTML."""
    app = create_app(loaded_service, Protection())
    app.mount("/", HTMLResponse("<h1>Not found</h1>", 404))
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/api/nowhere", 404, "no such route"),
        ("GET", "/api", 404, "no such route"),
        ("POST", "/api", 404, "no such route"),
        ("GET", "/api/", 404, "no such route"),
        ("POST", "/api/nowhere/else", 404, "no such route"),
        ("GET", "/api/recommend", 405, "must be POST"),
        ("DELETE", "/api/films", 405, "must be GET"),
        ("PUT", "/api/films/a/b", 405, "must be GET"),
        ("GET", "/api/films/a%2Fb", 404, "no film 'a/b'"),
        ("GET", "/api/films/七人の侍", 404, "no film '七人の侍'"),
        ("GET", "/api/films/" + "9" * 5000, 422, "movie_id"),
        ("GET", "/api/films?query=x&k=" + "9" * 5000, 422, "k: "),
    ],
)
def test_every_answer_of_the_api_is_json(behind_pages, method, path, status, expected):
    assert expected in message(behind_pages.request(method, path), status)


def test_an_error_of_the_server_is_json(client, service, monkeypatch):
    monkeypatch.setattr(service, "run_names", lambda: 1 / 0)
    assert "see the server's log" in message(client.get("/api/runs"), 500)


def test_numbers_of_thousands_of_digits_are_refused(client):
    for body in ('{"user_id": 1, "k": ' + "9" * 5000 + "}", "[" * 100_000):
        answer = client.post("/api/recommend", content=body, headers={"content-type": "application/json"})
        message(answer, 422 if answer.status_code == 422 else 400)


def test_a_damaged_run_is_named_without_its_path(runs, feedback, tmp_path, caplog):
    run = shutil.copytree(runs["ease"], tmp_path / "mine")
    (run / "segments").mkdir()
    (run / "segments" / "segments.csv").write_text("damaged")
    service = RecommendationService({"mine": run}, dataset_of, feedback)
    assert service.loaded_run().segment("1") is None
    service = RecommendationService({"mine": run}, dataset_of, feedback)
    (run / "model" / "model.json").unlink()
    client = TestClient(create_app(service, Protection()), base_url="http://localhost:8080")
    for answer in (client.get("/api/runs"), client.post("/api/recommend", json={"user_id": "1"})):
        assert message(answer, 503) == "The run mine cannot be loaded: see the server's log."
    assert f"{run}/model must be a directory with a saved model" in caplog.text


def test_health_shows_no_paths(guarded, service, tmp_path, caplog):
    client = guarded(token="s3cret")
    service.store.close()
    (tmp_path / "feedback.sqlite").unlink()
    (tmp_path / "feedback.sqlite").mkdir()
    assert str(tmp_path) not in message(client.get("/api/health"), 503)
    assert str(tmp_path) in caplog.text


@pytest.mark.parametrize("token", ["€", "\udcff", "é", "\x00", "a" * 5000])
def test_a_wrong_token_of_any_characters_is_refused(guarded, token):
    client = guarded(token="s3cret")
    raw = token.encode("utf-8", "surrogateescape")
    message(client.get(f"/api/runs?token={quote(raw)}"), 401)
    message(client.get("/api/runs", headers={b"authorization": b"Bearer " + raw.replace(b"\0", b"")}), 401)
    message(client.get("/api/runs", headers={b"cookie": b"recsys_token=" + raw.replace(b"\0", b"")}), 401)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"port": 70000}, "port must be from 0 to 65535"),
        ({"port": -1}, "port must be from 0 to 65535"),
        ({"host": ""}, "host must be"),
        ({"host": "http://localhost"}, "host must be"),
        ({"host": "\u00e9" * 70}, "host must be"),
        ({"hosts": ["http://films.example"]}, "hosts must be"),
        ({"hosts": [""]}, "hosts must be"),
        ({"requests_per_minute": 0}, "requests_per_minute must be above zero"),
        ({"max_bytes": -1}, "max_bytes must be above zero"),
        ({"requests_per_minute": 10**400}, "requests_per_minute must be at most 4294967295"),
        ({"threads": 0}, "threads must be from 1 to 1024"),
        ({"threads": 10**9}, "threads must be from 1 to 1024"),
        ({"proxies": ["*"]}, "proxies must be IP addresses"),
        ({"tensorboard": "javascript:alert(1)"}, "tensorboard must be an address"),
    ],
)
def test_settings_of_the_server_are_checked(setting, expected):
    with pytest.raises(UserError, match=re.escape(expected)):
        ServerSettings(**setting)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"beyond": -1}, "index.beyond must be zero or above"),
        ({"connections": 0}, "index.connections must be above zero"),
        ({"k": 10**20}, "index.k must be at most"),
    ],
)
def test_settings_of_the_index_are_checked(setting, expected):
    with pytest.raises(UserError, match=re.escape(expected)):
        IndexSettings(**setting)


def test_a_token_that_no_header_can_carry_is_refused_at_the_start(monkeypatch):
    monkeypatch.setenv("RECSYS_TOKEN", "10€")
    with pytest.raises(UserError, match="token must be of ASCII"):
        ServerSettings()


@pytest.mark.parametrize(
    ("ratings", "scale", "expected"),
    [
        ([1, 3, 5], (1, 5), (1, 2, 3, 4, 5)),
        ([0.5, 3, 5], (0.5, 1.5), (0.5, 1, 1.5)),
        ([0.25, 3.75], (0, 1), (0, 0.25, 0.5, 0.75, 1)),
        ([0.1, 3.3], (0, 0.3), (0, 0.1, 0.2, 0.3)),
        ([1.234, 3], (1, 2), (1, 1.5, 2)),
    ],
)
def test_stars_are_those_that_the_data_have(ratings, scale, expected):
    data = SimpleNamespace(ratings=np.array(ratings, np.float32), scale=scale)
    assert rating_values(data) == expected


def test_clients_of_one_network_share_a_rate(service, monkeypatch):
    monkeypatch.setattr(memory, "time", SimpleNamespace(time=lambda: 2e9))
    app = create_app(service, Protection(requests_per_minute=1))
    codes = {
        address: TestClient(app, client=(address, 1)).get("/api/health", headers={"x-forwarded-for": name}).status_code
        for address, name in [
            ("1.2.3.4", "10.0.0.1"),
            ("1.2.3.5", "10.0.0.2"),
            ("::ffff:1.2.3.4", "10.0.0.3"),
            ("::ffff:1.2.3.6", "10.0.0.4"),
            ("2001:db8::1", "10.0.0.5"),
            ("2001:db8::2", "10.0.0.6"),
            ("2001:db8:0:1::1", "10.0.0.7"),
            ("forwarded:by a proxy", "10.0.0.8"),
        ]
    }
    refused = [address for address, code in codes.items() if code == 429]
    assert refused == ["::ffff:1.2.3.4", "2001:db8::2"]
    assert {*codes.values()} == {200, 429}
