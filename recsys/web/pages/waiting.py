"""Limits the number of pages that no browser shows; each takes memory until NiceGUI deletes it after a minute."""

from __future__ import annotations

import gc
from collections import Counter

from nicegui import Client, app

from recsys.web.protection import client_network

WAITING_PAGES = 50  # per client address; a browser shows each page that it requests within seconds
SECONDS = 1.0  # between checks


def bound_waiting_pages(reconnect_seconds: float) -> None:
    """Regularly delete excess pages that no browser shows; call this only once in a process.

    Args:
        reconnect_seconds: time for which NiceGUI keeps a page after its browser has disconnected. NiceGUI's storage for
            a browser tab, which no page uses, is deleted after the same time.
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
    """Delete pages that no browser shows, and return how many were deleted.

    For each client address, the newest `WAITING_PAGES` of these pages stay.
    """
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
    for deletion in client._delete_tasks.values():  # which would wait for the browser to reconnect
        deletion.cancel()
    client.delete()
