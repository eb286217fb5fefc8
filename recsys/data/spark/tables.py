"""The tables in which Spark cleans ratings: temporary views, created by the SELECTs in `sql`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from recsys.data.quoting import literal, one_file, parquet_files
from recsys.data.spark.inputs import SQL, file_address, select
from recsys.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession


class Tables:
    """Creates and replaces the temporary views of a Spark session, and moves tables between Spark and DuckDB.

    The results of cleaning steps are stored as Parquet files, because Spark's query plans would otherwise contain the
    plans of all earlier steps.

    Args:
        spark: the Spark session.
        scratch: folder for the Parquet files, on a disk that Spark's executors and this machine share.
    """

    def __init__(self, spark: SparkSession, scratch: Path) -> None:
        self.spark = spark
        self.scratch = scratch
        self.folders: dict[str, Path] = {}
        self.n_stored = 0
        for statement in (SQL / "functions.sql").read_text(encoding="utf-8").split(";\n"):
            spark.sql(statement)

    def create(self, table: str, query: str, **parameters: Any) -> None:
        """Create the view `table` from the SELECT in `sql/<query>.sql`, which is run each time the view is read."""
        select(self.spark, query, **parameters).createOrReplaceTempView(table)

    def rows(self, query: str) -> list[Row]:
        """Run the SELECT in `sql/<query>.sql`, and return all rows of its result, which should be few."""
        return select(self.spark, query).collect()

    def store(self, table: str, rows: DataFrame) -> int:
        """Store rows as Parquet in the scratch folder, create the view `table` from them, and return their number."""
        self.n_stored += 1
        self.folders[table] = folder = self.scratch / f"{table}-{self.n_stored}"
        n_rows = _write(rows, folder)
        self.spark.read.parquet(file_address(folder)).createOrReplaceTempView(table)
        return n_rows

    def replace(self, table: str, query: str, **parameters: Any) -> int:
        """Replace the view `table` by the result of a SELECT, and return its number of rows.

        The SELECT may read the view that is replaced.
        """
        replaced = self.folders.get(table)
        n_rows = self.store(table, select(self.spark, query, **parameters))
        if replaced is not None:
            shutil.rmtree(replaced)
        return n_rows

    def send(self, connection: duckdb.DuckDBPyConnection, table: str, query: str) -> None:
        """Create the view `table` in Spark from the result of an SQL query in DuckDB."""
        file = self.scratch / f"{table}.parquet"
        connection.execute(f"COPY ({query}) TO {literal(str(file))}")
        self.spark.read.parquet(file_address(file)).createOrReplaceTempView(table)

    def fetch(self, connection: duckdb.DuckDBPyConnection, table: str, query: str) -> None:
        """Create the table `table` in DuckDB from the result of the SELECT in `sql/<query>.sql`."""
        self.store(query, select(self.spark, query))
        connection.read_parquet(parquet_files(self.folders[query])).create(table)

    def write_buckets(self, folder: Path, **parameters: Any) -> None:
        """Write the ratings with codes to a new folder: a file per bucket of users, named in the order of user codes.

        Args:
            folder: the folder to create, on the same file system as the scratch folder.
            **parameters: the parameters of `sql/coded.sql`, which are `n_buckets` and `n_users`.
        """
        written = self.scratch / "buckets"
        _write(select(self.spark, "coded", **parameters), written, partitionBy="bucket")
        folder.mkdir()
        for bucket in written.glob("bucket=*"):
            [file] = bucket.glob("*.parquet")
            file.rename(folder / f"{int(bucket.name.partition('=')[2]):05d}.parquet")


def _write(rows: DataFrame, folder: Path, **options: Any) -> int:
    """Write rows to a folder of Parquet files, and return the number of rows.

    Raises:
        UserError: rows are missing from the folder, because Spark's executors wrote them to their own disks.
    """
    from pyspark.sql import Observation
    from pyspark.sql.functions import count, lit

    written = Observation()
    rows.observe(written, count(lit(1)).alias("n_rows")).write.parquet(f"file://{folder.resolve()}", **options)
    files = [one_file(file) for file in folder.rglob("*.parquet")]
    with duckdb.connect() as connection:
        n_found = len(connection.read_parquet(files)) if files else 0
    if n_found != written.get["n_rows"]:
        raise UserError(
            f"Spark's executors must write to the disk of {folder.parent.parent} (got {n_found:,} of "
            f"{written.get['n_rows']:,} rows): set RECSYS_CACHE to a folder that they share with this machine."
        )
    return n_found
