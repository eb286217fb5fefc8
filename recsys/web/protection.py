"""Protects the server: checks the host, origin and token of each request, and limits the size and rate of requests."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import parse_qs, urlsplit

from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.analysis.history_files.tables import MAX_BYTES
from recsys.errors import UserError, check_positive
from recsys.web.connections import HEADER_BYTES
from recsys.web.errors import error_page, error_response
from recsys.web.rate_limit import RateLimit
from recsys.web.request_metrics import RequestMetrics

Refuse = Callable[..., Response]  # builds a response from a status, a message and headers

COOKIE = "recsys_token"
MAX_DIGITS = 12  # of a Content-Length; longer ones are refused without being parsed
HOST = re.compile(r"\*|(\*\.)?[\w.:-]+", re.ASCII)
TOKEN = re.compile(r"[!-~]+")
UPLOADS = re.compile("/_nicegui/client/[^/]+/upload/[^/]+")  # of files on the pages
UPLOAD_BYTES = MAX_BYTES + 4096  # a history, and what multipart/form-data adds to it
OPEN_PATHS = ("/api/health",)  # probes need no token
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    # The page loads only its own files, except posters, whose addresses come from the films' metadata. Vue compiles
    # its templates in the browser, which requires 'unsafe-eval'.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: https: http:; font-src 'self' data:; frame-ancestors 'none'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'",  # the last two have no default
}


@dataclass(frozen=True)
class Protection:
    """Requirements that every request must meet.

    Attributes:
        token: the token that each request must carry, in the header `Authorization: Bearer` or, in a browser, once in
            the URL as `/?token=`; None if no token is required.
        hosts: host names of the server, without ports; every request must name one of them. A pattern such as
            `*.example.com` is allowed, and an empty collection allows any name. This protects against DNS rebinding,
            where the host name of another site resolves to this server.
        requests_per_minute: maximum number of requests per minute from each client address.
        max_bytes: maximum size of a request body in bytes; uploads of histories are limited to `UPLOAD_BYTES` instead.
    """

    token: str | None = None
    hosts: Collection[str] = ()
    requests_per_minute: int = 6000
    max_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UserError: a host name is invalid, a limit is not positive, or the token has characters that a header cannot
                contain.
        """
        check_positive(requests_per_minute=self.requests_per_minute, max_bytes=self.max_bytes)
        if not all(HOST.fullmatch(host) for host in self.hosts):
            raise UserError(
                f"hosts must be names or patterns such as *.example.com (got {list(self.hosts)}): give [] for any name."
            )
        if self.token is not None and not TOKEN.fullmatch(self.token):
            raise UserError("The token must be of ASCII letters, digits and punctuation without spaces (got others).")


