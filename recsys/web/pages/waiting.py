"""Pages that no browser shows: each holds memory until NiceGUI deletes it after a minute, so an address has a few."""

from __future__ import annotations

import gc
from collections import Counter

from nicegui import Client, app

from recsys.web.protection import client_network

WAITING_PAGES = 50  # of a client address; a browser shows each page that it opens within seconds
SECONDS = 1.0  # between checks


def bound_waiting_pages(reconnect_seconds: float) -> None:
    """Delete pages beyond the share of their address while the application runs; call it once in a process.

    Args:
        reconnect_seconds: for how long NiceGUI keeps a page whose browser is gone. What it stores for each tab of a
            browser is deleted after the same time; no page uses it.
    """
    app.storage.max_tab_storage_age = reconnect_seconds
    n_deleted = 0

    def check() -> None:
        nonlocal n_deleted
        n_deleted += delete_pages_beyond_the_share()
        if n_deleted >= WAITING_PAGES:  # each leaves thousands of objects in cycles, which Python frees much later
            n_deleted = 0
            gc.collect()

    app.timer(SECONDS, check)


def delete_pages_beyond_the_share() -> int:
    """Delete the oldest of the pages of an address that no browser shows, beyond `WAITING_PAGES`; return how many."""
    newer: Counter[str] = Counter()
    n_deleted = 0
    for client in sorted(Client.instances.values(), key=lambda client: client.created, reverse=True):
        if not client.has_socket_connection:
            network = client_network(client.request.scope)
            newer[network] += 1
            if newer[network] > WAITING_PAGES:
                _delete(client)
                n_deleted += 1
    return n_deleted


def _delete(client: Client) -> None:
    for deletion in client._delete_tasks.values():  # of a page whose browser is gone, for which it waits
        deletion.cancel()
    client.delete()
