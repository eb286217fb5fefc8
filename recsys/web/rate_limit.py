"""Limits the request rate of each client, at one server or at all servers that share one feedback store."""

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
        requests_per_minute: maximum number of requests that a client may send in one minute.
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
    """Limits the number of requests that a client sends to the servers of one feedback store, all servers together.

    A server learns how many requests the other servers have answered only when it calls `exchange`. The store gets a
    digest of a client's address, since the address may be any text that a proxy has forwarded.

    Args:
        requests_per_minute: maximum number of requests that a client may send to all servers together in one minute.
        store: function that adds this server's counts to the store and returns the counts of the other servers; see
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

        Requests within the limit are reported to the other servers at the next call of `exchange`.
        """
        digest = hashlib.blake2b(client.encode(), digest_size=16).hexdigest()
        allowed = super().allows(digest)
        if allowed:
            self._new[digest] += 1
        return allowed

    def exchange(self) -> None:
        """Report this server's new requests to the other servers, and count the requests that they report.

        Raises:
            StoreError: the store failed. The other servers then never count the requests that this call should have
                reported.
        """
        new, self._new = self._new, Counter()
        others, self._after = self._store(self._server, dict(new), self._after)
        for client, n in others:
            self.add(client, n)
