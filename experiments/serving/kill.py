"""Whether acknowledged feedback survives a crash: `python experiments/serving/kill.py RUN --posts 1000 --rounds 3`.

In each round four clients post feedback, each event with a unique key. Halfway the server is killed (SIGKILL) and
restarted, and every event is sent again with its key. At the end the store must hold every event exactly once.
`--store postgresql://...` or `mysql://...` names a database in place of an SQLite file.
"""

from __future__ import annotations

import argparse
import tempfile
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event as Signal

import httpx
import numpy as np
from server import serving

from recsys.data.address import Address
from recsys.web.store import Store

CLIENTS = 4


def post(address: str, keys: Sequence[str], films: Sequence[str], reached: Signal, half: int) -> list[str]:
    """Post an event for each key until the server is gone, and return the acknowledged keys."""
    acknowledged: list[str] = []
    with httpx.Client(base_url=address, timeout=10) as client:
        for place, key in enumerate(keys):
            body = {"key": key, "user_id": "web-kill", "kind": "rating", "value": 1.0 + place % 5}
            body["movie_id"] = films[place % len(films)]
            try:
                while (answer := client.post("/api/feedback", json=body)).status_code == 503:
                    pass  # the store did not answer in time, so the event is sent again
            except httpx.HTTPError:
                return acknowledged
            if answer.status_code != 200:
                raise SystemExit(f"the server answered {answer.status_code}: {answer.text}")
            acknowledged.append(key)
            if len(acknowledged) == half:
                reached.set()
    return acknowledged


def post_until_killed(run: Path, store: str, keys: Sequence[Sequence[str]]) -> list[str]:
    """Post from all clients, kill the server when one is halfway, and return the acknowledged keys."""
    reached = Signal()
    with serving(run, store) as (process, address), ThreadPoolExecutor(CLIENTS) as clients:
        films = [film["movie_id"] for film in httpx.get(f"{address}/api/films?query=the&k=50", timeout=10).json()]
        sent = [clients.submit(post, address, part, films, reached, len(part) // 2) for part in keys]
        reached.wait(120)
        process.kill()
        return [key for each in sent for key in each.result()]


def post_again(run: Path, store: str, keys: Sequence[Sequence[str]]) -> int:
    """Send every event to a new server, and return the number of acknowledged events."""
    with serving(run, store) as (_, address):
        films = [film["movie_id"] for film in httpx.get(f"{address}/api/films?query=the&k=50", timeout=10).json()]
        return sum(len(post(address, part, films, Signal(), 0)) for part in keys)


def main() -> None:
    """Run the rounds, and print what was lost or stored twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--posts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", metavar="ADDRESS", help="an empty database (default: an SQLite file)")
    arguments = parser.parse_args()
    for number in range(1, arguments.rounds + 1):
        keys = np.array([uuid.uuid4().hex for _ in range(arguments.posts)])
        parts = [part.tolist() for part in np.array_split(keys, CLIENTS)]
        with tempfile.TemporaryDirectory() as folder:
            address = arguments.store or f"{folder}/feedback.sqlite"
            store = Store.open(Address.parse(address))
            n_earlier = store.counts()["rating"]
            acknowledged = post_until_killed(arguments.run, address, parts)
            lost = sum(store.event(key) is None for key in acknowledged)
            n_before = store.counts()["rating"] - n_earlier
            again = post_again(arguments.run, address, parts)
            missing = sum(store.event(key) is None for key in keys.tolist())
            n_after = store.counts()["rating"] - n_earlier
            store.close()
        print(
            f"round {number}: {len(acknowledged)} of {len(keys)} posts acknowledged before the kill, {n_before} on "
            f"disk, {lost} lost; {again} acknowledged when all were sent again, {missing} missing, "
            f"{n_after - len(keys)} duplicates"
        )


if __name__ == "__main__":
    main()
