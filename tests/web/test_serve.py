"""`python -m recsys serve`: bad settings are refused before a run is loaded; promoted refits take over seamlessly."""

import queue
import re
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from shutil import copytree

import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.studies.runs import Run
from recsys.web import rollout
from recsys.web.catalogue import NotFoundError
from recsys.web.events import Event, Kind, Opinions
from recsys.web.http_server import warn_of_known_users_only
from recsys.web.lists import ListOptions
from recsys.web.recommendation_service import RecommendationService
from tests.web.conftest import dataset_of

LIMIT = 300  # seconds; a busy machine takes as long as it takes
VIEWER = "web-0123456789abcdef"
LIKED = Opinions({"0": 5.0, "2": 5.0})


@pytest.fixture
def run(runs, tmp_path):
    """A copy of the run of EASE with a copy of iALS as its refit, which is not promoted."""
    copytree(runs["ease"], tmp_path / "run")
    copytree(runs["ials"], tmp_path / "run" / "refits" / "later")
    return tmp_path / "run"


@pytest.fixture
def copied(run, feedback) -> RecommendationService:
    """A service over the copy."""
    return RecommendationService({"run": run}, dataset_of, feedback)


def test_a_port_in_use_is_refused_before_a_run_is_loaded(command, runs, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = command("serve", runs["ease"], f"port={port}", "--store", tmp_path / "f.sqlite")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: The server cannot listen on 127.0.0.1:{port}")
    assert "port=N" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere holds no finished run"),
        (["{ease}", "prot=1"], "ServerSettings takes no 'prot': did you mean port"),
        (["{ease}", "explore.places=-1"], "explore.places=-1"),
        (["{ease}", "explore=null"], "'explore' of ServerSettings must be Exploration (got None)"),
        (["{ease}", "port=http"], "'port' of ServerSettings must be int (got 'http')"),
        (["{ease}", "port=99999"], "port must be from 0 to 65535"),
        (
            ["{ease}", "--store", "mysql://ann@127.0.0.1:9/films"],
            "The feedback store mysql://127.0.0.1:9/films failed: (2003",
        ),
        (["{ease}", "--store", "f.duckdb"], "(got f.duckdb, which allows only one writer at a time)"),
        (["{ease}", "--store", "feedback"], "The database's address is of an unknown kind"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_sentence(command, runs, words, message, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_STORE_URL", f"{tmp_path}/feedback.sqlite")  # not the default place
    status, out, err = command("serve", *(word.format(ease=runs["ease"]) for word in words))
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_runs_that_cannot_serve_new_viewers_are_named_at_the_start(runs, feedback, caplog):
    warn_of_known_users_only(RecommendationService(runs, dataset_of, feedback))
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("lightgcn serves only the users of its training data")
    assert "such as ease" in caplog.messages[0]


def test_a_server_logs_what_it_does_with_the_time():
    switched = "logging.getLogger('recsys.web.recommendation_service').info('run switched to later')"
    program = f"import logging\nfrom recsys.web.http_server import start_log\nstart_log()\n{switched}"
    log = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    assert re.search(r"^\d\d:\d\d:\d\d INFO run switched to later$", log, re.MULTILINE)


def test_a_promoted_refit_is_served_until_a_roll_back(copied, run):
    assert copied.loaded_run().name == "run"
    rollout.promote(run, run / "refits" / "later")
    copied.refresh()
    assert copied.loaded_run().name == "run/refits/later"
    assert type(copied.loaded_run().model).__name__ == "IALS"
    assert rollout.roll_back(run) == run
    copied.refresh()
    assert copied.loaded_run().name == "run"
    with pytest.raises(UserError, match="no promoted refit that could be rolled back"):
        rollout.roll_back(run)


def test_feedback_can_be_undone_after_a_refit_has_learned_it_and_is_visible_to_its_viewer_only(run, feedback):
    """The refit's data have a viewer among the users, like those of `recsys.web.refit`."""

    def with_viewer(version: Run) -> Dataset:
        dataset = dataset_of(version)
        if version.directory == run:
            return dataset
        frame = pd.concat([dataset.user_frame, pd.DataFrame({"user_id": [VIEWER]})], ignore_index=True)
        return replace(dataset, user_frame=frame)

    service = RecommendationService({"run": run}, with_viewer, feedback)
    service.record(Event("a", VIEWER, Kind.RATING, 1.0, "0", 5.0))
    rollout.promote(run, run / "refits" / "later")
    service.refresh()
    loaded = service.loaded_run()
    assert loaded.user_codes[VIEWER] == 60
    assert not loaded.has_user(VIEWER)
    assert VIEWER not in loaded.example_users(100)
    with pytest.raises(NotFoundError):
        loaded.ratings_of_user(VIEWER)
    assert (
        loaded.recommend(VIEWER, service.store.opinions(VIEWER), ListOptions()).films[0].reason_films[0].movie_id == "0"
    )
    service.record(Event("b", VIEWER, Kind.UNDO, 2.0, undoes="a"))
    assert {film.reason for film in loaded.recommend(VIEWER, service.store.opinions(VIEWER), ListOptions()).films} == {
        None
    }


def test_only_finished_refits_are_promoted(run, runs):
    (run / "refits" / "later" / "manifest.json").unlink()
    for refit in (run / "refits" / "later", runs["lightgcn"]):
        with pytest.raises(UserError, match="is not a finished refit of"):
            rollout.promote(run, refit)


@pytest.mark.parametrize("damaged", ["model.json", "arrays.npz"])
def test_a_damaged_refit_leaves_the_old_version_active_and_is_tried_once(copied, run, damaged, caplog):
    copied.loaded_run()
    rollout.promote(run, run / "refits" / "later")
    (run / "refits" / "later" / "model" / damaged).write_bytes(b"damaged")
    copied.refresh()
    copied.refresh()
    assert copied.loaded_run().name == "run"
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        f"run stays at {run}, because its refit cannot be loaded"
    ]


def test_no_request_fails_while_versions_are_switched(copied, run):
    answers: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
    stopped = threading.Event()

    def request_lists() -> None:
        while not stopped.is_set():
            try:
                listed = copied.loaded_run().recommend(None, LIKED, ListOptions(k=3))
                assert len(listed.films) == 3
                answers.put(listed.run)
            except Exception as error:
                answers.put(error)

    def wait_for(version: str) -> None:
        while (answer := answers.get(timeout=LIMIT)) != version:
            assert answer in ("run", "run/refits/later")

    threads = [threading.Thread(target=request_lists) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_for("run")
        for _ in range(2):
            rollout.promote(run, run / "refits" / "later")
            copied.refresh()
            wait_for("run/refits/later")
            rollout.roll_back(run)
            copied.refresh()
            wait_for("run")
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    while not answers.empty():
        assert answers.get() in ("run", "run/refits/later")
