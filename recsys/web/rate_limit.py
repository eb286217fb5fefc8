"""The rate limit of clients, in one server or in all servers of one feedback store."""

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
    """Counts requests of clients in a sliding window of a minute.

    Args:
        requests_per_minute: limit for each client.
    """

    def __init__(self, requests_per_minute: int) -> None:
        self._rate = parse(f"{requests_per_minute}/minute")
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def allows(self, client: str) -> bool:
        """Count a request, and return whether it is within the limit."""
        return self._limiter.hit(self._rate, client)

    def add(self, client: str, n: int) -> None:
        """Count n requests that other servers have answered, as far as the limit leaves room for them."""
        n_left = self._limiter.get_window_stats(self._rate, client).remaining
        self._limiter.hit(self._rate, client, cost=min(n, n_left))


class SharedRateLimit(RateLimit):
    """A rate limit for the requests to all servers that share a store, known to each after `exchange`.

    The store gets a digest of a client's address, which may be any text that a proxy has forwarded.

    Args:
        requests_per_minute: limit for each client.
        store: function that adds this server's counts to the store and returns those of others; see
            `Store.exchange_requests`.
    """

    def __init__(self, requests_per_minute: int, store: Exchange) -> None:
        super().__init__(requests_per_minute)
        self._store = store
        self._server = token_hex(8)
        self._new: Counter[str] = Counter()
        self._after = 0

    def allows(self, client: str) -> bool:
        """Count a request, also for the next exchange, and return whether it is within the limit."""
        digest = hashlib.blake2b(client.encode(), digest_size=16).hexdigest()
        allowed = super().allows(digest)
        if allowed:
            self._new[digest] += 1
        return allowed

    def exchange(self) -> None:
        """Tell the other servers of the requests since the last call, and count theirs.

        Raises:
            StoreError: the store failed; other servers then do not count the requests since the last call.
        """
        new, self._new = self._new, Counter()
        others, self._after = self._store(self._server, dict(new), self._after)
        for client, n in others:
            self.add(client, n)
