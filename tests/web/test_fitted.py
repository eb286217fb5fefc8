"""A fitted model behind the page, also from a notebook."""

import asyncio
import socket
import threading
from typing import Any, cast

import pytest

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.popularity import Popularity
from recsys.studies.runs import read_run
from recsys.web import http_server
from recsys.web.fitted import serve_model, write_run

DATA = Dataset.from_arrays([0, 0, 1, 2], [1, 0, 2, 1], n_items=4)


class Server:
    """Notes the thread that it runs in."""

    thread: threading.Thread

    def run(self, sockets: list[socket.socket]) -> None:
        self.thread = threading.current_thread()


def test_a_server_runs_in_a_thread_where_an_event_loop_runs_already():
    server = Server()

    async def cell() -> None:
        http_server._run(cast(Any, server), cast(Any, None))

    asyncio.run(cell())
    assert server.thread is not threading.main_thread()
    http_server._run(cast(Any, server), cast(Any, None))
    assert server.thread is threading.main_thread()


def test_a_model_is_written_as_a_run_that_a_service_reads(tmp_path):
    model = Popularity().fit(DATA)
    write_run(model, DATA, tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert run.manifest["data"]["films"] == 4
    assert run.model().data is None  # the service is given them


def test_a_model_without_data_cannot_be_served():
    with pytest.raises(UserError, match="Popularity must know the data"):
        serve_model(Popularity(), port=0, store=None)
