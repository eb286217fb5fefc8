"""Preparation of data sets: an engine reads and cleans a source, and the clean tables are cached as Parquet files.

The keys of the cache are fingerprints; see `recsys.data.fingerprint`. The folder of a prepared data set contains
`ratings.parquet` (a folder of files if Spark prepared it), `users.parquet`, `films.parquet`, `negatives.parquet` and
`report.json`. Items to which external metadata is added are stored in a second folder, with their own `films.parquet`
and a `match.json`. Digests in both folders reveal damage; see `recsys.data.seals`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import duckdb

from recsys.data.clean import check_dropped, count
from recsys.data.columns import read_apart, write_together
from recsys.data.describe import describe
from recsys.data.download import put_in_place
from recsys.data.engines import DuckDB, Engine
from recsys.data.fingerprint import description_fingerprint
from recsys.data.frames import typed_items
from recsys.data.metadata import Match, Metadata
from recsys.data.prepared import Prepared, Report, load, load_report
from recsys.data.quoting import one_file, parquet_files
from recsys.data.raw import Raw, Source
from recsys.data.seals import check_seal, seal
from recsys.data.unused import unused_descriptions, unused_rows
from recsys.errors import UserError
from recsys.progress import is_progress_shown

# Disk space that preparation needs, as a multiple of the source's size: an unpacked archive, DuckDB's spilled data and
# the clean tables.
WORKING_SPACE = 5
PREPARED = "prepared"  # folder of a cache that holds the prepared data sets


def prepare(
    source: Source,
    cache_dir: Path,
    metadata: Metadata | None = None,
    engine: Engine = DuckDB(),
    users: Callable[[Path], range | None] = lambda folder: None,
) -> Prepared:
    """Prepare the data set of a source, or load it from the cache; notes on it are printed if progress is shown.

    Args:
        source: the source of the ratings, with its cleaning options.
        cache_dir: folder of the cache, for downloads and clean tables.
        metadata: catalogue of external metadata to add to the items, or None; the ratings and the fingerprint do not
            depend on it.
        engine: the engine that reads and cleans the ratings.
        users: function that is called with the folder of the clean tables, and returns the range of user codes whose
            ratings to load, or None for all users; see `prepared.load`. By default, the ratings of all users are
            loaded.

    Raises:
        UserError: files are missing or unreadable, cleaning leaves no ratings or drops too many, or the cache cannot be
            written.
    """
    with _writing(cache_dir):
        folder = _prepared_folder(source, cache_dir, engine)
        prepared = load(folder, users=users(folder))
        report = prepared.report
        # where the data set comes from, how its files were understood, and what is not used
        _print_notes(report.name, f"from {report.origin}", *report.read_as, report.losses, report.unused_rows)
        check_dropped(report.dropped, report.rows_read, source.cleaning)
        return prepared if metadata is None else _described(prepared, folder, metadata, cache_dir)


def count_ratings(source: Source, cache_dir: Path, engine: Engine = DuckDB()) -> int:
    """Return the number of clean ratings of a source; its data set is prepared if it is not in the cache.

    Raises:
        UserError: files are missing or unreadable, cleaning leaves no ratings, or the cache cannot be written.
    """
    with _writing(cache_dir):
        return load_report(_prepared_folder(source, cache_dir, engine)).rows_kept


def _prepared_folder(source: Source, cache_dir: Path, engine: Engine) -> Path:
    """Return the folder of a source's clean tables, which are prepared first if the folder does not exist.

    Raises:
        UserError: the source has no ratings, or cannot be prepared.
    """
    raw = source.locate(cache_dir)
    if raw.remote is None and "ratings" not in (table.name for table in raw.tables):
        raise UserError(f"{raw.origin} has no ratings: combine it with a source that has ratings (data=gathered).")
    fingerprint = engine.fingerprint(source, raw, cache_dir)
    folder = cache_dir / PREPARED / f"{source.name}-{fingerprint[:16]}"
    if not folder.exists():
        if source.notice:
            print(source.notice)
        _prepare(source, raw, fingerprint, folder, engine)
    return folder


def _prepare(source: Source, raw: Raw, fingerprint: str, folder: Path, engine: Engine) -> None:
    """Read and clean a source in a scratch folder, then move the complete tables to `folder`.

    Raises:
        UserError: there is too little disk space, a file cannot be read, or no rating is left.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    n_bytes = WORKING_SPACE * sum(path.stat().st_size for path in raw.paths)
    if shutil.disk_usage(folder.parent).free < n_bytes:
        raise UserError(
            f"Preparing {source.name} needs {n_bytes / 1e9:.1f} GB of disk space in {folder.parent}: free some space."
        )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="preparing-") as name:
        scratch, tables = Path(name), Path(name) / "tables"
        tables.mkdir()
        config: dict[str, Any] = {
            "memory_limit": engine.memory_limit,
            "temp_directory": str(scratch / "spill"),
            "preserve_insertion_order": True,  # the order of rows breaks ties in time
        }
        with duckdb.connect(config=config) as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute("SET TimeZone = 'UTC'")
            cleaned = engine.clean(connection, source, raw, scratch, tables)
            _check_described(connection)
            for table in ("users", "films", "negatives"):
                write_together(connection.table(table), tables / f"{table}.parquet")
            report = Report(
                name=source.name,
                origin=raw.origin,
                fingerprint=fingerprint,
                **vars(cleaned),
                **_contents(connection),
            )
        (tables / "report.json").write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")
        seal(tables)
        put_in_place(tables, folder)


