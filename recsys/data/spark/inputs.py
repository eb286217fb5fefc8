"""Reading of ratings by Spark: all columns as text, under standard names, with the position of each row in its file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import duckdb

from recsys.data.clean import FURTHER_COLUMNS
from recsys.data.dialect import AS_IT_IS, Dialect, Reading, detect, usual_delimiter
from recsys.data.interpret.ids import IDS
from recsys.data.interpret.times import NOT_A_FORMAT, UNITS
from recsys.data.plain import Plain, plain
from recsys.data.raw import Raw, RawTable, Remote
from recsys.data.read import DIALECTS, FILE, INTERPRETED, ROW, selected_columns, wanted
from recsys.data.selects import EXACT_BELOW, Select, check_plausible, delimited_selects, is_json
from recsys.data.selects import refusal as refusal_of_damage
from recsys.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
    from pyspark.sql.types import StructType

SQL = Path(__file__).parent / "sql"
_TEXT = re.compile(r"\.(csv|tsv|tab|txt|dat)(\.\w+)?$", re.IGNORECASE)  # extensions of text files
# How ratings.dat of MovieLens is read.
_DAT_COLUMNS = ("user_id", "movie_id", "rating", "time")
_DAT = RawTable(
    "ratings",
    Path(),
    FILE,
    dict(zip(_DAT_COLUMNS, _DAT_COLUMNS, strict=True)),
    parameters={"header": _DAT_COLUMNS, "delimiter": "::", "quote": "", **AS_IT_IS},
)
_N_FETCHED = 10_000  # rows to fetch from a database at a time


@dataclass(frozen=True)
class Located:
    """Ratings as Spark has read them, before notations are interpreted.

    Attributes:
        label: name of the file, address or table, for messages.
        frame: the columns `user_id`, `movie_id`, `rating`, `time` and `part`, which are text, and `file`, `block` and
            `id`, which determine the order of the rows.
        columns: standard column name -> column name in the source.
        reading: settings of how to read the ratings.
        counts_rows: whether row numbers serve as times.
        interpreted: whether the notation of ids and times has to be interpreted, because the source does not fix it.
        notes: notes on what was detected while reading.
    """

    label: str
    frame: DataFrame
    columns: Mapping[str, str | None]
    reading: Reading
    counts_rows: bool
    interpreted: bool
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of the file or table, without folders."""
        return self.label.rpartition("/")[2]


def check_readable(raw: Raw) -> None:
    """Check that Spark can read the ratings of a source, without starting Spark.

    Raises:
        UserError: only DuckDB can read the ratings, because of their layout or of a setting, or `time_format` is not
            valid.
    """
    for table in (table for table in raw.tables if table.name == "ratings"):
        if table.source is not None:
            raise refusal("gathered sources")
        if table.query not in (FILE, "dat_ratings", *DIALECTS) or table.query == "atomic":
            raise refusal(f"the layout of {table.file}")
        _check_settings(table.columns or {}, table.parameters)
    if raw.remote is not None:
        _check_settings(raw.remote.columns, raw.remote.reading)
        if raw.remote.reading.get("skip"):
            raise refusal("the lines after data.skip")


def _check_settings(columns: Mapping[str, str | None], reading: Mapping[str, Any]) -> None:
    if further := [name for name in FURTHER_COLUMNS if columns.get(name)]:
        raise refusal(f"data.columns.{further[0]}")
    given = reading.get("time_format")
    if "%" in (given or ""):
        raise refusal("dates in the format of data.time_format")
    if given is not None and given not in UNITS:
        raise UserError(NOT_A_FORMAT.format(given=given))


