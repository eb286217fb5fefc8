"""The ASGI application: the API of one recommendation service, behind the middleware that checks requests."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from recsys.web.api import add_api
from recsys.web.handover import WorkerCookie
from recsys.web.protection import Protection, RequestGuard
from recsys.web.rate_limit import RateLimit, SharedRateLimit
from recsys.web.recommendation_service import RecommendationService
from recsys.web.request_metrics import RequestMetrics
from recsys.web.store import StoreError

REFRESH_SECONDS = 1.0  # between checks for a promoted run, and between exchanges of counts with other servers
GC_THRESHOLDS = (2000, 10, 500)  # pages leave much garbage, and a full collection blocks every request

log = logging.getLogger(__name__)


def create_app(service: RecommendationService, protection: Protection, worker: str | None = None) -> FastAPI:
    """Build the application with the API; the web pages are added later, by `add_pages`.

    Args:
        service: the service that answers the requests.
        protection: requirements that every request must meet.
        worker: name of this process if it is one of several workers at one address, else None.
    """
    rate_limit = RateLimit(protection.requests_per_minute)
    repeated: dict[str, Callable[[], None]] = {"The check for a promoted run": service.refresh}
    if worker is not None or service.store.is_shared:
        rate_limit = SharedRateLimit(protection.requests_per_minute, service.exchange_requests)
        repeated["The exchange of request counts"] = rate_limit.exchange
    app = FastAPI(
        title="recsys",
        version=version("recsys"),
        description="Film recommendations with reasons, for users of the data and for new ones, and their feedback.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # it would load scripts from another site
        redoc_url=None,
        lifespan=lambda app: _repeating(repeated),
    )
    request_metrics = RequestMetrics()
    add_api(app, service, request_metrics)
    app.add_middleware(RequestGuard, protection=protection, request_metrics=request_metrics, rate_limit=rate_limit)
    if worker is not None:
        app.add_middleware(WorkerCookie, name=worker)
    return app


@asynccontextmanager
async def _repeating(functions: Mapping[str, Callable[[], None]]) -> AsyncIterator[None]:
    """Call each function every `REFRESH_SECONDS` while the application runs; its key is its name in the log."""

    async def repeat(what: str, function: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await asyncio.to_thread(function)
            except StoreError:  # the service has logged it
                continue
            except Exception:  # one failure does not end the repetition
                log.exception("%s failed", what)

    gc.collect()
    gc.freeze()  # loaded models are never garbage, and scanning them would delay requests
    gc.set_threshold(*GC_THRESHOLDS)
    repeating = [asyncio.create_task(repeat(what, function)) for what, function in functions.items()]
    try:
        yield
    finally:
        for task in repeating:
            task.cancel()
