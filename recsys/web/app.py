"""The platform in one process: page and API over one service, behind one guard."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

import torch
import uvicorn
from fastapi import FastAPI

from recsys.errors import UserError
from recsys.web.api import add_api
from recsys.web.index import IndexSettings
from recsys.web.measures import Measures
from recsys.web.pages import add_pages
from recsys.web.protection import Guard, Protection
from recsys.web.served import Exploration
from recsys.web.service import Service

LOOK_AGAIN = 1.0  # seconds between looks for a run that was promoted
GARBAGE = (2000, 10, 500)  # thresholds of collecting it: pages leave much, and a full collection stops everybody

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What is chosen about serving.

    Attributes:
        host: address to listen at.
        port: to listen at; 0 for any that is free.
        hosts: names by which the server may be called, see `Protection`.
        token_env: the environment variable with the token that requests must carry, see `Protection`.
        requests_per_minute: from one address.
        max_bytes: of a request.
        threads: of a model's arithmetic, for each request.
        tensorboard: its address, for a link.
        explore: what lists that are shown leave to chance.
        index: when films are indexed.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    hosts: Sequence[str] = ("127.0.0.1", "localhost", "::1")
    token_env: str = "RECSYS_TOKEN"  # noqa: S105 - the name of a variable
    requests_per_minute: int = 6000
    max_bytes: int = 262144
    threads: int = 1
    tensorboard: str | None = None
    explore: Exploration = Exploration()
    index: IndexSettings = IndexSettings()

    @property
    def protection(self) -> Protection:
        """What requests are held to."""
        token = os.environ.get(self.token_env) or None
        return Protection(token, tuple(self.hosts), self.requests_per_minute, self.max_bytes)


def make_app(service: Service, protection: Protection) -> FastAPI:
    """The platform as an ASGI application."""
    app = FastAPI(
        title="recsys",
        version=version("recsys"),
        description="Films for users of the data and for anybody new, with reasons; and what they say of them.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        lifespan=lambda app: _refreshing(service),
    )
    measures = Measures()
    add_api(app, service, measures)
    app.add_middleware(Guard, protection=protection, measures=measures)
    return app


def serve(service: Service, settings: Settings) -> None:
    """Answer until interrupted; once in a process.

    Raises:
        UserError: the port cannot be had.
    """
    listening = listen(settings.host, settings.port)
    torch.set_num_threads(settings.threads)
    for name in service.names():
        service.served(name)
    if not (settings.protection.token or settings.host in ("127.0.0.1", "localhost", "::1")):
        log.warning("Whoever reaches %s can use this without a token: set %s.", settings.host, settings.token_env)
    app = make_app(service, settings.protection)
    add_pages(app, service, settings.tensorboard)
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # anybody could claim another address than the one that rates are limited for
        ws_max_size=settings.max_bytes,
    )
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{listening.getsockname()[1]}"
    print(f"Serving {', '.join(service.names())} at {address} (Ctrl-C ends it)", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; taken before any long work.

    Raises:
        UserError: the port is in use, or not to be had.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "ports are from 0 to 65535"
        raise UserError(
            f"{host}:{port} cannot be listened at ({why}): choose another port with port=N, or stop what uses it."
        ) from error


@asynccontextmanager
async def _refreshing(service: Service) -> AsyncIterator[None]:
    """Look for promoted runs for as long as the server runs."""

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            try:
                await asyncio.to_thread(service.refresh)
            except Exception:  # one bad look does not end looking
                log.exception("looking for a promoted run failed")

    gc.collect()
    gc.freeze()  # what is here now stays, and looking through it for garbage would hold up requests
    gc.set_threshold(*GARBAGE)
    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
