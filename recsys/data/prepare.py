"""Sources to data sets: read raw tables into DuckDB, clean them, keep the clean tables as Parquet, load them.

The cache is keyed by the content of the source's files, how they are read, the cleaning chosen and the SQL. A prepared
folder holds `ratings.parquet`, `users.parquet`, `films.parquet`, `negatives.parquet` and `report.json`. Films that
metadata from elsewhere describes have a folder of their own: `films.parquet` and `match.json`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from recsys.data.clean import SQL, clean, count
from recsys.data.dataset import Dataset
from recsys.data.download import put_in_place, sha256
from recsys.data.metadata import Files, Match, Metadata, describe, read_descriptions
from recsys.data.raw import LISTS, Raw, Source
from recsys.data.read import read
from recsys.errors import UserError
from recsys.files import write_whole

# Disk that preparing takes, in sizes of the source: an archive unpacked, what DuckDB spills, the clean tables.
WORKING_SPACE = 5


@dataclass(frozen=True)
class Report:
    """What preparing did.

    Attributes:
        name: of the data set.
        origin: where the files came from.
        fingerprint: digest of the files, how they were read, the cleaning and the SQL.
        scale: lowest and highest rating of the source.
        rows_read: ratings in the source.
        dropped: ratings dropped, by rule.
        rows_kept: ratings left.
        users: users with a rating left.
        films: films with a rating left.
        films_untitled: those of them without a title in the metadata.
        first_time: seconds UTC of the earliest rating left, or None where the source has no times.
        last_time: and of the latest.
        part_names: names of the source's own partition.
        sources: ratings left of each source, where several are gathered.
        described_again: users and films that several of them describe.
    """

    name: str
    origin: str
    fingerprint: str
    scale: tuple[float, float]
    rows_read: int
    dropped: dict[str, int]
    rows_kept: int
    users: int
    films: int
    films_untitled: int
    first_time: int | None
    last_time: int | None
    part_names: tuple[str, ...]
    sources: dict[str, int] = field(default_factory=dict)
    described_again: dict[str, int] = field(default_factory=dict)

    @property
    def density(self) -> float:
        """Share of the user-film pairs that are rated."""
        return self.rows_kept / (self.users * self.films)

    @property
    def span(self) -> str:
        """The days of the earliest and the latest rating, in words."""
        if self.first_time is None or self.last_time is None:
            return "no times"
        first, last = (datetime.fromtimestamp(t, UTC) for t in (self.first_time, self.last_time))
        return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


@dataclass(frozen=True)
class Prepared:
    """A data set, what preparing it did, and what metadata from elsewhere describes of it.

    Attributes:
        dataset: in memory.
        report: of the preparation.
        tables: Parquet files of `ratings`, `users` and `films`, for queries.
        match: of films to metadata from elsewhere, or None where there is none.
    """

    dataset: Dataset
    report: Report
    tables: dict[str, Path]
    match: Match | None = None


def prepare(source: Source, cache_dir: Path, metadata: Metadata | None = None, memory_limit: str = "4GB") -> Prepared:
    """Make a source's data set, or load it where the cache has it.

    Args:
        source: where the ratings come from.
        cache_dir: downloads and clean tables are kept here.
        metadata: what describes the films beside their source; ratings and fingerprint stay the same.
        memory_limit: what DuckDB may take; larger tables go through the disk.

    Raises:
        UserError: files are missing, unreadable or all bad; the cache cannot be written.
    """
    with _writing(cache_dir):
        raw = source.locate(cache_dir)
        fingerprint = _fingerprint(source, raw, cache_dir)
        folder = cache_dir / "prepared" / f"{source.name}-{fingerprint[:16]}"
        if not folder.exists():
            if source.notice:
                print(source.notice)
            _prepare(source, raw, fingerprint, folder, memory_limit)
        prepared = load(folder)
        print(f"{source.name}: from {prepared.report.origin}")
        return prepared if metadata is None else _described(prepared, folder, metadata, cache_dir)


def load(folder: Path) -> Prepared:
    """Load a prepared folder: arrays of 20 bytes a rating, filled piece by piece so that hardly more is ever held."""
    stored = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    report = Report(**stored | {"scale": tuple(stored["scale"]), "part_names": tuple(stored["part_names"])})
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        columns: dict[str, type[np.generic]] = {"user": np.int32, "item": np.int32, "rating": np.float32}
        columns |= {"time": np.int64} if report.first_time is not None else {}
        columns |= {"part": np.int8} if report.part_names else {}
        arrays = _arrays(connection, folder / "ratings.parquet", columns, report.rows_kept)
        users, films, negatives = (
            connection.read_parquet(str(folder / f"{name}.parquet")).df() for name in ("users", "films", "negatives")
        )
    dataset = Dataset(
        name=report.name,
        users=arrays["user"],
        items=arrays["item"],
        ratings=arrays["rating"],
        times=arrays.get("time"),
        user_frame=_user_frame(users),
        item_frame=_item_frame(films),
        scale=report.scale,
        fingerprint=report.fingerprint,
        parts=arrays.get("part"),
        part_names=report.part_names,
        negatives=_negatives(negatives, report.users),
    )
    return Prepared(dataset, report, {name: folder / f"{name}.parquet" for name in ("ratings", "users", "films")})


def with_new_films(dataset: Dataset, path: str) -> Dataset:
    """The same ratings, and further films that have none.

    Args:
        dataset: whose films come first.
        path: CSV or Parquet that tells of the others, with columns as `metadata=files` takes them, a title at least.

    Raises:
        UserError: the file cannot be read, or a film has no title or an id that another has.
    """
    if not Path(path).is_file():
        raise UserError(f"there is no file of films at {path}: give CSV or Parquet")
    with duckdb.connect() as connection:
        read_descriptions(connection, Files(path).locate(Path(path).parent))
        found = connection.sql(
            "SELECT * EXCLUDE (source_row, keys, tmdb_id) REPLACE ("
            "coalesce(movie_id, 'new ' || (source_row + 1)) AS movie_id) FROM described ORDER BY source_row"
        ).df()
    titled = found["title"].notna().tolist() or [False]  # not even a row
    if not all(titled):
        raise UserError(
            f"{path} has no title in row {1 + titled.index(False)}: give a film with its title in every row."
        )
    item_frame = pd.concat([dataset.item_frame, _item_frame(found)], ignore_index=True)
    repeated = item_frame["movie_id"][item_frame["movie_id"].astype(str).duplicated()]
    if len(repeated):
        raise UserError(f"{path} has the film {repeated.iloc[0]}, which is there already: give new ids, or none.")
    for column in item_frame.columns.intersection(list(LISTS)):
        item_frame[column] = [elements if isinstance(elements, list) else [] for elements in item_frame[column]]
    return replace(dataset, item_frame=item_frame)


def print_report(prepared: Prepared, console: Console | None = None) -> None:
    """Print rows read, dropped by each rule and kept, what the kept ones span, and what metadata describes."""
    report, match = prepared.report, prepared.match
    table = Table(title=report.name, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("rows read", f"{report.rows_read:,}")
    for rule, n_dropped in report.dropped.items():
        table.add_row(f"  dropped: {rule}", f"{n_dropped:,}")
    table.add_row("rows kept", f"{report.rows_kept:,}", end_section=not report.sources)
    for place, (source, n_ratings) in enumerate(report.sources.items(), start=1):
        table.add_row(f"  of {source}", f"{n_ratings:,}", end_section=place == len(report.sources))
    table.add_row("users", f"{report.users:,}")
    if "users" in report.described_again:
        table.add_row("  described in several sources", f"{report.described_again['users']:,}")
    table.add_row("films", f"{report.films:,}")
    if "films" in report.described_again:
        table.add_row("  described in several sources", f"{report.described_again['films']:,}")
    table.add_row("  without a title", f"{report.films_untitled:,}")
    table.add_row("density", f"{report.density:.3%}")
    table.add_row("time span", report.span, end_section=True)
    if match is not None:
        table.add_row(f"films described by {match.name}", f"{match.films:,} ({match.films / report.films:.1%})")
        table.add_row("  ratings of these", f"{match.ratings:,} ({match.ratings / report.rows_kept:.1%})")
    (console or Console()).print(table)


def _prepare(source: Source, raw: Raw, fingerprint: str, folder: Path, memory_limit: str) -> None:
    """Read and clean in a scratch folder, then move the clean tables into place, whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    n_bytes = WORKING_SPACE * sum(path.stat().st_size for path in raw.paths)
    if shutil.disk_usage(folder.parent).free < n_bytes:
        raise UserError(
            f"preparing {source.name} takes {n_bytes / 1e9:.1f} GB in {folder.parent}; free some space there"
        )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="preparing-") as name:
        scratch, tables = Path(name), Path(name) / "tables"
        tables.mkdir()
        config: dict[str, Any] = {
            "memory_limit": memory_limit,
            "temp_directory": str(scratch / "spill"),
            "preserve_insertion_order": True,  # it breaks ties in time
        }
        with duckdb.connect(config=config) as connection:
            connection.execute("SET enable_progress_bar = false")
            read(connection, raw.unpacked(scratch))
            rows_read = count(connection, "raw_ratings")
            dropped = clean(connection, source.scale, source.cleaning)
            for table in ("ratings", "users", "films", "negatives"):
                connection.table(table).write_parquet(str(tables / f"{table}.parquet"))
            report = Report(
                name=source.name,
                origin=raw.origin,
                fingerprint=fingerprint,
                rows_read=rows_read,
                dropped=dropped,
                **_contents(connection, source.scale),
            )
        (tables / "report.json").write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")
        put_in_place(tables, folder)