def located_table(spark: SparkSession, table: RawTable, scratch: Path) -> Located:
    """Read a local file of ratings by Spark, in the dialect in which DuckDB would read it.

    Args:
        spark: the Spark session.
        table: the file, and how to read it.
        scratch: an existing folder for copies of the file; it must not be deleted until the ratings have been read.

    Raises:
        UserError: the file cannot be read, or only DuckDB can read it.
    """
    if table.query == "dat_ratings":
        table = replace(_DAT, file=table.file)
    reading = replace(DIALECTS[table.query], **AS_IT_IS) if table.query in DIALECTS else Reading(**table.parameters)
    text = plain(table.file, scratch, reading.encoding, reading.skip)
    address = file_address(text.path)
    notes: tuple[str, ...] = ()
    if text.encoding is None:
        frame = spark.read.parquet(address)
    elif is_json(text, reading):
        raise refusal(f"the JSON of {table.file}")
    else:
        dialect = detect(table.file, text, reading, wanted(table))
        may_be_quoted = text.has_quotes or dialect.quotings[0][0] not in ('"', "")
        chosen = _readable(table.file, text, dialect, reading, is_checked=may_be_quoted)
        quote, escape = chosen.parameters["quote"], chosen.parameters["escape"]
        if escape != quote:
            raise refusal(f"quotation marks after a backslash, as in {table.file}")
        reader = _text_reader(spark, dialect.delimiter, quote, dialect.has_header)
        reader = reader.options(escape=escape, multiLine=may_be_quoted and quote != "")  # not in parallel
        frame = reader.schema(_texts(dialect.names)).csv(address)
        notes = chosen.notes
    for name, value in reading.constants.items():
        frame = frame.withColumn(name, _functions().lit(value))
    interpreted = table.query in INTERPRETED
    return _located(str(table.file), frame, table.columns or {}, reading, _place_in_files(), interpreted, notes)


def _readable(file: Path, text: Plain, dialect: Dialect, reading: Reading, is_checked: bool) -> Select:
    """Return the SELECT with which DuckDB reads a delimited text with the right quotation marks.

    If the text may use quotation marks, DuckDB reads it once to find the right ones, because Spark would accept wrong
    ones without an error.

    Raises:
        UserError: the text cannot be read.
    """
    failures = []
    with duckdb.connect() as connection:
        for select in delimited_selects(file, text, dialect, reading):
            if not is_checked:
                return select
            try:
                check_plausible(connection, select)
                whole = f"SELECT count(COLUMNS(*)) FROM ({select.sql})"  # noqa: S608 - names are quoted
                connection.execute(whole, select.parameters).fetchall()
            except duckdb.Error as error:
                failures.append(error)
                continue
            return select
    raise refusal_of_damage(file, failures[0], reading.skip) from failures[0]


def located_remote(spark: SparkSession, remote: Remote) -> Located:
    """Read remote ratings: files on a remote file system, or a table of a database.

    Files are read as text if their extension is that of a text format, such as .csv, or if `data.header` or
    `data.delimiter` is set; otherwise they are read as Parquet. The first row of text is the header unless
    `data.header` is set.

    Raises:
        UserError: the ratings cannot be read.
    """
    reading = Reading(**remote.reading)
    if remote.table is not None:
        reader = spark.read.options(url=remote.address, dbtable=remote.table, fetchsize=_N_FETCHED)
        rows = reader.format("jdbc").load()
        return _located(remote.place, rows, remote.columns, reading, _place_in_table(), interpreted=False)
    if not (_TEXT.search(remote.address) or reading.header or reading.delimiter):
        rows = spark.read.parquet(remote.address)
        return _located(remote.place, rows, remote.columns, reading, _place_in_files(), interpreted=True)
    delimiter = reading.delimiter or usual_delimiter(Path(remote.address))
    reader = _text_reader(spark, delimiter, '"' if reading.quote is None else reading.quote, not reading.header)
    reader = reader.options(encoding=reading.encoding or "utf-8", escape='"')
    if reading.header:
        reader = reader.schema(_texts(reading.header))
    rows = reader.csv(remote.address)
    return _located(remote.place, rows, remote.columns, reading, _place_in_files(), interpreted=True)


def state(spark: SparkSession, remote: Remote) -> list[list[str | int]]:
    """Return values that identify remote ratings.

    They are the path, size and time of each file or, for a table, the number and a digest of its rows.
    """
    if remote.table is not None:
        located_remote(spark, remote).frame.createOrReplaceTempView("located")
        [row] = select(spark, "digest").collect()
        return [[str(value) for value in row]]
    files = (
        spark.read.format("binaryFile")
        .option("recursiveFileLookup", True)
        .load(remote.address)
        .selectExpr("path", "length", "unix_micros(modificationTime) AS time")
    )
    return sorted([row["path"], row["length"], row["time"]] for row in files.collect())