def _print_notes(name: str, *notes: str) -> None:
    """Print notes on a data set or a catalogue, one per line, if progress is shown; empty notes are skipped."""
    if is_progress_shown():
        for note in filter(None, notes):
            print(f"{name}: {note}")


def _check_described(connection: duckdb.DuckDBPyConnection) -> None:
    """Check that the source's table of users is empty or describes at least one user with ratings.

    The table of items is checked in the same way.

    Raises:
        UserError: a table describes no user or item with ratings, probably because its ids are in another notation.
    """
    for name, raw_id in (("users", "user_id"), ("films", "movie_id")):
        described, rated = connection.table(f"raw_{name}"), connection.table(name)
        if len(described) and not len(connection.sql(f"FROM raw_{name} SEMI JOIN {name} USING ({raw_id})")):
            one, other = (table.aggregate(f"min({raw_id})").fetchall()[0][0] for table in (described, rated))
            raise UserError(
                f"data.{name}_columns.{raw_id} must be written as in the ratings, but none of these {name} has ratings "
                f"(got {one!r} and, in the ratings, {other!r})."
            )


def _described(prepared: Prepared, folder: Path, metadata: Metadata, cache_dir: Path) -> Prepared:
    """Add metadata to the items of a prepared data set, or load the items with this metadata from the cache."""
    raw = metadata.locate(cache_dir)
    key = description_fingerprint(prepared.report.fingerprint, raw, cache_dir)
    described = cache_dir / "described" / f"{prepared.report.name}-{metadata.name}-{key[:16]}"
    if not described.exists():
        _describe(folder, metadata.name, raw, described)
    check_seal(described)
    films = described / "films.parquet"
    stored = json.loads((described / "match.json").read_text(encoding="utf-8"))
    match = Match(**stored | {"read_as": tuple(stored.get("read_as", ()))})
    share = f"describes {match.films / prepared.report.films:.1%} of the items, from {match.origin}"
    _print_notes(match.name, share, *match.read_as, match.unused_rows)
    with duckdb.connect() as connection:
        item_frame = typed_items(connection.read_parquet(one_file(films)).df())
    dataset = replace(prepared.dataset, item_frame=item_frame)
    return Prepared(dataset, prepared.report, prepared.tables | {"films": films}, match)


def _describe(prepared: Path, name: str, raw: Raw, described: Path) -> None:
    """Add metadata to the items of a prepared data set in a scratch folder, then move the results to `described`.

    Args:
        prepared: folder of the prepared data set.
        name: name of the catalogue.
        raw: the files of the catalogue, and how to read them.
        described: the folder to create for the items with metadata.

    Raises:
        UserError: a file cannot be read, or no description has an id or a title.
    """
    described.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=described.parent, prefix="describing-") as scratch:
        tables = Path(scratch) / "tables"
        tables.mkdir()
        with duckdb.connect() as connection:
            read_apart(connection, "films", prepared / "films.parquet").create("films")
            read_as = describe(connection, raw)
            connection.read_parquet(parquet_files(prepared / "ratings.parquet")).create_view("ratings")
            n_ratings = connection.sql("FROM ratings SEMI JOIN matched USING (item)").count("*").fetchall()[0][0]
            n_films, unused = count(connection, "matched"), unused_descriptions(connection)
            match = Match(name, raw.origin, n_films, n_ratings, tuple(read_as), unused)
            write_together(connection.table("films"), tables / "films.parquet")
        (tables / "match.json").write_text(json.dumps(asdict(match), indent=2), encoding="utf-8")
        seal(tables)
        put_in_place(tables, described)


def _contents(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return those fields of `Report` that are counts or ranges of the clean tables, keyed by field name."""
    [(rows_kept, first_time, last_time)] = connection.execute(
        "SELECT count(*), min(time), max(time) FROM ratings"
    ).fetchall()
    [(films_untitled,)] = connection.execute("SELECT count(*) FROM films WHERE title IS NULL").fetchall()
    return {
        "rows_kept": rows_kept,
        "users": count(connection, "users"),
        "films": count(connection, "films"),
        "films_untitled": films_untitled,
        "first_time": first_time,
        "last_time": last_time,
        "part_names": tuple(name for name, _ in connection.execute("FROM parts").fetchall()),
        "unused": unused_rows(connection),
        **_gathered(connection),
    }


def _gathered(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Return the fields `sources` and `described_again` of `Report` if several sources are gathered, otherwise {}."""
    if "source" not in connection.table("ratings").columns:
        return {}
    sources = connection.execute("SELECT source, count(*) FROM ratings GROUP BY source ORDER BY source").fetchall()
    again = {}
    for name, raw_id in (("users", "user_id"), ("films", "movie_id")):
        raw = connection.table(f"raw_{name}")
        if "source" in raw.columns:
            again[name] = len(raw.aggregate(f"{raw_id}, count(DISTINCT source) AS n", raw_id).filter("n > 1"))
    return {"sources": dict(sources), "described_again": again}


@contextmanager
def _writing(cache_dir: Path) -> Iterator[None]:
    """Create the cache folder; raise a `UserError` if the `with` block lacks disk space, memory or permission."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"Cannot prepare data in {cache_dir}: {error.strerror}: {error.filename}") from error
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise UserError(f"Cannot prepare data in {cache_dir}: {' '.join(str(error).split())}") from error