def _described(prepared: Prepared, folder: Path, metadata: Metadata, cache_dir: Path) -> Prepared:
    """A prepared folder's data set with films as metadata describes them, made or from the cache."""
    raw = metadata.locate(cache_dir)
    key = _digest(prepared.report.fingerprint, _files(raw, cache_dir))
    described = cache_dir / "described" / f"{prepared.report.name}-{metadata.name}-{key[:16]}"
    if not described.exists():
        _describe(folder, metadata.name, raw, described)
    films = described / "films.parquet"
    match = Match(**json.loads((described / "match.json").read_text(encoding="utf-8")))
    print(f"{match.name}: describes {match.films / prepared.report.films:.1%} of the films, from {match.origin}")
    with duckdb.connect() as connection:
        item_frame = _item_frame(connection.read_parquet(str(films)).df())
    dataset = replace(prepared.dataset, item_frame=item_frame)
    return Prepared(dataset, prepared.report, prepared.tables | {"films": films}, match)


def _describe(prepared: Path, name: str, raw: Raw, described: Path) -> None:
    """Enrich the films of a prepared folder in a scratch folder, then move them into place, whole."""
    described.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=described.parent, prefix="describing-") as scratch:
        tables = Path(scratch) / "tables"
        tables.mkdir()
        with duckdb.connect() as connection:
            connection.read_parquet(str(prepared / "films.parquet")).create("films")
            describe(connection, raw)
            connection.read_parquet(str(prepared / "ratings.parquet")).create_view("ratings")
            n_ratings = connection.sql("FROM ratings SEMI JOIN matched USING (item)").count("*").fetchall()[0][0]
            match = Match(name, raw.origin, count(connection, "matched"), n_ratings)
            connection.table("films").write_parquet(str(tables / "films.parquet"))
        (tables / "match.json").write_text(json.dumps(asdict(match), indent=2), encoding="utf-8")
        put_in_place(tables, described)


