"""Pseudonyms, under which viewers appear in runs.

The id of a viewer is a secret of their browser: with the id, anyone can read and change the viewer's feedback. Runs are
shared, together with their logs and exports, so a refit stores a viewer's ratings under a digest of the id. Only the
feedback store contains the ids.
"""

from __future__ import annotations

import re
from collections.abc import Container
from hashlib import sha256

PSEUDONYM = re.compile("viewer-[0-9a-f]{16}")


def id_in_runs(user_id: str, users: Container[str]) -> str:
    """Return the id under which a user appears in runs: for users of the data set their own id, else a pseudonym.

    Args:
        user_id: id of the user in the feedback store.
        users: ids of the users of the run's data set. They may include pseudonyms, which never occur as ids in the
            store.
    """
    if user_id in users and not PSEUDONYM.fullmatch(user_id):
        return user_id
    return f"viewer-{sha256(user_id.encode()).hexdigest()[:16]}"
