"""Seals of cached folders: digests of their files, so that damage on disk is an error and not another data set."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from recsys.errors import UserError
from recsys.files import write_text

SEAL = "digests.json"
REMOVE = "remove the folder, and it is made again"


def seal(folder: Path) -> None:
    """Write the digests of all files in a folder that is complete."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    digests = {file.relative_to(folder).as_posix(): _current_digest(file) for file in files}
    write_text(folder / SEAL, json.dumps(digests, indent=2) + "\n")


def check_seal(folder: Path, advice: str = REMOVE) -> None:
    """Check that the files of a folder are those that were sealed; folders of earlier versions have no seal.

    A process reads every file once, and again only if it was written to.

    Args:
        folder: the folder.
        advice: what to do if it is damaged.

    Raises:
        UserError: a file is missing or has changed.
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
        raise UserError(f"{folder / damaged} is not as it was written: {advice}.")


def _current_digest(file: Path) -> str:
    stat = file.stat()
    return _digest(file.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@cache
def _digest(file: Path, *state: int) -> str:
    """Return the BLAKE2 digest of a file in a state: a gigabyte takes about a second."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()
