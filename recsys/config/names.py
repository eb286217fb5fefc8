"""Names in messages: suggestions for an unknown name, and the class name in a `_target_`."""

from __future__ import annotations

import difflib
from collections.abc import Collection

LISTED = 60  # a longer list of names is left out if there are similar names to suggest


def suggestion(name: str, options: Collection[str]) -> str:
    """Return the end of an error message about an unknown name: similar options, and a list of all options.

    The list is left out if it would have more than `LISTED` names and there are similar options.
    """
    near = difflib.get_close_matches(name, options, cutoff=0.5)
    question = f": did you mean {' or '.join(near)}?" if near else "."
    all_names = f" There are {', '.join(sorted(options))}." if options and not (near and len(options) > LISTED) else ""
    return question + all_names


def class_name(target: str) -> str:
    """Return the class name at the end of a `_target_`, without the module."""
    return target.rpartition(".")[2]
