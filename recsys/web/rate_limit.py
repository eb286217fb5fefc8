"""Limits the request rate of each client, at one server or at all servers of one feedback store together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from secrets import token_hex

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

Exchange = Callable[[str, dict[str, int], int], tuple[list[tuple[str, int]], int]]


class RateLimit:
    """Counts each client's requests in a sliding window of one minute.

    Args:
        requests_per_minute: maximum number of requests of a client.
    """

    def __init__(self, requests_per_minute: int) -> None:
        self._rate = parse(f"{requests_per_minute}/minute")
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def allows(self, client: str) -> bool:
        """Count a request of a client, and return whether it is within the limit."""
        return self._limiter.hit(self._rate, client)

    def add(self, client: str, n: int) -> None:
        """Count n requests that a client has sent to other servers, without raising its count above the limit."""
        n_left = self._limiter.get_window_stats(self._rate, client).remaining
        self._limiter.hit(self._rate, client, cost=min(n, n_left))


class SharedRateLimit(RateLimit):
    """Limits a client's requests to all servers of one feedback store together.

    A server learns how many requests the other servers have answered only when it calls `exchange`. The store gets a
    digest of a client's address, since the address may be any text that a proxy has forwarded.

    Args:
        requests_per_minute: maximum number of requests of a client to all servers.
        store: function that adds this server's counts to the store and returns those of the other servers; see
            `Store.exchange_requests`.
    """

    def __init__(self, requests_per_minute: int, store: Exchange) -> None:
        super().__init__(requests_per_minute)
        self._store = store
        self._server = token_hex(8)
        self._new: Counter[str] = Counter()
        self._after = 0

    def allows(self, client: str) -> bool:
        """Count a request of a client, and return whether it is within the limit.

        The next `exchange` reports the requests that are within the limit to the other servers.
        """
        digest = hashlib.blake2b(client.encode(), digest_size=16).hexdigest()
        allowed = super().allows(digest)
        if allowed:
            self._new[digest] += 1
        return allowed

    def exchange(self) -> None:
        """Report this server's requests since the last call to the other servers, and count those that they report.

        Raises:
            StoreError: the store failed. The other servers then never count this server's requests since the last call.
        """
        new, self._new = self._new, Counter()
        others, self._after = self._store(self._server, dict(new), self._after)
        for client, n in others:
            self.add(client, n)
