"""Files that are whole or not there, and sparse matrices as the plain arrays that files hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from scipy import sparse

CSR_PARTS = ("data", "indices", "indptr", "shape")


def write_whole(path: Path, write: Callable[[Any], Any]) -> None:
    """Let `write` fill a binary file under a temporary name, then move it into place."""
    temporary = path.with_name(f"{path.name}.{token_hex(4)}.partial")  # processes of one run may write the same file
    try:
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def digest_of(files: Iterable[Path]) -> str:
    """SHA-256 of the contents of files, one after another."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def as_arrays(name: str, value: np.ndarray | sparse.csr_matrix) -> dict[str, np.ndarray]:
    """An array by its name; a CSR matrix as four arrays, `name.data` and so on."""
    if sparse.issparse(value):
        return {f"{name}.{part}": np.asarray(getattr(value, part)) for part in CSR_PARTS}
    return {name: value}


def from_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray | sparse.csr_matrix:
    """What `as_arrays` made arrays of."""
    if name in arrays:
        return arrays[name]
    data, indices, indptr, shape = (arrays[f"{name}.{part}"] for part in CSR_PARTS)
    return sparse.csr_matrix((data, indices, indptr), shape=tuple(shape))
