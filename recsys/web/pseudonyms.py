"""Pseudonyms of viewers: their user ids in runs.

The id of a viewer is a secret of their browser, which lets its holder read and change their feedback. Runs are shared,
with their logs and exports, so a refit learns a viewer's ratings under a digest of the id. Only the store has the ids.
"""

from __future__ import annotations

import re
from collections.abc import Container
from hashlib import sha256

PSEUDONYM = re.compile("viewer-[0-9a-f]{16}")


def id_in_runs(user_id: str, users: Container[str]) -> str:
    """Return the id of a user in runs: the same id for users of the data, a pseudonym for viewers.

    Args:
        user_id: id of the user in the store.
        users: ids of the users of the data. They may include pseudonyms, which are never ids in the store.
    """
    if user_id in users and not PSEUDONYM.fullmatch(user_id):
        return user_id
    return f"viewer-{sha256(user_id.encode()).hexdigest()[:16]}"
