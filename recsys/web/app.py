"""The platform in one process: page and API over one service, behind one guard."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI

from recsys.errors import UserError
from recsys.web.api import add_api
from recsys.web.pages import add_pages
from recsys.web.protection import Guard, Protection
from recsys.web.service import Service

LOOK_AGAIN = 1.0  # seconds between looks for a run that was promoted

log = logging.getLogger(__name__)


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
    add_api(app, service)
    app.add_middleware(Guard, protection=protection)
    return app


def serve(service: Service, protection: Protection, host: str, port: int, tensorboard: str | None = None) -> None:
    """Answer until interrupted; once in a process.

    Args:
        service: of the runs, and the store.
        protection: what requests are held to.
        host: address to listen at.
        port: to listen at; 0 for any that is free.
        tensorboard: its address, for a link.

    Raises:
        UserError: the port cannot be had.
    """
    listening = listen(host, port)
    service.served()
    app = make_app(service, protection)
    add_pages(app, service, tensorboard)
    config = uvicorn.Config(app, log_level="warning", server_header=False)
    shown = f"[{host}]" if ":" in host else host
    print(f"Serving {', '.join(service.names())} at http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends it)")
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; taken before any long work.

    Raises:
        UserError: the port is in use, or not to be had.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UserError(
            f"{host}:{port} cannot be listened at ({error.strerror}): choose another port with port=N, or stop what "
            "uses it."
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

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
