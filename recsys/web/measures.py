"""What is counted of requests, in the form that Prometheus reads."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
METHODS = ("GET", "HEAD", "POST", "OPTIONS")  # that are counted by name: others could be any number
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 5)  # between which latencies are counted


class Measures:
    """Requests by method, route and status, and seconds to the answer by route, of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "recsys_requests", "Answered requests", ["method", "route", "status"], registry=self._registry
        )
        self._latency = Histogram(
            "recsys_request_seconds", "Seconds to the answer", ["route"], buckets=SECONDS, registry=self._registry
        )

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; its route is one of few, and no path of anybody's making."""
        self._requests.labels(method if method in METHODS else "other", route, status).inc()
        self._latency.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of them, as text."""
        return generate_latest(self._registry)