def _contents(connection: duckdb.DuckDBPyConnection, scale: tuple[float, float]) -> dict[str, Any]:
    """What the clean tables hold, in the words of a report."""
    [(rows_kept, first_time, last_time)] = connection.execute(
        "SELECT count(*), min(time), max(time) FROM ratings"
    ).fetchall()
    [(films_untitled,)] = connection.execute("SELECT count(*) FROM films WHERE title IS NULL").fetchall()
    [(has_ratings,)] = connection.execute("SELECT count(rating) > 0 FROM raw_ratings").fetchall()
    return {
        "scale": scale if has_ratings else (1.0, 1.0),
        "rows_kept": rows_kept,
        "users": count(connection, "users"),
        "films": count(connection, "films"),
        "films_untitled": films_untitled,
        "first_time": first_time,
        "last_time": last_time,
        "part_names": tuple(name for name, _ in connection.execute("FROM parts").fetchall()),
        **_gathered(connection),
    }


def _gathered(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Of gathered sources, how many ratings each brought and what several of them describe."""
    if "source" not in connection.table("ratings").columns:
        return {}
    sources = connection.execute("SELECT source, count(*) FROM ratings GROUP BY source ORDER BY source").fetchall()
    again = {}
    for name, raw_id in (("users", "user_id"), ("films", "movie_id")):
        raw = connection.table(f"raw_{name}")
        if "source" in raw.columns:
            again[name] = len(raw.aggregate(f"{raw_id}, count(DISTINCT source) AS n", raw_id).filter("n > 1"))
    return {"sources": dict(sources), "described_again": again}


def _fingerprint(source: Source, raw: Raw, cache_dir: Path) -> str:
    """Digest of all that decides what the clean tables hold."""
    sql = [file.read_text(encoding="utf-8") for file in sorted(SQL.rglob("*.sql"))]
    return _digest(_files(raw, cache_dir), source.scale, asdict(source.cleaning), sql)


def _files(raw: Raw, cache_dir: Path) -> tuple[Any, ...]:
    """What files hold and how they are read."""
    read_as = [
        (t.name, t.file.name, t.query, t.columns, t.separator, t.parameters, *filter(None, [t.source]))
        for t in raw.tables
    ]
    return _digests(raw.paths, cache_dir / "digests.json"), read_as


def _digest(*decisive: Any) -> str:
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def _digests(files: list[Path], memo: Path) -> list[str]:
    """SHA-256 of files, remembered for as long as a file keeps its size and time of change.

    Content makes the same data the same everywhere; the memo spares reading a gigabyte again at every start.
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


@contextmanager
def _writing(cache_dir: Path) -> Iterator[None]:
    """Say plainly that there is no room, or no permission to use it."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot prepare data in {cache_dir}: {error.strerror}: {error.filename}") from error
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise UserError(f"cannot prepare data in {cache_dir}: {' '.join(str(error).split())}") from error


def _arrays(
    connection: duckdb.DuckDBPyConnection, file: Path, columns: dict[str, type[np.generic]], n_rows: int
) -> dict[str, np.ndarray]:
    """Columns of a Parquet file, filled chunk by chunk."""
    arrays: dict[str, np.ndarray] = {name: np.empty(n_rows, dtype) for name, dtype in columns.items()}
    result = connection.read_parquet(str(file)).select(*columns)
    start = 0
    while len(chunk := result.fetch_df_chunk(100)):
        for name, array in arrays.items():
            array[start : start + len(chunk)] = chunk[name]
        start += len(chunk)
    return arrays


def _user_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Text of few values as categories, age groups in their order; columns without a value left out."""
    frame = frame.drop(columns="user").dropna(axis="columns", how="all").convert_dtypes()
    frame["user_id"] = _ids(frame["user_id"])
    for column in frame.columns.difference(["user_id", "age", "age_group", "zip_code"]):
        frame[column] = frame[column].astype("category")
    if "age" in frame:
        groups = frame.sort_values("age")["age_group"].dropna().unique()
        frame["age_group"] = pd.Categorical(frame["age_group"], groups, ordered=True)
    return frame


def _item_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """What is not known of a film is explicitly missing, an empty list in columns of lists."""
    core = ["movie_id", "title", "year", "genres"]
    others = [column for column in frame if column not in (*core, "item") and frame[column].notna().any()]
    frame = frame[core + others].convert_dtypes()
    frame["movie_id"] = _ids(frame["movie_id"])
    frame["title"] = frame["title"].astype("string")
    frame["year"] = frame["year"].astype("Int16")
    for column in frame.columns.intersection(list(LISTS)):
        frame[column] = [list(elements) if isinstance(elements, np.ndarray) else [] for elements in frame[column]]
    return frame


def _ids(ids: pd.Series) -> pd.Series:
    """As int64 if every id is a whole number in plain writing, else as the text it is."""
    try:
        numbers = ids.astype("int64")
    except (ValueError, OverflowError):
        return ids
    return numbers if (numbers.astype(str) == ids).all() else ids


def _negatives(frame: pd.DataFrame, n_users: int) -> np.ndarray | None:
    """int32 (n_users, m), -1 where a user has fewer; None where the source has none."""
    if frame.empty:
        return None
    negatives = np.full((n_users, frame["place"].max() + 1), -1, np.int32)
    negatives[frame["user"], frame["place"]] = frame["item"]
    return negatives
