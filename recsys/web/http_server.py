"""The server process: serves the web pages and the API at one address until it is interrupted."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from threading import Thread
from typing import cast

import uvicorn

from recsys.errors import UserError
from recsys.web.app import create_app
from recsys.web.connections import HEADER_BYTES, LimitedConnection, LimitedWebSocket
from recsys.web.exploration import Exploration
from recsys.web.handover import Handover
from recsys.web.index import IndexSettings
from recsys.web.pages import add_pages
from recsys.web.protection import Protection
from recsys.web.recommendation_service import RecommendationService

HOST = re.compile(r"[\w.:-]+", re.ASCII)
MAX_THREADS = 1024  # which every operating system can start
WAITING_MESSAGES = 4  # unread messages of a WebSocket, each at most as large as a request body
LOOPBACK = ("127.0.0.1", "localhost", "::1")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSettings:
    """Settings of `python -m recsys serve`.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 for any free port.
        hosts: host names that requests may give for this server; see `Protection`.
        token_env: name of the environment variable that holds the token that every request must carry; see
            `Protection`.
        requests_per_minute: maximum number of requests per minute from each client address.
        max_bytes: maximum size of a request body, in bytes.
        proxies: IP addresses of reverse proxies. In requests from these addresses, the header X-Forwarded-For names the
            client; in all other requests the header is ignored.
        threads: number of threads in which PyTorch computes the scores of a request.
        tensorboard: URL of a TensorBoard to link to, or None for no link.
        explore: how films are drawn at random in the lists that viewers see.
        index: settings of the approximate film index, and the catalogue size above which it is used.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    hosts: Sequence[str] = LOOPBACK
    token_env: str = "RECSYS_TOKEN"  # noqa: S105 - the name of a variable
    requests_per_minute: int = 6000
    max_bytes: int = 262144
    proxies: Sequence[str] = ()
    threads: int = 1
    tensorboard: str | None = None
    explore: Exploration = Exploration()
    index: IndexSettings = IndexSettings()

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UserError: a setting is out of its range.
        """
        if not 1 <= self.threads <= MAX_THREADS:
            raise UserError(f"threads must be from 1 to {MAX_THREADS} (got {self.threads}).")
        if not 0 <= self.port < 2**16:
            raise UserError(f"port must be from 0 to 65535 (got {self.port}).")
        if not HOST.fullmatch(self.host):
            raise UserError(f"host must be an address to listen on, such as 127.0.0.1 or 0.0.0.0 (got {self.host!r}).")
        if invalid := [proxy for proxy in self.proxies if not _is_ip_address(proxy)]:
            raise UserError(f"proxies must be IP addresses, such as [10.0.0.2] (got {invalid[0]!r}).")
        if self.tensorboard is not None and not self.tensorboard.startswith(("http://", "https://")):
            raise UserError(f"tensorboard must be an address such as http://localhost:6006 (got {self.tensorboard!r}).")
        _ = self.protection  # which checks its own settings

    @property
    def protection(self) -> Protection:
        """Return the requirements that every request must meet; the token is read from the environment."""
        token = os.environ.get(self.token_env) or None
        return Protection(token, tuple(self.hosts), self.requests_per_minute, self.max_bytes)


def start_log() -> None:
    """Log the server's messages to standard error, unless logging is already set up."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("recsys").setLevel(logging.INFO)


def run_server(service: RecommendationService, settings: ServerSettings) -> None:
    """Serve the web pages and the API until interrupted; call this only once in a process.

    Args:
        service: the service that answers the requests.
        settings: settings of the server.

    Raises:
        UserError: the port is not available, or a run cannot be loaded.
    """
    start_log()
    listening = listen(settings.host, settings.port)
    server = load_server(service, settings)
    announce(service, settings, listening)
    _run(server, listening)


def load_server(
    service: RecommendationService, settings: ServerSettings, handover: Handover | None = None
) -> uvicorn.Server:
    """Load the runs, and build a server that can answer requests as soon as it is started.

    Args:
        service: the service that answers the requests.
        settings: settings of the server.
        handover: exchanges connections with the other worker processes; None for a server of a single process.

    Raises:
        UserError: a run cannot be loaded.
    """
    import torch  # after the settings are checked: it takes a second to load

    torch.set_num_threads(settings.threads)
    service.load_all()
    app = create_app(service, settings.protection, handover.name if handover else None)
    add_pages(app, service, settings.tensorboard)
    connection = partial(LimitedConnection, proxies=settings.proxies, handover=handover)
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        # Without proxies, a client could claim another address than the one whose rate is limited.
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        http=cast(type[LimitedConnection], connection),
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws=LimitedWebSocket,
        ws_max_queue=WAITING_MESSAGES,
        ws_max_size=settings.max_bytes,
    )
    return uvicorn.Server(config) if handover is None else HandoverServer(config, handover)


class HandoverServer(uvicorn.Server):
    """A uvicorn server that also serves the connections that other worker processes pass on to it."""

    def __init__(self, config: uvicorn.Config, handover: Handover) -> None:
        super().__init__(config)
        self.handover = handover

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the server, and start to accept connections from other workers; see `uvicorn.Server.startup`."""
        await super().startup(sockets)
        protocol = cast(Callable[..., asyncio.Protocol], self.config.http_protocol_class)
        state = {"server_state": self.server_state, "app_state": self.lifespan.state}
        self.handover.receive(partial(protocol, config=self.config, **state))


def announce(service: RecommendationService, settings: ServerSettings, listening: socket.socket) -> None:
    """Print the address of the server, after warnings about runs and access.

    The warnings are about runs that cannot serve new viewers, and about a server that other machines can reach without
    a token.
    """
    warn_of_known_users_only(service)
    if not (settings.protection.token or settings.host in LOOPBACK):
        log.warning(
            "Anyone who can reach %s can use this server without a token: set %s.", settings.host, settings.token_env
        )
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{listening.getsockname()[1]}"
    print(f"Serving {', '.join(service.run_names())} at {address} (Ctrl-C ends it)", flush=True)


def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Run a server until interrupted; in a notebook, where an event loop is already running, in a separate thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with suppress(KeyboardInterrupt):
            server.run([listening])
        return
    thread = Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        server.should_exit = True
        thread.join()


def warn_of_known_users_only(service: RecommendationService) -> None:
    """Warn about each run that serves only the users of its training data: new viewers cannot rate films with it."""
    for name in service.run_names():
        loaded = service.loaded_run(name)
        if not loaded.scores_new_users:
            log.warning(
                "%s serves only the users of its training data, since %s cannot score new ones; new viewers cannot "
                "rate films with it: serve a run of another model, such as ease, for them.",
                name,
                type(loaded.model).__name__,
            )


def listen(host: str, port: int, *, share: bool = False) -> socket.socket:
    """Open a listening socket; call this before loading models, so that an unavailable port is reported immediately.

    Args:
        host: address to listen on.
        port: port to listen on; 0 for any free port.
        share: whether other sockets may listen at the same address and port; the operating system then distributes new
            connections among them.

    Raises:
        UserError: the port is in use or out of range, or `host` is not an address of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, reuse_port=share)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "ports are from 0 to 65535"
        raise UserError(
            f"The server cannot listen on {host}:{port} ({reason}): choose an address of this machine with host=, "
            "another port with port=N, or stop what uses it."
        ) from error


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
