"""Error responses: JSON for the API, and an HTML page for browsers that are refused before a page is built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from recsys.errors import UserError
from recsys.web.catalogue import NotFoundError
from recsys.web.recommendation_service import RunError
from recsys.web.store import KeyConflictError, StoreError

NO_OBJECT = ("missing", "model_attributes_type")  # pydantic's errors for a body that is missing or no JSON object
JSON = re.compile(r"application/([\w.-]+\+)?json\s*(;|$)", re.IGNORECASE)
SERVER_ERROR = "Something went wrong: see the server's log."
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading} · recsys</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem;
margin: 15vh auto; padding: 0 1rem }}</style>
<h1>{heading}</h1>
<p>{sentence}</p>
</html>
"""


class ErrorDetails(BaseModel):
    """The HTTP status, and one sentence about what went wrong."""

    status: int = Field(description="the HTTP status of the response", examples=[404])
    message: str = Field(
        description="what went wrong, in one sentence",
        examples=["There is no film '0' in ml-100k: ids are like 1, 2, 3."],
    )


class ErrorResponse(BaseModel):
    """Body of every error response."""

    error: ErrorDetails = Field(description="the error")


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": meaning}
    for status, meaning in {
        400: "the request cannot be read",
        401: "the token is missing or wrong",
        403: "the request comes from another site, or names another host",
        404: "there is no such user, film or run",
        405: "the route does not take this method",
        409: "the key belongs to another event",
        413: "the request is too large",
        415: "the Content-Type header does not say that the body is JSON",
        422: "a value is invalid",
        429: "too many requests",
        431: "the headers are too large",
        500: "an error of the server, described in its log",
        503: "the feedback store or the run cannot be read",
    }.items()
}


def error_response(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Build an error response with a JSON body of the form `ErrorResponse`."""
    return JSONResponse({"error": {"status": status, "message": message}}, status, headers)


def error_page(status: int, message: str, headers: dict[str, str] | None = None) -> HTMLResponse:
    """Build an HTML error page without linked files (such as styles), since requests for them would be refused too."""
    heading = HTTPStatus(status).phrase.capitalize()
    return HTMLResponse(PAGE.format(heading=heading, sentence=escape(message)), status, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Make an application report all errors as JSON of the form `ErrorResponse`."""
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _server_error)


def _user_error(request: Request, error: Exception) -> JSONResponse:
    statuses = ((NotFoundError, 404), (KeyConflictError, 409), (StoreError, 503), (RunError, 503))
    status = next((status for kind, status in statuses if isinstance(error, kind)), 422)
    return error_response(status, str(error))


def _validation_error(request: Request, error: Exception) -> JSONResponse:
    """Build the response to an invalid request: it names the first invalid field and what is wrong with its value."""
    first = cast(RequestValidationError, error).errors()[0]
    _, *place = first["loc"]  # body, query or path, then the field
    if first["type"] == "json_invalid":
        return error_response(400, f"The body is not valid JSON: {first['ctx']['error']}.")
    if not place and first["type"] in NO_OBJECT:
        if not JSON.match(request.headers.get("content-type", "")):
            return error_response(415, "The Content-Type header must be application/json.")
        return error_response(422, "The body must be a JSON object.")
    return error_response(422, sentence_of_invalid({**first, "loc": place}))


def sentence_of_invalid(error: Mapping[str, Any]) -> str:
    """Describe a validation error of pydantic in one sentence: the field, and what is wrong with its value."""
    place = ".".join(map(str, error["loc"]))
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _http_error(request: Request, error: Exception) -> JSONResponse:
    http_error = cast(HTTPException, error)
    return error_response(http_error.status_code, str(http_error.detail), dict(http_error.headers or {}))


def _server_error(request: Request, error: Exception) -> JSONResponse:
    return error_response(500, SERVER_ERROR)
