"""`python -m recsys serve`: what is wrong is said before anything is loaded; a promoted run takes over as it stands."""

import socket
import threading
from dataclasses import replace
from shutil import copytree
from time import sleep

import pandas as pd
import pytest

from recsys.data.address import Address
from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.studies.runs import Run
from recsys.web import serving
from recsys.web.catalogue import NotFoundError
from recsys.web.events import Event, Kind, Opinions
from recsys.web.served import Wish
from recsys.web.service import Service
from recsys.web.store import Store
from tests.web.conftest import data_of

VIEWER = "web-0123456789abcdef"
LIKED = Opinions({"0": 5.0, "2": 5.0})


@pytest.fixture
def run(runs, tmp_path):
    """A copy of the run of EASE, with a copy of iALS as its refit, not promoted yet."""
    copytree(runs["ease"], tmp_path / "run")
    copytree(runs["ials"], tmp_path / "run" / "refits" / "later")
    return tmp_path / "run"


def serve(run, tmp_path) -> Service:
    return Service({"run": run}, data_of, Store.open(Address.parse(str(tmp_path / "feedback.sqlite"))))


def test_a_port_in_use_is_told_before_a_run_is_loaded(command, runs, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = command("serve", runs["ease"], f"port={port}", "--store", tmp_path / "f.sqlite")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: 127.0.0.1:{port} cannot be listened at")
    assert "port=N" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere holds no finished run"),
        (["{ease}", "prot=1"], "Settings takes no 'prot': did you mean port"),
        (["{ease}", "explore.places=-1"], "explore.places=-1"),
        (["{ease}", "port=http"], "'port' of Settings must be int (got 'http')"),
        (["{ease}", "port=99999"], "ports are from 0 to 65535"),
        (["{ease}", "--store", "mysql://ann@127.0.0.1:9/films"], "the store mysql://127.0.0.1:9/films fails: (2003"),
        (["{ease}", "--store", "f.duckdb"], "f.duckdb takes one writer at a time"),
        (["{ease}", "--store", "feedback"], "the database's address is of no known kind"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_sentence(command, runs, words, told, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_STORE_URL", f"{tmp_path}/feedback.sqlite")  # and not where one's own is
    status, out, err = command("serve", *(word.format(ease=runs["ease"]) for word in words))
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_a_promoted_refit_is_served_and_a_roll_back_undoes_it(run, tmp_path):
    service = serve(run, tmp_path)
    assert service.served().name == "run"
    serving.promote(run, run / "refits" / "later")
    service.refresh()
    assert service.served().name == "run/refits/later"
    assert type(service.served().model).__name__ == "IALS"
    assert serving.roll_back(run) == run
    service.refresh()
    assert service.served().name == "run"
    with pytest.raises(UserError, match="no refit was promoted over it that could be taken back"):
        serving.roll_back(run)


def test_what_viewers_said_is_theirs_alone_and_can_be_taken_back_from_a_refit_that_learned_it(run, tmp_path):
    """The refit's data have a viewer among the users, as those of `recsys.web.refit` do."""

    def with_viewer(of: Run) -> Dataset:
        dataset = data_of(of)
        if of.directory == run:
            return dataset
        frame = pd.concat([dataset.user_frame, pd.DataFrame({"user_id": [VIEWER]})], ignore_index=True)
        return replace(dataset, user_frame=frame)

    service = Service({"run": run}, with_viewer, Store.open(Address.parse(str(tmp_path / "feedback.sqlite"))))
    service.tell(Event("a", VIEWER, Kind.RATING, 1.0, "0", 5.0))
    serving.promote(run, run / "refits" / "later")
    service.refresh()
    served = service.served()
    assert served.users[VIEWER] == 60
    assert not served.is_known(VIEWER)
    assert VIEWER not in served.some_users(100)
    with pytest.raises(NotFoundError):
        served.rated(VIEWER)
    assert served.recommend(VIEWER, service.store.opinions(VIEWER), Wish()).films[0].reason_film.movie_id == "0"
    service.tell(Event("b", VIEWER, Kind.UNDO, 2.0, undoes="a"))
    assert {film.reason for film in served.recommend(VIEWER, service.store.opinions(VIEWER), Wish()).films} == {None}


def test_only_finished_refits_are_promoted(run, runs):
    (run / "refits" / "later" / "manifest.json").unlink()
    for refit in (run / "refits" / "later", runs["gmf"]):
        with pytest.raises(UserError, match="is no finished refit of"):
            serving.promote(run, refit)


@pytest.mark.parametrize("damaged", ["model.json", "arrays.npz"])
def test_a_refit_that_cannot_be_loaded_leaves_the_old_run_served_and_is_tried_once(run, tmp_path, damaged, caplog):
    service = serve(run, tmp_path)
    service.served()
    serving.promote(run, run / "refits" / "later")
    (run / "refits" / "later" / "model" / damaged).write_bytes(b"damaged")
    service.refresh()
    service.refresh()
    assert service.served().name == "run"
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        f"run goes on with {run}, because its refit cannot be loaded"
    ]


def test_no_request_falters_while_runs_are_switched(run, tmp_path):
    service = serve(run, tmp_path)
    names: set[str] = set()
    failures: list[Exception] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                made = service.served().recommend(None, LIKED, Wish(k=3))
                assert len(made.films) == 3
                names.add(made.run)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        serving.promote(run, run / "refits" / "later")
        service.refresh()
        sleep(0.1)
        serving.roll_back(run)
        service.refresh()
        sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert names == {"run", "run/refits/later"}
