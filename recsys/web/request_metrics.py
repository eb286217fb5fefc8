"""Counts and latencies of requests, in the format that Prometheus reads."""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # variable by which prometheus_client shares metrics among processes
CONTENT_TYPE = CONTENT_TYPE_LATEST
METHODS = ("GET", "HEAD", "POST", "OPTIONS")  # counted by name; a client could send any number of other methods
LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 5)  # seconds


class RequestMetrics:
    """Counts the requests to one application by method, route and status, and their latencies by route."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "recsys_requests", "Answered requests", ["method", "route", "status"], registry=self._registry
        )
        self._latency = Histogram(
            "recsys_request_seconds",
            "Seconds to the answer",
            ["route"],
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request and its latency.

        Args:
            method: HTTP method of the request.
            route: the route, one of a fixed set of names and never a path that the client chose.
            status: HTTP status of the response.
            seconds: time until the response was complete.
        """
        self._requests.labels(method if method in METHODS else "other", route, status).inc()
        self._latency.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return the metrics as encoded text for Prometheus; if there are several workers, summed over all of them."""
        registry = self._registry
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)
