"""Checks of the paths that a user gives for the files of a source."""

from __future__ import annotations

from pathlib import Path

from recsys.errors import UserError


def existing(path: str | Path | None) -> Path:
    """Return a path with `~` replaced by the home directory, after checking that the path exists.

    Raises:
        UserError: no path is given, or the path does not exist.
    """
    if path is None:
        raise UserError("This source is read from disk: give its path with data.path=PATH.")
    found = Path(path).expanduser()
    if not found.exists():
        raise UserError(f"{path} does not exist.")
    return found


def existing_file(path: str | Path) -> Path:
    """Return a path as `existing` does, after checking also that it is a file.

    Raises:
        UserError: the path does not exist, or is a folder.
    """
    found = existing(path)
    if found.is_dir():
        raise UserError(f"{path} must be a file, but is a folder: data.glob='**/*.csv' reads its files.")
    return found


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a folder that match a glob pattern, in the order of their paths.

    Raises:
        UserError: no file matches, or the pattern is not valid.
    """
    try:
        files = sorted(path for path in folder.glob(pattern) if path.is_file())
    except (ValueError, NotImplementedError) as error:
        raise UserError(
            f"data.glob must be a pattern of files below data.path, such as '**/*.csv' (got {pattern})."
        ) from error
    if not files:
        raise UserError(f"{folder} has no files that match data.glob={pattern}.")
    return files
