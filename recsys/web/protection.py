"""What stands between the network and the platform: hosts, origins, a token, sizes and rates."""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from fastapi.responses import RedirectResponse, Response
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.web.api import failed
from recsys.web.measures import Measures

COOKIE = "recsys_token"
DIGITS = 12  # of a length that is worth reading
OPEN = ("/api/health",)  # what probes ask for needs no token
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    # What the page loads is its own; posters may come from elsewhere, by addresses in the films' metadata. Vue compiles
    # its templates in the browser, which takes 'unsafe-eval'.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: https: http:; font-src 'self' data:; frame-ancestors 'none'",
}


@dataclass(frozen=True)
class Protection:
    """What requests are held to.

    Attributes:
        token: that requests have to carry, as `Authorization: Bearer` or, in a browser, once as `/?token=`; or None.
        hosts: names by which the server may be called, without ports; none stand for any.
        requests_per_minute: from one address.
        max_bytes: of a request's body.
    """

    token: str | None = None
    hosts: Collection[str] = ()
    requests_per_minute: int = 6000
    max_bytes: int = 256 * 1024


class Guard:
    """Refuses requests before anything reads them, and measures the others; ASGI.

    Args:
        app: what answers.
        protection: what requests are held to.
        measures: where they are counted.
    """

    def __init__(self, app: ASGIApp, protection: Protection, measures: Measures) -> None:
        self.app = app
        self.protection = protection
        self.measures = measures
        self.rate = parse(f"{protection.requests_per_minute}/minute")
        self.limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it; see ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope, Headers(scope=scope))
        if scope["type"] == "websocket":
            if refusal is None:
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        await self._answer(scope, receive, send, refusal)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why a request is not answered, as a response; None where it is."""
        try:
            host, origin = urlsplit(f"//{headers.get('host', '')}"), urlsplit(headers.get("origin", ""))
        except ValueError:
            return failed(400, "Host or Origin is no address.")
        if self.protection.hosts and host.hostname not in self.protection.hosts:
            return failed(403, f"This server is not called {host.hostname!r}: its names are given by hosts=[...].")
        if "origin" in headers and origin.netloc != host.netloc:
            return failed(403, "Requests that another site sends are not answered.")
        client = (scope.get("client") or ("unknown",))[0]
        if not self.limiter.hit(self.rate, client):  # before the token is looked at, which nobody is to guess
            per_minute = self.protection.requests_per_minute
            return failed(429, f"More than {per_minute} requests in a minute: wait a little.", {"Retry-After": "1"})
        if scope["path"] not in OPEN and (refusal := self._without_token(scope, headers)):
            return refusal
        told = headers.get("content-length", "0")
        if scope["path"].startswith("/api/") and (len(told) > DIGITS or int(told) > self.protection.max_bytes):
            return failed(413, self._too_large)
        return None

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """What a request without the token is answered; a browser that brings it in the address is given a cookie."""
        token = self.protection.token
        if token is None:
            return None
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if _same(bearer if scheme.lower() == "bearer" else "", token) or _same(cookie, token):
            return None
        brought = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["type"] == "http" and scope["method"] == "GET" and _same(brought, token):
            home = RedirectResponse("/" + scope["path"].lstrip("/"), 303)  # //elsewhere would lead away
            home.set_cookie(COOKIE, token, httponly=True, samesite="strict")
            return home
        told = "Give the token: Authorization: Bearer TOKEN, or open the page once as /?token=TOKEN."
        return failed(401, told, {"WWW-Authenticate": "Bearer"})

    @property
    def _too_large(self) -> str:
        return f"A request has {self.protection.max_bytes:,} bytes at most."

    async def _answer(self, scope: Scope, receive: Receive, send: Send, refusal: Response | None) -> None:
        started = time.perf_counter()
        status = 500
        n_bytes = 0

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self.protection.max_bytes and scope["path"].startswith("/api/"):
                raise HTTPException(413, self._too_large)  # which whoever reads the body hands on
            return message

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    sent.setdefault(name, value)
            await send(message)

        try:
            await (refusal or self.app)(scope, counted, answered)
        finally:
            route = getattr(scope.get("route"), "path", "page" if not scope["path"].startswith("/api/") else "unknown")
            self.measures.add(scope["method"], route, status, time.perf_counter() - started)


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
