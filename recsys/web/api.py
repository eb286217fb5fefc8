"""The HTTP API: typed requests and responses, and one format for all errors.

Route functions are not `async`, so FastAPI runs them in threads and no request blocks another. No part of a request is
ever interpreted as a path, SQL or HTML.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Path, Query, Security
from fastapi.responses import PlainTextResponse, Response
from fastapi.security import HTTPBearer
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from recsys.errors import UserError
from recsys.web import answers
from recsys.web.errors import ERROR_RESPONSES, add_error_handlers, error_response
from recsys.web.events import Event
from recsys.web.recommendation_service import RecommendationService, now
from recsys.web.request_metrics import CONTENT_TYPE, RequestMetrics
from recsys.web.requests import (
    MAX_QUERY,
    ExplainRequest,
    FeedbackRequest,
    RawId,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
)
from recsys.web.responses import (
    FeedbackResponse,
    FilmDetailsResponse,
    FilmResponse,
    HealthResponse,
    ListedFilmResponse,
    RecommendResponse,
    RunResponse,
    SimilarResponse,
)

log = logging.getLogger(__name__)

TOKEN = HTTPBearer(auto_error=False, description="required if the server has a token (RECSYS_TOKEN)")
TitleQuery = Annotated[str, Query(min_length=1, max_length=MAX_QUERY, description="a title, or the beginning of one")]


def add_api(app: FastAPI, service: RecommendationService, request_metrics: RequestMetrics) -> None:
    """Add the routes under /api/ and the error handlers to an application.

    Args:
        app: the application.
        service: the service that answers the requests.
        request_metrics: the metrics that /api/metrics returns.
    """
    router = APIRouter(
        prefix="/api",
        responses=ERROR_RESPONSES,
        generate_unique_id_function=lambda route: route.name,  # names the methods of generated clients
        dependencies=[Security(TOKEN)],
    )

    @router.post("/recommend")
    def recommend(request: RecommendRequest) -> RecommendResponse:
        """Recommend films to a user, to a history of rated films, or to both together, without training a model."""
        return answers.recommend(service, request)

    @router.post("/similar")
    def similar(request: SimilarRequest) -> SimilarResponse:
        """Return the films that are most similar to one film."""
        return answers.similar(service, request)

    @router.post("/explain")
    def explain(request: ExplainRequest) -> ListedFilmResponse:
        """Return the score of one film for a user or a history of rated films, with the reason to recommend it."""
        return answers.explain(service, request)

    @router.get("/films")
    def films(
        query: TitleQuery, k: Annotated[int, Query(ge=1, le=100, description="largest number of films")] = 10
    ) -> list[FilmResponse]:
        """Search films by title, best match first; articles such as `The` and most typing errors do not matter."""
        return answers.search(service, SearchRequest(query=query, k=k))

    @router.get("/films/{movie_id:path}")  # an id may have slashes
    def film(movie_id: Annotated[RawId, Path(description="id of the film")]) -> FilmDetailsResponse:
        """Return all metadata of a film, and a histogram of its ratings in the data set."""
        catalogue = service.loaded_run().catalogue
        found = catalogue.film(movie_id)
        counts = {f"{stars:g}": n for stars, n in catalogue.histogram(movie_id).items()}
        return FilmDetailsResponse(
            **FilmResponse.from_film(found).model_dump(),
            plot=found.plot,
            runtime=found.runtime,
            details=dict(found.details),
            links=dict(found.links),
            histogram=counts,
        )

    @router.post("/feedback")
    def feedback(request: FeedbackRequest) -> FeedbackResponse:
        """Store an event of a viewer; the event is on disk when the response is sent."""
        return FeedbackResponse(kept=service.record(Event(**request.model_dump(), time=now())))

    @router.get("/runs")
    def runs() -> list[RunResponse]:
        """Return the runs that answer requests, the default first, with their metrics."""
        return [RunResponse.from_run(name, service.loaded_run(name)) for name in service.run_names()]

    @router.get("/health")
    def health() -> HealthResponse:
        """Check that the default model and the feedback store are available; if not, the reason is in the log."""
        for part, check in (("model", service.loaded_run), ("feedback store", service.check_store)):
            try:
                check()
            except UserError as error:
                log.warning("The %s is not available: %s", part, error)
                raise HTTPException(503, f"The {part} is not available: see the server's log.") from error
        return HealthResponse(status="ok")

    @router.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Return counts and latencies of requests, in the text format of Prometheus."""
        return Response(request_metrics.text(), media_type=CONTENT_TYPE)

    app.include_router(router)
    for path in ("/api", "/api/{path:path}"):  # before the pages, whose errors are HTML
        app.router.routes.append(Route(path, Unmatched(router)))
    add_error_handlers(app)


class Unmatched:
    """Refuses requests that match no route of the API: status 405 if only the method differs, otherwise 404.

    Args:
        router: the routes of the API.
    """

    def __init__(self, router: APIRouter) -> None:
        self.router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request as an ASGI application."""
        partial = [route for route in self.router.routes if route.matches(scope)[0] is Match.PARTIAL]
        methods = sorted({method for route in partial for method in getattr(route, "methods", ())})
        methods += ["HEAD"] * ("GET" in methods)
        if methods:
            refusal = error_response(405, f"The method must be {' or '.join(methods)}.", {"Allow": ", ".join(methods)})
        else:
            refusal = error_response(404, "There is no such route: /api/openapi.json lists all.")
        await refusal(scope, receive, send)