class RequestGuard:
    """ASGI middleware that refuses invalid requests before their bodies are read, and counts and times all requests.

    Args:
        app: the application.
        protection: requirements that every request must meet.
        request_metrics: counts and latencies, to which each request is added.
        rate_limit: limit on the requests from each client address.
    """

    def __init__(
        self, app: ASGIApp, protection: Protection, request_metrics: RequestMetrics, rate_limit: RateLimit
    ) -> None:
        self.app = app
        self.protection = protection
        self.request_metrics = request_metrics
        self.rate_limit = rate_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request as an ASGI application: refuse it, or pass it to the application."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = await self._refusal(scope, Headers(scope=scope))
        if scope["type"] == "websocket":
            if refusal is None:
                await self.app(scope, partial(self._receive_at_the_rate, scope, receive), send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        await self._respond(scope, receive, send, refusal)

    async def _receive_at_the_rate(self, scope: Scope, receive: Receive) -> Message:
        """Receive a WebSocket message, which counts as a request; above the rate limit, end the connection instead."""
        message = await receive()
        if message["type"] == "websocket.receive" and not self._is_at_the_rate(scope):
            return {"type": "websocket.disconnect", "code": 1008}
        return message

    def _is_at_the_rate(self, scope: Scope) -> bool:
        return self.rate_limit.allows(client_network(scope))

    async def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the response that refuses a request, or None if the request is accepted."""
        refuse = error_page if _is_for_a_page(scope, headers) else error_response
        try:
            host, origin = urlsplit(f"//{headers.get('host', '')}"), urlsplit(headers.get("origin", ""))
        except ValueError:
            return refuse(400, "The Host or Origin header is not an address.")
        if not await _is_trusted_host(scope, self.protection.hosts):
            return refuse(403, f"This server is not called {host.hostname!r}: its names are set by hosts=[...].")
        if "origin" in headers and origin.netloc != host.netloc:
            return refuse(403, "Requests from another site are refused.")
        if not self._is_at_the_rate(scope):  # before the token is checked, so that tokens cannot be guessed
            limit = self.protection.requests_per_minute
            return refuse(429, f"More than {limit} requests in a minute: wait a little.", {"Retry-After": "1"})
        if scope["path"] not in OPEN_PATHS and (refusal := self._refusal_without_token(scope, headers, refuse)):
            return refusal
        return self._refusal_by_size(scope, headers, refuse)

    def _refusal_by_size(self, scope: Scope, headers: Headers, refuse: Refuse) -> Response | None:
        """Return a refusal if headers or body are too large or the end of the body is ambiguous, else None."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:  # in one packet
            return refuse(431, f"The headers of a request must have at most {HEADER_BYTES:,} bytes.")
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may take another end of the body
            message = "A request must not have both a Content-Length and a Transfer-Encoding header."
            return refuse(400, message, {"Connection": "close"})
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return refuse(400, "The Content-Length header is not a number.")
        if len(length) > MAX_DIGITS or int(length) > self._max_bytes(scope):
            return refuse(413, _size_message(self._max_bytes(scope)))
        return None

    def _refusal_without_token(self, scope: Scope, headers: Headers, refuse: Refuse) -> Response | None:
        """Return a refusal if the request does not carry the token, else None.

        A browser that sends the token in the URL gets a redirect, which sets a cookie with the token.
        """
        token = self.protection.token
        if token is None:
            return None
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if _equal(bearer if scheme.lower() == "bearer" else "", token) or _equal(cookie, token):
            return None
        in_address = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["type"] == "http" and scope["method"] == "GET" and _equal(in_address, token):
            redirect = RedirectResponse("/" + scope["path"].lstrip("/"), 303)  # //host would lead to another site
            is_secure = scope["scheme"] == "https"  # of a proxy that is trusted too
            redirect.set_cookie(COOKIE, token, secure=is_secure, httponly=True, samesite="strict")
            return redirect
        message = "Give the token: Authorization: Bearer TOKEN, or open the page once as /?token=TOKEN."
        return refuse(401, message, {"WWW-Authenticate": "Bearer"})

    def _max_bytes(self, scope: Scope) -> int:
        return UPLOAD_BYTES if UPLOADS.fullmatch(scope["path"]) else self.protection.max_bytes

    async def _respond(self, scope: Scope, receive: Receive, send: Send, refusal: Response | None) -> None:
        started = time.perf_counter()
        method, status = scope["method"], 500
        if method == "HEAD":  # sent by probes; the HTTP server leaves out the body of the response
            scope = {**scope, "method": "GET"}
        n_bytes, max_bytes = 0, self._max_bytes(scope)

        async def receive_limited() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > max_bytes:
                raise HTTPException(413, _size_message(max_bytes))  # reaches the error handlers through the reader
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await (refusal or self.app)(scope, receive_limited, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "page" if not scope["path"].startswith("/api/") else "unknown")
            self.request_metrics.add(method, route, status, time.perf_counter() - started)


async def _is_trusted_host(scope: Scope, hosts: Collection[str]) -> bool:
    """Return whether a request passes Starlette's host check; the plain-text refusal of the check is discarded."""
    is_trusted = False

    async def let_through(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal is_trusted
        is_trusted = True

    async def discard(message: Message) -> None:
        pass

    async def receive_nothing() -> Message:
        return {"type": "http.disconnect"}

    allowed = [f"[{host}]" if ":" in host else host for host in hosts] or ["*"]
    await TrustedHostMiddleware(let_through, allowed, www_redirect=False)(scope, receive_nothing, discard)
    return is_trusted


def _size_message(max_bytes: int) -> str:
    return f"The body of a request must have at most {max_bytes:,} bytes."


def _is_for_a_page(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser requests a page, which is so if the request accepts HTML and is not for the API."""
    is_api = scope["path"] == "/api" or scope["path"].startswith("/api/")
    return not is_api and "text/html" in headers.get("accept", "")


def client_network(scope: Scope) -> str:
    """Return a client's IPv4 address, or the /64 network of its IPv6 address, all of which one client can use."""
    host = (scope.get("client") or ("unknown",))[0].partition("%")[0]
    try:
        address = ip_address(host)
    except ValueError:  # a proxy may forward anything as the address
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
