"""A server of several processes: a browser stays with its worker, and all workers serve and count alike."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import httpx
import pytest
from playwright.sync_api import expect

from recsys.web import rollout
from recsys.web.handover import COOKIE, Handover
from recsys.web.rate_limit import SharedRateLimit
from tests.web.browsing import CHROMIUM, browser, cards, rate, running_process, upload

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers need Linux")

N_WORKERS = 2
LIMIT = 300  # seconds; a busy machine takes as long as it takes


@pytest.fixture(scope="module")
def run(runs, tmp_path_factory) -> Path:
    """A copy of the run of EASE with a copy of iALS as its refit, which is not promoted."""
    folder = tmp_path_factory.mktemp("workers")
    copytree(runs["ease"], folder / "run")
    copytree(runs["ials"], folder / "run" / "refits" / "later")
    return folder / "run"


@pytest.fixture(scope="module")
def server(run) -> Iterator[tuple[subprocess.Popen[str], str]]:
    settings = ("--workers", str(N_WORKERS), "explore.places=0")
    with running_process(run, store=run.parent / "feedback.sqlite", settings=settings) as (process, address):
        yield process, address
        workers = children(process)
        process.terminate()
        assert process.wait(LIMIT) == 128 + signal.SIGTERM
        assert len(workers) == N_WORKERS
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def address(server) -> str:
    return server[1]


def page(address: str, worker: str | None = None) -> httpx.Response:
    """Open a page over a connection of its own."""
    cookies = {} if worker is None else {COOKIE: worker}
    return httpx.get(address, cookies=cookies, timeout=LIMIT).raise_for_status()


def names(address: str) -> list[str]:
    """Return the names of the workers, once each has answered a connection."""
    found: set[str] = set()
    while len(found) < N_WORKERS:
        found.add(page(address).cookies[COOKIE])
    return sorted(found)


def recommended_by(address: str, worker: str) -> str:
    """Return the version of the run with which a worker recommends."""
    body = {"history": [{"movie_id": "0"}]}
    answer = httpx.post(f"{address}/api/recommend", json=body, cookies={COOKIE: worker}, timeout=LIMIT)
    return answer.raise_for_status().json()["run"]


def children(process: subprocess.Popen[str]) -> list[int]:
    """Return the ids of the workers' processes."""
    pids = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_connections_with_the_cookie_of_a_worker_reach_it(address):
    for worker in names(address):
        assert all(COOKIE not in page(address, worker).cookies for _ in range(8))


def test_a_request_is_passed_on_completely_however_long_it_is(address):
    upload = b"x" * 10**6
    for worker in names(address):
        for _ in range(3):
            path = f"{address}/_nicegui/client/none/upload/1"
            assert httpx.post(path, content=upload, cookies={COOKIE: worker}, timeout=LIMIT).status_code == 404


def test_metrics_count_the_requests_to_all_workers(address):
    def counted() -> int:
        text = httpx.get(f"{address}/api/metrics", timeout=LIMIT).text
        found = re.search(r'recsys_requests_total{method="GET",route="/api/runs",status="200"} (\S+)', text)
        return int(float(found[1])) if found else 0

    before = counted()
    for worker in names(address) * 30:
        httpx.get(f"{address}/api/runs", cookies={COOKIE: worker}, timeout=LIMIT).raise_for_status()
    assert counted() == before + 30 * N_WORKERS


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_pages_react_whichever_worker_has_them(address):
    expect.set_options(timeout=1000 * LIMIT)
    with browser() as chromium:
        for _ in range(3):  # each with cookies of its own
            context = chromium.new_context(reduced_motion="reduce")
            tab = context.new_page()
            tab.set_default_timeout(1000 * LIMIT)
            tab.goto(address)
            rate(tab, "Heat", 5)
            expect(cards(tab).first).to_be_visible()
            tab.goto(f"{address}/history")
            upload(tab, "ratings.csv", "title,rating\nAmélie,5\n")
            tab.get_by_role("button", name="Use for this visit").click()
            expect(cards(tab).first).to_be_visible()
            tab.reload()
            expect(tab.get_by_text("for this visit")).to_be_visible()
            context.close()


def test_all_workers_switch_to_a_promoted_refit(address, run):
    workers = names(address)
    assert {recommended_by(address, worker) for worker in workers} == {"run"}
    rollout.promote(run, run / "refits" / "later")
    for worker in workers:
        while (version := recommended_by(address, worker)) != "run/refits/later":
            assert version == "run"
    rollout.roll_back(run)


def test_a_worker_that_ends_is_replaced(server, address):
    process, _ = server
    workers, before = names(address), children(process)
    os.kill(before[-1], signal.SIGKILL)
    while len(later := set(names(address)) - set(workers)) == 0:
        pass
    assert len(later) == 1
    [ended] = set(workers) - set(names(address))
    assert page(address, ended).cookies[COOKIE] in names(address)


def test_an_unknown_worker_s_connections_stay(tmp_path):
    handover = Handover(tmp_path)
    ours, _ = socket.socketpair()
    for name in (handover.name, "0123456789abcdef", "../../etc"):
        assert not handover.pass_on(ours, f"GET / HTTP/1.1\r\ncookie: a=b; {COOKIE}={name}\r\n\r\n".encode())
    other = Handover(tmp_path)
    assert not handover.pass_on(ours, f"GET / HTTP/1.1\r\n\r\ncookie: {COOKIE}={other.name}".encode())  # in a body
    assert handover.pass_on(ours, f"GET / HTTP/1.1\r\nCookie: a=b; {COOKIE}={other.name}\r\n\r\n".encode())


def test_a_client_has_one_rate_limit_at_all_servers_of_a_store(feedback):
    first, second = (SharedRateLimit(5, feedback.exchange_requests) for _ in range(2))
    assert all(first.allows("1.2.3.4") for _ in range(3))
    first.exchange()
    second.exchange()
    assert [second.allows("1.2.3.4") for _ in range(4)] == [True, True, False, False]
    assert second.allows("1.2.3.5")
    second.exchange()
    first.exchange()
    assert not first.allows("1.2.3.4")
    assert [first.allows("1.2.3.5") for _ in range(5)] == [True, True, True, True, False]


@pytest.mark.parametrize(("n", "message"), [("0", "workers must be from 1 to 256 (got 0)"), ("x", "invalid int value")])
def test_invalid_numbers_of_workers_are_refused(command, runs, n, message, tmp_path):
    status, out, err = command("serve", runs["ease"], "--workers", n, "--store", tmp_path / "f.sqlite")
    assert (status, out) == (2, "")
    assert message in err


def test_a_run_that_cannot_be_served_ends_the_command_in_one_sentence(command, tmp_path):
    serve = ("serve", tmp_path / "nowhere", "port=0", "--workers", "2", "--store", tmp_path / "f.sqlite")
    status, out, err = command(*serve)
    assert (status, out) == (2, "")
    assert "nowhere holds no finished run" in err.splitlines()[-1]
