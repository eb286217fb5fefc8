"""Fingerprints of data sets: digests of the source files and of how they are read and cleaned."""

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
    """Return a digest of everything that determines the clean tables: files, reading, scale, cleaning options and SQL.

    The digest covers the SQL files including their comments. Editing a comment therefore changes the fingerprint of
    every data set, and saved runs are then refused because the fingerprint of their split no longer matches. The digest
    does not depend on the engine, because all engines yield the same tables.

    Args:
        source: the source, with its rating scale and cleaning options.
        raw: the files of the source, and how to read them.
        cache_dir: folder of the cache, in which the digests of files are stored.
        remote: JSON-able values that identify the remote ratings (`raw.remote`) and how they are read; empty if all
            ratings are local.
    """
    cleaning = asdict(source.cleaning)
    del cleaning["max_dropped"]  # decides whether the tables are accepted, not what they contain
    sql = [file.read_text(encoding="utf-8") for file in sorted(SQL.rglob("*.sql"))]
    return _digest(_files(raw, cache_dir), source.scale, cleaning, sql, *remote)


def description_fingerprint(fingerprint: str, raw: Raw, cache_dir: Path) -> str:
    """Return a digest of a data set's fingerprint together with the metadata files that describe its items."""
    return _digest(fingerprint, _files(raw, cache_dir))


def _files(raw: Raw, cache_dir: Path) -> tuple[Any, ...]:
    """Return the digest of each file and how the file is read, as JSON-able values."""
    read_as = [
        (t.name, t.file.name, t.query, t.columns, t.separator, t.parameters, *filter(None, [t.source]))
        for t in raw.tables
    ]
    further = [ROW] if counts_rows_on(raw) else []  # earlier versions numbered the rows of each file from 1
    return _digests(raw.paths, cache_dir / _MEMO), read_as, *further


def _digest(*decisive: Any) -> str:
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def forget_digests(cache_dir: Path) -> None:
    """Delete the stored digests of files, so that every digest is computed again from the whole file."""
    (cache_dir / _MEMO).unlink(missing_ok=True)


def _digests(files: list[Path], memo: Path) -> list[str]:
    """Return the SHA-256 of each file; it is computed only if none is stored or `_state` of the file has changed.

    Digests of the content identify the same data on every machine; storing them avoids reading gigabytes at every
    start.

    Args:
        files: the files.
        memo: JSON file in which digests are stored; it is created or updated.

    Raises:
        UserError: the file `memo` is damaged.
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
    """Return values that change if a file changes: size, times, inode and, since times can be wrong, some content."""
    stat = file.stat()
    samples = hashlib.sha256()
    with file.open("rb") as stream:
        for place in range(_N_SAMPLES):
            stream.seek(place * max(stat.st_size - _SAMPLE, 0) // (_N_SAMPLES - 1))
            samples.update(stream.read(_SAMPLE))
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, samples.hexdigest()]
