"""Runs a server as several processes (workers) at one address.

Each worker is a complete server with its own copy of the runs. Each worker has its own socket, and the operating system
distributes new connections among the sockets. Workers share only the feedback store: each worker notices by itself that
a refit was promoted, workers exchange their request counts through the store (`rate_limit`), and a connection of a
browser is passed on to the worker that has the browser's pages (`handover`).
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import uvicorn

from recsys.errors import UserError
from recsys.interruption import exit_on_sigterm
from recsys.web.handover import Handover
from recsys.web.http_server import ServerSettings, announce, listen, load_server, start_log
from recsys.web.recommendation_service import RecommendationService
from recsys.web.request_metrics import SHARED

MAX_WORKERS = 256
END_SECONDS = 10.0  # for a worker to answer its last requests
RESTART_SECONDS = 1.0  # before a worker is replaced, so that one that cannot start does not fill the log

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """One process of a server.

    Attributes:
        process: the process.
        started: connection on which the worker sends None once it answers requests, or the reason why it cannot start.
            It is closed without a message if the process ends first.
    """

    process: BaseProcess
    started: Connection

    def wait_for_start(self) -> None:
        """Wait until the worker answers requests.

        Raises:
            UserError: the worker cannot start.
        """
        try:
            reason = self.started.recv()
        except EOFError:
            reason = f"A worker of the server ended while it started (exit status {self.process.exitcode})."
        if reason is not None:
            raise UserError(reason)


def run_workers(make_service: Callable[[], RecommendationService], settings: ServerSettings, n: int) -> None:
    """Serve the web pages and the API in several processes until interrupted.

    A worker that ends is replaced. The other workers start only after the first one, so that only the first one creates
    missing files and tables.

    Args:
        make_service: picklable function that each worker calls to create its own service.
        settings: settings of the server.
        n: number of workers.

    Raises:
        UserError: `n` is out of range, the system is not Linux, the port is not available, or the first worker cannot
            start.
    """
    if not 1 <= n <= MAX_WORKERS:
        raise UserError(f"workers must be from 1 to {MAX_WORKERS} (got {n}).")
    if sys.platform != "linux":
        raise UserError(f"workers must be 1 on {sys.platform} (got {n}): only Linux distributes connections.")
    start_log()
    with listen(settings.host, settings.port) as reserved:  # alone, so that a port in use is noticed
        port = reserved.getsockname()[1]
    sockets = [listen(settings.host, port, share=True) for _ in range(n)]
    workers: list[Worker] = []
    with TemporaryDirectory(prefix="recsys-") as shared, exit_on_sigterm(), suppress(KeyboardInterrupt):
        os.environ[SHARED] = shared  # before the workers import prometheus_client
        start = partial(_start, make_service, settings, Path(shared))
        try:
            for listening in sockets:
                workers.append(start(listening, is_first=not workers))
                if len(workers) == 1:
                    workers[0].wait_for_start()
            _replace_those_that_end(workers, sockets, start)
        finally:
            del os.environ[SHARED]
            _end(workers)


def _start(
    make_service: Callable[[], RecommendationService],
    settings: ServerSettings,
    shared: Path,
    listening: socket.socket,
    *,
    is_first: bool = False,
) -> Worker:
    context = get_context("spawn")  # a forked process could inherit locks of PyTorch's threads
    started, starting = context.Pipe(duplex=False)
    arguments = (make_service, settings, listening, shared, starting, is_first)
    process = context.Process(target=_work, args=arguments, daemon=True)
    process.start()
    starting.close()  # this process's copy, so that the end of the worker is noticed
    return Worker(process, started)


def _replace_those_that_end(
    workers: list[Worker], sockets: Sequence[socket.socket], start: Callable[[socket.socket], Worker]
) -> None:
    """Whenever a worker ends, start a new one on the same socket, until interrupted."""
    while True:
        connection.wait([worker.process.sentinel for worker in workers])
        for i, worker in enumerate(workers):
            if not worker.process.is_alive():
                log.error("Worker %d ended (exit status %s): a new one starts", i, worker.process.exitcode)
                time.sleep(RESTART_SECONDS)
                workers[i] = start(sockets[i])


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(END_SECONDS)
        worker.process.kill()


def _work(
    make_service: Callable[[], RecommendationService],
    settings: ServerSettings,
    listening: socket.socket,
    shared: Path,
    starting: Connection,
    is_first: bool,
) -> None:
    """Run a worker in this process until the process is terminated or its parent process ends."""
    start_log()
    # Ctrl-C reaches all processes of a terminal, and the one that started this one may end during its start.
    with exit_on_sigterm(), suppress(KeyboardInterrupt, BrokenPipeError):
        try:
            service = make_service()
            server = load_server(service, settings, Handover(shared))
        except UserError as error:
            starting.send(str(error))
            if not is_first:  # whose error ends the command
                log.error("%s", error)
            return
        if is_first:
            announce(service, settings, listening)
        Thread(target=_end_with_parent, args=(server,), daemon=True).start()
        starting.send(None)
        server.run([listening])


def _end_with_parent(server: uvicorn.Server) -> None:
    if (parent := parent_process()) is not None:
        parent.join()
    server.should_exit = True
