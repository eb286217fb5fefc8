"""The ASGI application: the API of one service, behind the middleware that checks requests."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from recsys.web.api import add_api
from recsys.web.protection import Protection, RequestGuard
from recsys.web.recommendation_service import RecommendationService
from recsys.web.request_metrics import RequestMetrics

REFRESH_SECONDS = 1.0  # between checks for a promoted run
GC_THRESHOLDS = (2000, 10, 500)  # pages leave much garbage, and a full collection blocks every request

log = logging.getLogger(__name__)


def create_app(service: RecommendationService, protection: Protection) -> FastAPI:
    """Build the application."""
    app = FastAPI(
        title="recsys",
        version=version("recsys"),
        description="Film recommendations with reasons, for users of the data and for new ones, and their feedback.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # it would load scripts from another site
        redoc_url=None,
        lifespan=lambda app: _refreshing(service),
    )
    request_metrics = RequestMetrics()
    add_api(app, service, request_metrics)
    app.add_middleware(RequestGuard, protection=protection, request_metrics=request_metrics)
    return app


@asynccontextmanager
async def _refreshing(service: RecommendationService) -> AsyncIterator[None]:
    """Check for promoted runs for as long as the application runs."""

    async def refresh_repeatedly() -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await asyncio.to_thread(service.refresh)
            except Exception:  # one failed check does not end the checks
                log.exception("The check for a promoted run failed")

    gc.collect()
    gc.freeze()  # loaded models are never garbage, and scanning them would delay requests
    gc.set_threshold(*GC_THRESHOLDS)
    refreshing = asyncio.create_task(refresh_repeatedly())
    try:
        yield
    finally:
        refreshing.cancel()
