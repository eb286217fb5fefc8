"""Seals of cached folders: stored digests of a folder's files, which reveal damage on disk."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from recsys.errors import UserError
from recsys.files import write_text

SEAL = "digests.json"
REMOVE = "remove the folder, and it will be created again"


def seal(folder: Path) -> None:
    """Seal a complete folder: write the BLAKE2 digests of all its files, in hexadecimal, to a file `SEAL` in it."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    digests = {file.relative_to(folder).as_posix(): _current_digest(file) for file in files}
    write_text(folder / SEAL, json.dumps(digests, indent=2) + "\n")


def check_seal(folder: Path, advice: str = REMOVE) -> None:
    """Check that the files of a folder have not changed since it was sealed; a folder without a seal passes.

    Each process reads each file once, and again only if the file has been written to since.

    Args:
        folder: the folder to check.
        advice: what the error message advises if the folder is damaged.

    Raises:
        UserError: a sealed file is missing or has changed.
    """
    file = folder / SEAL
    if not file.is_file():
        return
    try:
        sealed = dict(json.loads(file.read_text(encoding="utf-8")))
        damaged = next((name for name, digest in sealed.items() if _current_digest(folder / name) != digest), None)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder} is damaged ({error}): {advice}.") from error
    if damaged is not None:
        raise UserError(f"{folder / damaged} has changed since it was written: {advice}.")


def _current_digest(file: Path) -> str:
    stat = file.stat()
    return _digest(file.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@cache
def _digest(file: Path, *state: int) -> str:
    """Return the BLAKE2 digest of a file; it is cached by file state, since 1 GB takes about a second.

    The `state` is the file's inode, size and times.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()
