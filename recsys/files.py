"""Atomic writing of files, errors on damaged files, digests, file names, and CSR matrices as plain arrays."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from recsys.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from scipy import sparse

CSR_PARTS = ("data", "indices", "indptr", "shape")
MADE_AGAIN = "remove it, and it will be created again"  # advice about a damaged file of a cache


def write_whole(path: Path, write: Callable[[Any], Any]) -> None:
    """Write a file atomically: it has a temporary name until it is complete.

    Args:
        path: path of the file, in an existing folder; an existing file is replaced.
        write: function that writes the content to its argument, the file opened in binary mode.
    """
    temporary = path.with_name(f"{path.name}.{token_hex(4)}.partial")  # processes of one run may write the same file
    try:
        with temporary.open("wb") as file:
            write(file)
        move_into_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def move_into_place(finished: Path, place: Path) -> None:
    """Flush a file or folder to disk, then rename it.

    After a power failure, `place` has either all of the old content or all of the new.

    Args:
        finished: the file or folder, on the same file system as `place`.
        place: its new path; an existing file is replaced.

    Raises:
        OSError: `place` is a folder that is not empty, or writing to the disk fails.
    """
    for path in (*finished.rglob("*"), finished):
        _sync(path)
    finished.replace(place)
    _sync(place.parent)


def _sync(path: Path) -> None:
    """Flush to disk the content of a file, or the list of entries of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_whole(path, lambda file: file.write(text.encode()))


@contextmanager
def reading(path: Path, advice: str = "restore it, or recreate what contains it") -> Iterator[None]:
    """Turn any exception in the `with` block, which reads and parses a file, into a `UserError` of one sentence.

    A `UserError` passes unchanged.

    Args:
        path: the file.
        advice: end of the message, which says what to do about the damaged file.

    Raises:
        UserError: the `with` block raised an exception. All exceptions are caught, since parsers raise exceptions of
            many classes.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path} is damaged, or was written by another version ({reason[:200]}): {advice}.") from error


def read_csv(path: Path, columns: Iterable[str], **options: Any) -> pd.DataFrame:
    """Read a CSV file that this package has written, and check that it is complete.

    Args:
        path: the file.
        columns: columns that the file must have.
        options: further arguments of `pandas.read_csv`.

    Raises:
        UserError: the file is missing, is damaged or lacks a column. A file that does not end with a newline counts as
            damaged, since its last number may lack digits.
    """
    import pandas as pd

    with reading(path):
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("its last line is cut off")
        frame = pd.read_csv(StringIO(text), **options)
        if missing := [name for name in columns if name not in frame]:
            raise ValueError(f"it has no column {missing[0]}")
        return frame


def digest_of(files: Iterable[Path]) -> str:
    """Return the hexadecimal SHA-256 digest of the contents of files, concatenated in the given order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def package_files(name: str) -> list[Path]:
    """Return the paths of the Python files of a top-level package or module, sorted, without importing it.

    If there is no such package or module, the list is empty.
    """
    spec = importlib.util.find_spec(name)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin else []
    return sorted(file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.py"))


def slug(name: str) -> str:
    """Convert a name to one that can be used as a file name.

    Each run of characters other than letters, digits, `_`, `.`, `=` and `-` becomes one `_`. Then every `_` at the
    beginning and the end is removed.
    """
    return re.sub(r"[^\w.=-]+", "_", name).strip("_")


def short(path: Path) -> Path:
    """Return a path inside the working directory as a relative path, and any other path unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def as_arrays(name: str, value: np.ndarray | sparse.csr_matrix) -> dict[str, np.ndarray]:
    """Return an array, or the arrays that a CSR matrix consists of, by name.

    An array is returned as `{name: value}`. For a CSR matrix, the keys are `name.data`, `name.indices`, `name.indptr`
    and `name.shape`.
    """
    import numpy as np
    from scipy import sparse

    if sparse.issparse(value):
        return {f"{name}.{part}": np.asarray(getattr(value, part)) for part in CSR_PARTS}
    return {name: value}


def from_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray | sparse.csr_matrix:
    """Return the array or CSR matrix with a name; this reverses `as_arrays`.

    Raises:
        KeyError: `arrays` has neither an array nor a CSR matrix under this name.
    """
    from scipy import sparse

    if name in arrays:
        return arrays[name]
    data, indices, indptr, shape = (arrays[f"{name}.{part}"] for part in CSR_PARTS)
    return sparse.csr_matrix((data, indices, indptr), shape=tuple(shape))
