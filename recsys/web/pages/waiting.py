"""Pages that no browser shows: each holds memory until NiceGUI deletes it after a minute, so an address has a few."""

from __future__ import annotations

from collections import Counter

from nicegui import Client, app

from recsys.web.protection import client_network

WAITING_PAGES = 50  # of a client address; a browser shows each page that it opens within seconds
SECONDS = 1.0  # between checks


def bound_waiting_pages(reconnect_seconds: float) -> None:
    """Delete pages beyond the share of their address while the application runs; call it once in a process.

    Args:
        reconnect_seconds: for how long NiceGUI keeps a page whose browser is gone; what it stores for a browser's tab,
            and these pages do not use, is deleted as early.
    """
    app.storage.max_tab_storage_age = reconnect_seconds
    app.timer(SECONDS, delete_pages_beyond_the_share)


def delete_pages_beyond_the_share() -> None:
    """Delete the oldest of the pages of an address that no browser shows, beyond `WAITING_PAGES`."""
    newer: Counter[str] = Counter()
    for client in sorted(Client.instances.values(), key=lambda client: client.created, reverse=True):
        if not client.has_socket_connection:
            network = client_network(client.request.scope)
            newer[network] += 1
            if newer[network] > WAITING_PAGES:
                _delete(client)


def _delete(client: Client) -> None:
    for deletion in client._delete_tasks.values():  # of a page whose browser is gone, for which it waits
        deletion.cancel()
    client.delete()
