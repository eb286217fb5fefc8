"""Fingerprints of data: digests of source files, of how they are read and of how they are cleaned."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recsys.data.clean import SQL
from recsys.data.download import sha256
from recsys.data.raw import Raw, Source
from recsys.files import write_whole


def data_fingerprint(source: Source, raw: Raw, cache_dir: Path) -> str:
    """Return a digest of everything that determines the clean tables: files, how they are read, scale, cleaning, SQL.

    The digest includes the comments of the SQL. Editing a comment changes the fingerprint of every data set, and saved
    runs are then refused because their split has another fingerprint.
    """
    sql = [file.read_text(encoding="utf-8") for file in sorted(SQL.rglob("*.sql"))]
    return _digest(_files(raw, cache_dir), source.scale, asdict(source.cleaning), sql)


def description_fingerprint(fingerprint: str, raw: Raw, cache_dir: Path) -> str:
    """Return a digest of a data set's fingerprint and of the metadata files that describe its items."""
    return _digest(fingerprint, _files(raw, cache_dir))


def _files(raw: Raw, cache_dir: Path) -> tuple[Any, ...]:
    """The contents of files and how they are read."""
    read_as = [
        (t.name, t.file.name, t.query, t.columns, t.separator, t.parameters, *filter(None, [t.source]))
        for t in raw.tables
    ]
    return _digests(raw.paths, cache_dir / "digests.json"), read_as


def _digest(*decisive: Any) -> str:
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def _digests(files: list[Path], memo: Path) -> list[str]:
    """Compute the SHA-256 of files, or recall it while a file has the same size and time of modification.

    Digests of contents identify the same data on every machine; the memo avoids reading gigabytes at every start.
    """
    known = json.loads(memo.read_text(encoding="utf-8")) if memo.exists() else {}
    stats = {str(file.resolve()): file.stat() for file in files}
    states = {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()}
    current = {
        path: known[path] if known.get(path, [])[:2] == state else [*state, sha256(Path(path))]
        for path, state in states.items()
    }
    if known | current != known:
        write_whole(memo, lambda file: file.write(json.dumps(known | current).encode()))
    return [str(digest) for *_, digest in current.values()]
