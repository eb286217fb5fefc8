"""The engine that reads and cleans ratings by Spark, on this machine or on a cluster of machines."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from recsys.data.address import SECRET
from recsys.data.clean import count, create_codes
from recsys.data.engines import SCALE, Cleaned, Engine
from recsys.data.fingerprint import data_fingerprint
from recsys.data.normalize import move_links, normalize
from recsys.data.quoting import parquet_files
from recsys.data.rating_scale import scale_of
from recsys.data.raw import Raw, Source
from recsys.data.read import COUNTED_ON, counts_rows_on, read
from recsys.data.spark.clean import clean_ratings, read_ratings
from recsys.data.spark.inputs import check_readable, state
from recsys.data.spark.session import session
from recsys.data.spark.tables import Tables
from recsys.dotted import flatten
from recsys.errors import UserError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pyspark.sql import SparkSession


class Spark(Engine):
    """Reads and cleans ratings by Spark; DuckDB reads users and items, and assigns the codes.

    The clean ratings are written to a folder of files, one per bucket; a bucket is the ratings of a range of user
    codes. The cache must be on a disk that Spark's executors share with this machine.

    Args:
        master: address of the cluster's master (`spark://HOST:7077`, `yarn`, `k8s://...`), or `local[N]` for N cores of
            this machine.
        remote: address of a Spark Connect server, `sc://HOST`, to use instead of `master`; None to use `master`.
        n_buckets: number of buckets, and so of files of clean ratings.
        options: name -> value of Spark's settings, such as `spark.driver.memory`; a Connect server ignores them and
            uses its own. They must not contain passwords, because runs store their configs.
        memory_limit: DuckDB's memory limit, above which it spills to disk.

    Raises:
        UserError: `n_buckets` is below 1, or `options` contains a password.
    """

    def __init__(
        self,
        master: str = "local[*]",
        remote: str | None = None,
        n_buckets: int = 16,
        options: Mapping[str, Any] | None = None,
        memory_limit: str = "4GB",
    ) -> None:
        super().__init__(memory_limit)
        if n_buckets < 1:
            raise UserError(f"engine.n_buckets must be at least 1 (got {n_buckets}).")
        self.master = master
        self.remote = remote
        self.n_buckets = n_buckets
        self.options = flatten(options or {})
        if secret := next(filter(SECRET.search, self.options), None):
            raise UserError(
                f"engine.options must hold no password, because runs store them (got {secret}): set it in "
                "spark-defaults.conf."
            )

    def fingerprint(self, source: Source, raw: Raw, cache_dir: Path) -> str:
        """Return the fingerprint of a source's data set.

        For local ratings, it equals the fingerprint that the engine `DuckDB` returns. For remote ratings, it also
        covers how they are read and the values of `inputs.state`.

        Raises:
            UserError: Spark fails, or cannot read the remote ratings.
        """
        if (remote := raw.remote) is None:
            return data_fingerprint(source, raw, cache_dir)
        check_readable(raw)
        with tempfile.TemporaryDirectory() as scratch, self._session(Path(scratch)) as spark:
            read_as = [remote.place, dict(remote.columns), remote.table, dict(remote.reading)]
            return data_fingerprint(source, raw, cache_dir, [state(spark, remote), read_as])

    def clean(
        self, connection: duckdb.DuckDBPyConnection, source: Source, raw: Raw, scratch: Path, tables: Path
    ) -> Cleaned:
        """Read and clean a source by Spark, which stores intermediate tables in the scratch folder; see `Engine.clean`.

        Raises:
            UserError: Spark fails or cannot read the ratings, or no rating is left after cleaning.
        """
        check_readable(raw)
        raw = raw.unpacked(scratch)
        described = replace(raw, tables=tuple(table for table in raw.tables if table.name != "ratings"))
        notes_on_described = read(connection, described, scratch) + [COUNTED_ON] * counts_rows_on(raw)
        notes_on_described += normalize(connection, "raw_films")
        move_links(connection)
        with self._session(scratch) as spark:
            views = Tables(spark, scratch)
            views.send(connection, "raw_films", "SELECT DISTINCT movie_id FROM raw_films WHERE movie_id IS NOT NULL")
            content = read_ratings(views, raw)
            read_as = [*content.notes, *notes_on_described]
            scale = source.scale
            if scale is None:
                [(lowest, highest)] = views.rows("range")
                scale = scale_of(lowest, highest)
                if scale[0] < scale[1]:
                    read_as.append(SCALE.format(*scale))
            dropped = clean_ratings(views, content, scale, source.cleaning)
            connection.execute("DROP TABLE raw_ratings")
            views.fetch(connection, "ratings", "covering")
            create_codes(connection)
            self._write(connection, views, tables / "ratings.parquet")
        return Cleaned(content.n_rows, scale if content.has_ratings else (1.0, 1.0), dropped, tuple(read_as))

    def _write(self, connection: duckdb.DuckDBPyConnection, views: Tables, folder: Path) -> None:
        """Write the clean ratings to a folder, and replace the table `ratings` in DuckDB by a view of this folder.

        The written ratings contain the codes of users, items and parts that DuckDB assigned, instead of raw ids.
        """
        views.send(connection, "users", 'SELECT user_id, "user" FROM users')
        views.send(connection, "films", "SELECT movie_id, item FROM films")
        views.send(connection, "parts", "FROM parts")
        views.write_buckets(folder, n_buckets=self.n_buckets, n_users=count(connection, "users"))
        connection.execute("DROP TABLE ratings")
        connection.read_parquet(parquet_files(folder)).create_view("ratings")

    def _session(self, scratch: Path) -> AbstractContextManager[SparkSession]:
        return session(self.master, self.remote, self.options, scratch)
