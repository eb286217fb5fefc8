"""Paths that users give for the files of a source."""

from __future__ import annotations

from pathlib import Path

from recsys.errors import UserError


def existing(path: str | Path | None) -> Path:
    """Return a path after checking that it exists.

    Raises:
        UserError: no path is given, or it does not exist.
    """
    if path is None:
        raise UserError("This source is read from disk: give its place with data.path=PATH.")
    if not Path(path).exists():
        raise UserError(f"{path} does not exist.")
    return Path(path)
