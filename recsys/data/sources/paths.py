"""Paths that users give for the files of a source."""

from __future__ import annotations

from pathlib import Path

from recsys.errors import UserError


def existing(path: str | Path | None) -> Path:
    """Return a path that exists.

    Raises:
        UserError: there is no path, or nothing at it.
    """
    if path is None:
        raise UserError("This source is read from disk: say where with data.path=.")
    if not Path(path).exists():
        raise UserError(f"{path} does not exist")
    return Path(path)
