"""Fingerprints of data: digests of source files, of how they are read and of how they are cleaned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recsys.data.clean import SQL
from recsys.data.download import sha256
from recsys.data.raw import Raw, Source
from recsys.data.read import ROW, counts_rows_on
from recsys.files import MADE_AGAIN, reading, write_text

_MEMO = "digests.json"
_N_SAMPLES, _SAMPLE = 16, 4096  # number of samples of a file, evenly spread, and bytes of each


def data_fingerprint(source: Source, raw: Raw, cache_dir: Path, remote: Sequence[Any] = ()) -> str:
    """Return a digest of everything that determines the clean tables: files, how they are read, scale, cleaning, SQL.

    The digest includes the comments of the SQL. Editing a comment changes the fingerprint of every data set, and saved
    runs are then refused because their split has another fingerprint. The digest does not depend on the engine, because
    all engines yield the same tables.

    Args:
        source: where the ratings come from.
        raw: the files of the source.
        cache_dir: folder of downloads and clean tables.
        remote: JSON-able values that identify the ratings of `raw.remote` and how they are read.
    """
    cleaning = asdict(source.cleaning)
    del cleaning["max_dropped"]  # decides whether the tables are accepted, not what they contain
    sql = [file.read_text(encoding="utf-8") for file in sorted(SQL.rglob("*.sql"))]
    return _digest(_files(raw, cache_dir), source.scale, cleaning, sql, *remote)


def description_fingerprint(fingerprint: str, raw: Raw, cache_dir: Path) -> str:
    """Return a digest of a data set's fingerprint and of the metadata files that describe its items."""
    return _digest(fingerprint, _files(raw, cache_dir))


def _files(raw: Raw, cache_dir: Path) -> tuple[Any, ...]:
    """Return the digests of files, and how each file is read, as JSON-able values."""
    read_as = [
        (t.name, t.file.name, t.query, t.columns, t.separator, t.parameters, *filter(None, [t.source]))
        for t in raw.tables
    ]
    further = [ROW] if counts_rows_on(raw) else []  # earlier versions numbered the rows of each file from 1
    return _digests(raw.paths, cache_dir / _MEMO), read_as, *further


def _digest(*decisive: Any) -> str:
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def forget_digests(cache_dir: Path) -> None:
    """Delete the stored digests, so that every file is read in full again."""
    (cache_dir / _MEMO).unlink(missing_ok=True)


def _digests(files: list[Path], memo: Path) -> list[str]:
    """Return the SHA-256 of each file: the stored one if the state of the file is unchanged, otherwise a computed one.

    Digests of contents identify the same data on every machine; storing them avoids reading gigabytes at every start.

    Args:
        files: the files.
        memo: JSON file of stored digests, which is created and updated.

    Raises:
        UserError: the memo is damaged.
    """
    states = {str(file.resolve()): _state(file) for file in files}
    with reading(memo, MADE_AGAIN):
        known = json.loads(memo.read_text(encoding="utf-8")) if memo.exists() else {}
        unchanged = {path for path, state in states.items() if known.get(path, [])[:-1] == state}
    current = {
        path: known[path] if path in unchanged else [*state, sha256(Path(path))] for path, state in states.items()
    }
    if known | current != known:
        write_text(memo, json.dumps(known | current))
    return [str(digest) for *_, digest in current.values()]


def _state(file: Path) -> list[int | str]:
    """Return values that change with a file: size, times, inode, and a digest of samples in case times are wrong."""
    stat = file.stat()
    samples = hashlib.sha256()
    with file.open("rb") as stream:
        for place in range(_N_SAMPLES):
            stream.seek(place * max(stat.st_size - _SAMPLE, 0) // (_N_SAMPLES - 1))
            samples.update(stream.read(_SAMPLE))
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, samples.hexdigest()]
