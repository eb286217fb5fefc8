"""Latency of the API under load: `python experiments/serving/load.py RUN --rate 50 --seconds 60`.

Requests arrive at random times (a Poisson process), whether or not earlier ones have been answered, so that a slow
response delays others as it would for people. Half of them are for users of the data, half for new users with 1 to 50
ratings; one in five filters by a genre, one in five sets surprise. Meanwhile the page is opened, a title is searched
and feedback is sent, once a second each. Latencies are measured by the client, on the same machine; the CPU time of the
server, which depends less on what else the machine does, by the system.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from rich.console import Console
from rich.table import Table
from server import cpu_seconds, serving

from recsys.studies.runs import read_run

GENRES = ("Comedy", "Drama", "Action", "Thriller")
WORDS = ("the", "man", "love", "night", "day", "star", "dead", "king", "city", "girl", "black", "story")

NextRequest = Callable[[], tuple[str, str, dict[str, Any] | None]]  # gives method, path and body


def recommend_bodies(users: np.ndarray, films: list[str], rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Generate request bodies of /api/recommend."""
    while True:
        body: dict[str, Any] = {"k": 10}
        if rng.random() < 0.5:
            body["user_id"] = str(rng.choice(users))
        else:
            rated = rng.choice(films, min(len(films), rng.integers(1, 51)), replace=False)
            body["history"] = [{"movie_id": str(film), "stars": float(rng.integers(1, 6))} for film in rated]
        if rng.random() < 0.2:
            body["genres"] = [str(rng.choice(GENRES))]
        if rng.random() < 0.2:
            body["surprise"] = 0.3
        yield body


async def arrivals(
    client: aiohttp.ClientSession,
    next_request: NextRequest,
    rate: float,
    until: float,
    rng: np.random.Generator,
    latencies: list[float],
) -> None:
    """Send requests at random times, and record the seconds of each since it was due; infinity for errors."""

    async def send(due: float) -> None:
        method, path, body = next_request()
        try:
            async with client.request(method, path, json=body) as answer:
                await answer.read()
            latencies.append(time.perf_counter() - due if answer.status == 200 else np.inf)
        except aiohttp.ClientError:
            latencies.append(np.inf)

    due, sent = time.perf_counter(), []
    while (due := due + rng.exponential(1 / rate)) < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sent.append(asyncio.create_task(send(due)))
    await asyncio.gather(*sent)


async def measure(
    server: subprocess.Popen[str], address: str, users: np.ndarray, rate: float, seconds: float, seed: int
) -> tuple[dict[str, list[float]], float]:
    """Return the latencies in seconds, by kind of request, and the seconds of CPU that the server used for all."""
    rng = np.random.default_rng(seed)
    async with aiohttp.ClientSession(address) as client:
        responses = [client.get("/api/films", params={"query": word, "k": "100"}) for word in WORDS]
        found = [await (await answer).json() for answer in responses]
        films = sorted({film["movie_id"] for answer in found for film in answer})
        bodies = recommend_bodies(users, films, rng)

        def feedback() -> tuple[str, str, dict[str, Any]]:
            body = {"key": uuid.uuid4().hex, "user_id": "web-load", "kind": "rating", "value": 4.0}
            return "POST", "/api/feedback", {**body, "movie_id": str(rng.choice(films))}

        requests: dict[str, tuple[NextRequest, float]] = {
            "POST /api/recommend": (lambda: ("POST", "/api/recommend", next(bodies)), rate),
            "POST /api/feedback": (feedback, 1.0),
            "GET /api/films": (lambda: ("GET", f"/api/films?query={rng.choice(WORDS)}", None), 1.0),
            "GET / (the page)": (lambda: ("GET", "/", None), 1.0),
        }
        latencies: dict[str, list[float]] = defaultdict(list)
        for warming in (True, False):
            latencies.clear()
            used = cpu_seconds(server)
            until = time.perf_counter() + (3 if warming else seconds)
            await asyncio.gather(
                *(
                    arrivals(client, next_request, each, until, rng, latencies[name])
                    for name, (next_request, each) in requests.items()
                )
            )
    return latencies, cpu_seconds(server) - used


def main() -> None:
    """Serve a run, send requests, and print percentiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of configs/serve.yaml")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    users = read_run(arguments.run).per_user["user_id"].astype(str).to_numpy()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "feedback.sqlite")
        overrides = ("requests_per_minute=1000000", *arguments.overrides)
        with serving(arguments.run, store, *overrides, workers=arguments.workers) as (server, address):
            measured = measure(server, address, users, arguments.rate, arguments.seconds, arguments.seed)
            latencies, used = asyncio.run(measured)
    table = Table("request", "number", "errors", "p50 ms", "p95 ms", "p99 ms", "slowest ms")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, seconds in latencies.items():
        milliseconds = 1000 * np.array(seconds)
        points = (f"{value:.1f}" for value in np.percentile(milliseconds, [50, 95, 99, 100]))
        table.add_row(name, str(len(seconds)), str(int(np.isinf(milliseconds).sum())), *points)
    n_requests = sum(map(len, latencies.values()))
    table.caption = f"CPU time of the server: {1000 * used / n_requests:.1f} ms a request"
    Console().print(table)


if __name__ == "__main__":
    main()