def select(spark: SparkSession, query: str, **parameters: Any) -> DataFrame:
    """Return the result of the SELECT in `sql/<query>.sql`, run with the given parameters, as a lazy data frame."""
    return spark.sql((SQL / f"{query}.sql").read_text(encoding="utf-8"), args=parameters)


def file_address(path: Path) -> str:
    """Return a local file's address for Spark; characters that Spark would take for a pattern are escaped."""
    return "file://" + re.sub(r"([*?{}\[\]\\])", r"\\\1", str(path.resolve()))


def refusal(unread: str) -> UserError:
    """Return a `UserError` to raise for ratings that only DuckDB can read; `unread` says what Spark cannot read."""
    return UserError(f"Spark does not read {unread}: set engine=duckdb.")


def _text_reader(spark: SparkSession, delimiter: str, quote: str, has_header: bool) -> DataFrameReader:
    return spark.read.options(sep=delimiter, quote=quote, header=has_header, mode="FAILFAST", maxCharsPerColumn=-1)


def _texts(names: Sequence[str]) -> StructType:
    """Return a Spark schema with the given column names, all of type text."""
    from pyspark.sql.types import StringType, StructField, StructType

    return StructType([StructField(name, StringType()) for name in names])


def _place_in_files() -> tuple[Column, Column]:
    """Return two columns: the file of each row, and the offset in bytes of the file's block that contains the row."""
    column = _functions().col
    return column("_metadata.file_path"), column("_metadata.file_block_start")


def _place_in_table() -> tuple[Column, Column]:
    """Return two constant columns instead of file and block, since a single task reads the table of a database."""
    return _functions().lit(""), _functions().lit(0)


def _located(
    label: str,
    frame: DataFrame,
    columns: Mapping[str, str | None],
    reading: Reading,
    place: tuple[Column, Column],
    interpreted: bool,
    notes: tuple[str, ...] = (),
) -> Located:
    """Select the standard columns as text, with the position of each row; missing columns and empty text become NULL.

    Raises:
        UserError: the source lacks required columns, or has columns that ratings cannot have.
    """
    f = _functions()
    types = {name: kind.upper() for name, kind in frame.dtypes}
    counts_rows = columns.get("time") == ROW and ROW not in types
    if counts_rows:
        columns = {**columns, "time": None}
    selected = selected_columns(label, "ratings", columns, types)
    file, block = place
    texts = [_text(name, types, ours).alias(ours) for ours, name in selected.items()]
    located = frame.select(
        *texts, file.alias("file"), block.alias("block"), f.monotonically_increasing_id().alias("id")
    )
    return Located(label, located, columns, reading, counts_rows, interpreted, notes)


def _text(name: str | None, types: Mapping[str, str], ours: str) -> Column:
    """Return a column as text; whole numbers in floating-point columns of ids lose their decimals.

    Large ids, which a floating-point type may have rounded, stay in scientific notation, which a later check rejects.

    Args:
        name: name of the column in the source; None for a column that the source lacks, whose values are NULL.
        types: column name in the source -> type of the column, in upper case.
        ours: standard name of the column.
    """
    f = _functions()
    if name is None:
        return f.lit(None).cast("string")
    column = f.col(f"`{name.replace('`', '``')}`")
    text = f.nullif(f.trim(column.cast("string")), f.lit(""))
    if ours in IDS and types[name] in ("DOUBLE", "FLOAT"):
        whole = column.try_cast("decimal(38,0)").cast("string")
        is_exact = (f.abs(column) < EXACT_BELOW[types[name]]) | (f.abs(column) == float("inf"))
        return f.when(is_exact & (column == f.floor(column)), whole).otherwise(f.nullif(text, f.lit("NaN")))
    return text


def _functions() -> ModuleType:
    """Import and return pyspark's column functions; pyspark is installed only with the extra `spark`."""
    from pyspark.sql import functions

    return functions
